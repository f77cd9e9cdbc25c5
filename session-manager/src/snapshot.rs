use std::time::{Duration, Instant};

use session_core::{Owner, Record, Ttl, Version};

use crate::{
    Result,
    payload::{
        Payload,
        meta::{self, Meta},
    },
    settings::Settings,
};

/// A snapshot of a session: as the store last returned it, or as this handle wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    pub(crate) payload: Payload,
    /// When it expires unless it is renewed.
    pub(crate) expires_at: Instant,
}

impl Snapshot {
    /// Decodes a record that was requested at `asked`.
    pub(crate) fn of(record: Record, asked: Instant) -> Result<Box<Self>> {
        let Record { data, version, expires_in, owner } = record;
        let expires_at = later(asked, expires_in);
        match Payload::decode(data) {
            // Boxed at once, so that moving the snapshot does not copy it.
            Ok(payload) => Ok(Box::new(Self { version, owner, payload, expires_at })),
            Err(error) => Err(session_core::Error::from(error).into()),
        }
    }

    /// The trace that a write on top of this one stores.
    pub(crate) fn next_trace(&self) -> meta::RecentVersions {
        self.payload.meta().trace.with(self.version)
    }

    /// Whether `version` is that of this write, or of one of the last few before it.
    pub(crate) fn has_seen(&self, version: Version) -> bool {
        self.version == version || self.payload.meta().trace.holds(version)
    }
}

/// The time `after` from `start`, or a year from `start` if that overflows.
pub(crate) fn later(start: Instant, after: Duration) -> Instant {
    start.checked_add(after).unwrap_or_else(|| start + Duration::from_hours(24 * 365))
}

impl Settings {
    /// The ttl of a session with this `meta` if it is renewed now; `None` if its absolute timeout
    /// has passed.
    pub(crate) fn ttl(&self, meta: &Meta) -> Option<Ttl> {
        let idle = self.idle_of(meta);
        let left = (meta.created.saturating_add(self.absolute_of(meta))).checked_sub(meta::now())?;
        Ttl::new(Duration::from_millis(left).min(idle)).ok()
    }

    pub(crate) fn idle_of(&self, meta: &Meta) -> Duration {
        meta.timeouts.map_or(self.idle, |(idle, _)| Duration::from_millis(idle))
    }

    fn absolute_of(&self, meta: &Meta) -> u64 {
        let default = || u64::try_from(self.absolute.as_millis()).unwrap_or(u64::MAX);
        meta.timeouts.map_or_else(default, |(_, absolute)| absolute)
    }

    /// Whether the absolute timeout of a session with this `meta` has passed. Then there is no
    /// [`ttl`](Self::ttl).
    pub(crate) fn is_over(&self, meta: &Meta) -> bool {
        meta.created.saturating_add(self.absolute_of(meta)) <= meta::now()
    }

    /// The ttl that a touch would set now, if it is worth a write.
    pub(crate) fn due_touch(&self, base: &Snapshot) -> Option<Ttl> {
        let meta = base.payload.meta();
        let idle = self.idle_of(meta);
        let left = base.expires_at.saturating_duration_since(Instant::now());
        let is_worth_it = |ttl: Duration| {
            let gained = ttl.saturating_sub(left);
            gained > Duration::ZERO && gained.as_secs_f64() >= idle.as_secs_f64() * self.touch_after
        };
        // No ttl is longer than the idle timeout. Usually not even that is worth a write, and the
        // system clock need not be read.
        if !is_worth_it(idle) {
            return None;
        }
        self.ttl(meta).filter(|ttl| is_worth_it(ttl.as_duration()))
    }
}
