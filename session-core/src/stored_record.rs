use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Error, ErrorKind, Operation, Owner, Record, Result, Ttl, Version, Write};

/// A record encoded as bytes, for stores whose engine keeps one opaque value per key.
///
/// The one value holds all that promises 1 to 5 need, so an engine with compare-and-swap checks and
/// changes it in one step. Its first bytes mark it as a record and give its format, so that
/// [`decode`](Self::decode) recognises foreign bytes (promise 15).
///
/// | bytes | format 1; numbers are big-endian |
/// | --- | --- |
/// | 0, 1 | `SR` |
/// | 2 | the format: 1 |
/// | 3 | the length of the owner; 0 without an owner |
/// | 4 to 11 | the length of the data |
/// | 12 to 19 | the expiry, in milliseconds since 1970 |
/// | 20 to 35 | the version |
/// | then | the owner, and the data |
///
/// A change of this layout gets a new format number. Every release that writes a format also reads
/// the earlier ones. The lengths detect missing and surplus bytes. There is no checksum: an engine
/// whose storage can flip bits needs one of its own.
///
/// The stores of this workspace have their own layouts, because their engines look inside the
/// record. `session-redis` uses a string that its scripts parse on the server, with the expiry in
/// microseconds. `session-sql` uses a column for each part, and `session-mongo` a field.
///
/// # Cost
/// 36 bytes and the owner, in addition to the data. `encode` allocates one buffer and copies the
/// data into it. `decode` copies only the owner: the data is a view of the buffer that was read,
/// and keeps that buffer alive.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use session_core::{Operation, StoredRecord, Ttl, Write};
///
/// let now = 1_700_000_000_000; // of the clock that decides about expiry
/// let write = Write::new("theme=dark", Ttl::new(Duration::from_secs(1800))?);
/// let bytes = StoredRecord::new(write, None, now).encode();
///
/// let stored = StoredRecord::decode(bytes, Operation::Read)?;
/// let record = stored.clone().live(now + 1_000).expect("its ttl has not passed");
/// assert_eq!((&record.data[..], record.expires_in), (&b"theme=dark"[..], Duration::from_secs(1799)));
/// assert_eq!(stored.live(now + 1_800_000), None);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The data of the last write.
    pub data: Bytes,
    /// The token of the last write.
    pub version: Version,
    /// The owner, if there is one.
    pub owner: Option<Owner>,
    /// The expiry, in milliseconds since 1970. The record is live before this moment.
    pub expires_at: u64,
}

/// The length of the fields before the owner.
const HEAD: usize = 36;

impl StoredRecord {
    /// The format that this release writes.
    pub const FORMAT: u8 = 1;

    /// The record after `write`, which takes effect at `now`, in milliseconds since 1970.
    ///
    /// `owner` is the owner of the live record that the write replaces.
    pub fn new(write: Write, owner: Option<Owner>, now: u64) -> Self {
        Self {
            data: write.data,
            version: write.version,
            owner: write.owner.apply(owner),
            expires_at: now.saturating_add(write.ttl.as_millis()),
        }
    }

    /// The record if it is live at `now`, in milliseconds since 1970.
    pub fn live(self, now: u64) -> Option<Record> {
        let left = self.expires_at.checked_sub(now).filter(|left| *left > 0)?;
        // Only damage, or a clock that was set back, makes it longer than any ttl. It is capped
        // because callers add it to the present.
        let left = left.min(Ttl::MAX.as_millis());
        Some(Record {
            data: self.data,
            version: self.version,
            expires_in: Duration::from_millis(left),
            owner: self.owner,
        })
    }

    /// The bytes, in the layout of [`FORMAT`](Self::FORMAT).
    pub fn encode(&self) -> Bytes {
        let owner = self.owner.as_ref().map_or("", Owner::as_str);
        let mut bytes = Vec::with_capacity(HEAD + owner.len() + self.data.len());
        bytes.extend(b"SR");
        // An owner has at most 255 bytes.
        bytes.extend([Self::FORMAT, u8::try_from(owner.len()).unwrap_or(u8::MAX)]);
        bytes.extend((self.data.len() as u64).to_be_bytes());
        bytes.extend(self.expires_at.to_be_bytes());
        bytes.extend(self.version.as_bytes());
        bytes.extend(owner.as_bytes());
        bytes.extend(&self.data);
        bytes.into()
    }

    /// Decodes the output of [`encode`](Self::encode), live or not. An error names `operation`.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for a newer format, [`Corrupt`](ErrorKind::Corrupt)
    /// for anything else that is not a whole record.
    pub fn decode(bytes: impl Into<Bytes>, operation: Operation) -> Result<Self> {
        let bytes = bytes.into();
        let corrupt = |reason: &str| Error::new(ErrorKind::Corrupt, operation).because(reason);
        match bytes[..] {
            [b'S', b'R', Self::FORMAT, ..] => {}
            [b'S', b'R', format @ 1..=u8::MAX, ..] => {
                let reason = format!("it has format {format}, and this release knows {}", Self::FORMAT);
                return Err(Error::new(ErrorKind::Unsupported, operation).because(reason));
            }
            _ => return Err(corrupt("something else was stored under its key")),
        }
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(corrupt("it is shorter than any record"));
        };
        let [_, _, _, owner_len, numbers @ ..] = head;
        let (data_len, expires_at) = (number(&numbers[..8]), number(&numbers[8..16]));
        let owner_len = usize::from(*owner_len);
        if (owner_len as u64).checked_add(data_len) != Some(rest.len() as u64) {
            return Err(corrupt("it has another length than it says"));
        }
        let owner = match std::str::from_utf8(&rest[..owner_len]).map(Owner::new) {
            _ if owner_len == 0 => None,
            Ok(Ok(owner)) => Some(owner),
            _ => return Err(corrupt("its owner is not readable")),
        };
        let mut version = [0; Version::LEN];
        version.copy_from_slice(&numbers[16..]);
        let data = bytes.slice(HEAD + owner_len..);
        Ok(Self { data, version: Version::from_bytes(version), owner, expires_at })
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl fmt::Debug for StoredRecord {
    /// Shows the length of the data, and neither the data nor the owner: see [`Record`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRecord")
            .field("data", &format_args!("{} bytes", self.data.len()))
            .field("version", &self.version)
            .field("owner", &self.owner)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}
