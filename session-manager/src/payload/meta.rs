use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of earlier writes that a payload records.
pub(crate) const TRACE: usize = 16;

/// What the manager stores of a session, beside the application's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// When the session began, or its owner logged in: milliseconds since 1970 by the clock of the
    /// node that handled it.
    pub(crate) created: u64,
    /// When it was last written, by the clock of the writing node.
    pub(crate) saved: u64,
    /// The same for all ids of one session between two logins.
    pub(crate) family: [u8; 8],
    /// The tokens of the writes before this one, four bytes of each, the latest first. A writer
    /// whose reply was lost uses them to determine whether its write took effect, although others
    /// have written since.
    pub(crate) trace: RecentVersions,
    /// The application's name for the place where the session is used, such as a device.
    pub(crate) label: Option<Box<str>>,
    /// Timeouts of this session alone, in milliseconds: idle and absolute.
    pub(crate) timeouts: Option<(u64, u64)>,
}

/// Four bytes of each of the last few writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecentVersions {
    tokens: [[u8; 4]; TRACE],
    len: usize,
}

impl RecentVersions {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tokens, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || tokens.len() > TRACE {
            return None;
        }
        let mut trace = Self { len: tokens.len(), ..Self::default() };
        trace.tokens[..tokens.len()].copy_from_slice(tokens);
        Some(trace)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.tokens[..self.len].as_flattened()
    }

    /// This trace with the write `version` added.
    pub(crate) fn with(self, version: session_core::Version) -> Self {
        let mut next = Self { len: (self.len + 1).min(TRACE), ..self };
        next.tokens.copy_within(..TRACE - 1, 1);
        next.tokens[0] = short(version);
        next
    }

    pub(crate) fn holds(&self, version: session_core::Version) -> bool {
        self.tokens[..self.len].contains(&short(version))
    }
}

fn short(version: session_core::Version) -> [u8; 4] {
    let [a, b, c, d, ..] = *version.as_bytes();
    [a, b, c, d]
}

/// Milliseconds since 1970 by this node's clock.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis()))
}

/// The time this many milliseconds after 1970, or 1970 if the system cannot represent it.
pub(crate) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use session_core::Version;

    use super::*;

    #[test]
    fn a_trace_remembers_the_latest_writes() {
        let versions: Vec<Version> = (0..18).map(|_| Version::random()).collect();
        let trace = versions.iter().fold(RecentVersions::default(), |trace, version| trace.with(*version));
        let held: Vec<bool> = versions.iter().map(|version| trace.holds(*version)).collect();
        assert_eq!(held, [[false; 2].as_slice(), &[true; 16]].concat());
        assert_eq!(RecentVersions::from_bytes(trace.as_bytes()), Some(trace));
        assert_eq!(RecentVersions::from_bytes(&[0; 68]), None);
        assert_eq!(RecentVersions::from_bytes(&[0; 3]), None);
    }
}
