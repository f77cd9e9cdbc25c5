use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Record, Result, SessionKey};

/// What operators need: look through all records, count them, and free the space of expired ones.
///
/// # Contract
/// This is promise 16 of [`SessionStore`](crate::SessionStore#16-maintenance).
///
/// # Example
///
/// ```
/// use session_core::{Maintenance, Result};
///
/// async fn bytes_stored(maintenance: &dyn Maintenance) -> Result<usize> {
///     let (mut bytes, mut cursor) = (0, None);
///     loop {
///         let page = maintenance.page(cursor, 500).await?;
///         bytes += page.records.iter().map(|(_, record)| record.data.len()).sum::<usize>();
///         cursor = page.next;
///         if cursor.is_none() {
///             return Ok(bytes);
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// The next live records after `cursor`, or the first ones; `limit` is about how many.
    ///
    /// Following [`Page::next`] until it is `None` meets every record that is live throughout,
    /// under a key that does not change, at least once. Some may come twice. A page may be empty
    /// and still have a successor. The listing ends unless records are created faster than it goes
    /// on.
    ///
    /// `limit` is a wish: pages can be shorter or a little longer, zero means one, and a store may
    /// cap what is large, so that `usize::MAX` is as good as any. No memory is set aside for
    /// records that are not there.
    ///
    /// A cursor that this store did not make, be it garbage, of another store or of another
    /// namespace, is an error where the store can tell. Otherwise it is an arbitrary place in the
    /// listing of this store, which goes on and ends as any other. A cursor that has lost its
    /// meaning, because the servers of the store are others now, may begin the listing again.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read); records that cannot be decoded are left out.
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a cursor that this store did not make.
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page>;

    /// How many records are live. Exact when nothing changes meanwhile. May count what is under our keys and is
    /// no record (promise 15), which is told from one when it is read.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn count(&self) -> Result<u64>;

    /// Frees the space of up to about `limit` expired records now, and returns of how many. A limit
    /// of zero means one.
    ///
    /// Nothing depends on this call: a store does it by itself, or its engine does. Never touches
    /// or counts a live record. The cost follows what is freed, not what is stored.
    ///
    /// Zero says that this call has found nothing to free, so that a loop until zero ends. It
    /// proves no more: where the engine frees expired records by itself and does not tell of how
    /// many, the answer is always zero, and the engine decides how many it looks at.
    ///
    /// # Errors
    /// As [`SessionStore::delete`](crate::SessionStore::delete).
    async fn purge_expired(&self, limit: usize) -> Result<u64>;
}

/// Some live records, and where to go on.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records with their keys.
    pub records: Vec<(SessionKey, Record)>,
    /// Give this to the next call; `None` at the end.
    pub next: Option<Cursor>,
}

/// A place in the listing of one store, meaningful to that store alone. It may be kept and used
/// later, by any handle on that store.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A cursor that holds whatever the store needs to go on.
    pub fn new(place: impl Into<Bytes>) -> Self {
        Self(place.into())
    }

    /// What the store put in.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    /// How long it is: a store may put in what is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}
