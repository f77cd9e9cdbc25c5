use session_core::{Bytes, Owner, Record, SessionKey, Version};

use crate::clock::Moment;

/// One record in the table of a shard.
pub(crate) struct StoredRecord {
    pub(crate) key: SessionKey,
    pub(crate) data: Bytes,
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    pub(crate) expires_at: Moment,
    /// When the expiry queue checks this record: never later than `expires_at`.
    pub(crate) reminder: Moment,
}

impl StoredRecord {
    pub(crate) fn is_live(&self, now: Moment) -> bool {
        now < self.expires_at
    }

    pub(crate) fn record(&self, now: Moment) -> Record {
        Record {
            data: self.data.clone(),
            version: self.version,
            expires_in: self.expires_at.since(now),
            owner: self.owner.clone(),
        }
    }
}
