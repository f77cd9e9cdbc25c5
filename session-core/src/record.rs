use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Owner, Version};

/// One live session as a store returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes of the last write, exactly.
    pub data: Bytes,
    /// The token of the last write: what a conditional write or delete must name.
    pub version: Version,
    /// What is left of the ttl by the clock of the node that answered, when it answered, to the millisecond or better.
    ///
    /// A layer that keeps a record counts from *before* it sent its request: the answer took time to arrive.
    pub expires_in: Duration,
    /// Whose session it is, if anybody's.
    pub owner: Option<Owner>,
}

impl fmt::Debug for Record {
    /// Says how long the data is and whether there is an owner, and shows neither: records get into logs with what failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("data", &format_args!("{} bytes", self.data.len()))
            .field("version", &self.version)
            .field("expires_in", &self.expires_in)
            .field("owner", &self.owner)
            .finish()
    }
}
