use std::time::Duration;

use bytes::Bytes;

use crate::{Owner, Version};

/// One live session as a store returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
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
