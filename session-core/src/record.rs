use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{Owner, Version};

/// One live session as a store returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes of the last write, exactly.
    pub data: Bytes,
    /// The token of the last write. A conditional write or delete must name it.
    pub version: Version,
    /// The remaining ttl by the clock of the node that answered, at the time of its answer, to the
    /// millisecond or better.
    ///
    /// A layer that keeps a record must count from *before* it sent its request, because the answer
    /// took time to arrive.
    pub expires_in: Duration,
    /// The owner of the session, if it has one.
    pub owner: Option<Owner>,
}

impl fmt::Debug for Record {
    /// Shows the length of the data and whether there is an owner, and shows neither itself,
    /// because records get into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("data", &format_args!("{} bytes", self.data.len()))
            .field("version", &self.version)
            .field("expires_in", &self.expires_in)
            .field("owner", &self.owner)
            .finish()
    }
}
