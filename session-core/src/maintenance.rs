use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Record, Result, SessionKey};

/// Operations for operators: list all records, count them, and free the space of expired ones.
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
    /// Returns the next live records after `cursor`, or the first ones without a cursor. `limit` is
    /// about how many.
    ///
    /// Following [`Page::next`] until it is `None` visits every record that is live throughout,
    /// under a key that does not change, at least once. Some may be returned twice. A page may be
    /// empty and still have a successor. The listing ends unless records are created faster than it
    /// advances.
    ///
    /// `limit` is a hint: pages can be shorter or a little longer, and zero means one. A store may
    /// cap large limits, so `usize::MAX` is as good as any. No memory is reserved for records that
    /// do not exist.
    ///
    /// A cursor that this store did not make (garbage, or a cursor of another store or another
    /// namespace) is an error where the store can tell. Otherwise it is an arbitrary position in
    /// the listing of this store, which continues and ends as any other. A cursor that has become
    /// invalid because the servers of the store have changed may restart the listing.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read). Records that cannot be decoded are
    /// left out.
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a cursor that this store did not make.
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page>;

    /// Returns the number of live records. Exact if nothing changes meanwhile.
    ///
    /// May include foreign bytes (promise 15), which are told from records only when they are read.
    ///
    /// # Errors
    /// As [`SessionStore::read`](crate::SessionStore::read).
    async fn count(&self) -> Result<u64>;

    /// Frees the space of up to about `limit` expired records now, and returns their number. A
    /// limit of zero means one.
    ///
    /// No promise depends on this call: the store or its engine frees expired records by itself. It
    /// never removes or counts a live record. Its cost grows with the number of records freed, not
    /// with the number stored.
    ///
    /// Zero means that this call has found nothing to free, so a loop until zero ends. It proves no
    /// more: where the engine frees expired records by itself and does not report how many, the
    /// result is always zero, and the engine decides how many records it examines.
    ///
    /// # Errors
    /// As [`SessionStore::delete`](crate::SessionStore::delete).
    async fn purge_expired(&self, limit: usize) -> Result<u64>;
}

/// Some live records, and the cursor of the next page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records with their keys.
    pub records: Vec<(SessionKey, Record)>,
    /// The cursor for the next call. `None` at the end.
    pub next: Option<Cursor>,
}

/// A position in the listing of one store, meaningful to that store alone. It may be kept and used
/// later, by any handle on that store.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A cursor that holds whatever the store needs to continue.
    pub fn new(place: impl Into<Bytes>) -> Self {
        Self(place.into())
    }

    /// The bytes that the store put in.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    /// Shows only the length, because a store may put in data that must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}
