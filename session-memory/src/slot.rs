use session_core::{Bytes, Owner, Record, SessionKey, Version};

use crate::clock::Moment;

/// One record as a shard keeps it.
pub(crate) struct Slot {
    pub(crate) key: SessionKey,
    pub(crate) data: Bytes,
    pub(crate) version: Version,
    pub(crate) owner: Option<Owner>,
    pub(crate) expires_at: Moment,
    /// When the expiry queue will have this record looked at: never later than `expires_at`.
    pub(crate) reminder: Moment,
}

impl Slot {
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
