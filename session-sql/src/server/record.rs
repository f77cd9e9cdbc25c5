use std::{collections::HashMap, time::Duration};

use session_core::{Error, ErrorKind, Operation, Owner, Record, Result, SessionKey, Version};

use super::dialect::SqlResult;

/// What was found under some keys: records, and errors for rows that cannot be read.
pub(crate) type Found = HashMap<SessionKey, Result<Record>>;

/// The row format that this release writes, stored in each row.
pub(crate) const FORMAT: i16 = 1;

/// A row as it is stored, not yet validated as a record.
#[derive(Debug)]
pub(crate) struct RawRow {
    pub(crate) version: Vec<u8>,
    /// The remaining time to live.
    pub(crate) left: Duration,
    pub(crate) owner: Option<Vec<u8>>,
    pub(crate) format: i16,
    /// The length of the data when it was written.
    pub(crate) len: i64,
    pub(crate) data: Vec<u8>,
}

impl RawRow {
    /// Returns the record, or an error if the row has another format or is not intact.
    pub(crate) fn into_record(self, operation: Operation) -> Result<Record> {
        if self.format != FORMAT {
            return Err(Error::new(ErrorKind::Unsupported, operation).because(format!(
                "the row has format {}, and this release knows format {FORMAT}",
                self.format
            )));
        }
        let corrupt = |reason: &str| Error::new(ErrorKind::Corrupt, operation).because(reason);
        let version = <[u8; Version::LEN]>::try_from(&self.version[..]);
        let version = version.map_err(|_| corrupt("the version does not have 16 bytes"))?;
        if u64::try_from(self.len) != Ok(self.data.len() as u64) {
            return Err(corrupt("the data does not have the length that was written"));
        }
        let owner = self.owner.map(|bytes| {
            let text =
                str::from_utf8(&bytes).map_err(|error| corrupt("the owner is no text").with_source(error))?;
            Owner::new(text).map_err(|error| corrupt("the owner is none").with_source(error))
        });
        Ok(Record {
            data: self.data.into(),
            version: Version::from_bytes(version),
            expires_in: self.left,
            owner: owner.transpose()?,
        })
    }
}

/// Decodes the key in a column.
pub(crate) fn found_key(bytes: &[u8]) -> SqlResult<SessionKey> {
    SessionKey::try_from(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}
