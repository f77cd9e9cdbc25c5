use std::fmt;

use async_trait::async_trait;

use crate::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, Operation, OwnerIndex, Record, RenameOutcome, Result,
    SessionKey, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome, rename,
    side_by_side::side_by_side,
};

/// Default maximum length of a record's data: 1 MiB.
pub const DEFAULT_MAX_DATA_LEN: usize = 1 << 20;

/// A session store: opaque bytes under a key, with a time to live, a version and an owner.
///
/// Four operations are required: [`read`](Self::read), [`write`](Self::write),
/// [`touch`](Self::touch) and [`delete`](Self::delete). All others have a correct provided
/// implementation in terms of these four. A store overrides one where it can do better. Optional
/// capabilities are reached through [`owners`](Self::owners), [`maintenance`](Self::maintenance)
/// and [`watch`](Self::watch).
///
/// The trait is dyn-compatible. `Arc<S>` is a store for every store `S`, including
/// `Arc<dyn SessionStore>`. [`implementing`](crate::implementing) describes how to write a store.
/// `session-conformance` tests whether a store keeps the promises.
///
/// # Contract
///
/// A store never sees a session id and never decodes the data. A record is *live* from the write
/// that created it until it is deleted, is renamed away, or its ttl has passed. Callers can observe
/// live records only.
///
/// ## 1. Conditional write
/// `write` with [`When::Version`]`(v)` takes effect if and only if the live record has version `v`.
/// With [`When::Absent`], it takes effect if and only if there is no live record. The check and the
/// change are one atomic step: of any number of concurrent writers with the same condition, one
/// wins. A write whose version is already that of the live record is a redelivery of the same
/// write: it changes nothing and reports [`WriteOutcome::Written`].
///
/// Otherwise nothing changes, and the outcome is a conflict. A conflict carries the data, version,
/// owner and `expires_in` of one record, all as they were at one moment *after* the condition had
/// failed, or `None` if no record was live then. The same holds for a conflict of an item in a
/// batch, and for a conflict of a rename, which carries the record under the old key. The caller
/// can therefore merge and retry without a read.
///
/// ## 2. Deleted stays deleted
/// After `delete` has returned [`Deleted`](DeleteOutcome::Deleted) or
/// [`Absent`](DeleteOutcome::Absent), no [`When::Version`] write, touch or rename brings the record
/// back, no matter when it began. Neither does a cache, a purge or an index repair. A write with
/// [`When::Absent`] or [`When::Any`] that overlaps the delete may be ordered after it, even if its
/// caller has given up. Therefore a store never resends such a write after a failure that leaves
/// open whether the write was applied.
///
/// ## 3. Read your writes
/// Once a change has returned, every later read through any handle on the same primary returns that
/// change or a later one. A cache or a replica may declare a bound on the staleness of *reads
/// through other handles*. Conditions are never evaluated against stale data.
///
/// ## 4. Expiry
/// A record is visible until its ttl has passed and never after, whether or not its space was
/// freed. The serving node's clock counts the ttl, in milliseconds, from the moment the write or
/// touch took effect. The store reads that clock after it has acquired any lock, so waiting for a
/// lock never revives an expired record. An expired record is absent for every operation. Where
/// readers do not wait for writers, a read that overlaps the change which keeps a record alive may
/// already find the record expired.
///
/// ## 5. Touch
/// `touch` moves the expiry, in either direction, and changes nothing else: data, version and owner
/// stay, and a concurrent write is not lost. A touch of an absent record leaves it absent and
/// returns `false`.
///
/// ## 6. Rename
/// `rename` reports [`Renamed`](RenameOutcome::Renamed) only after this call, or an earlier one
/// with the same write, has removed the old record, which had the expected version, and the new one
/// is live. If the old record was gone or otherwise changed, nothing of the new one remains. A
/// crash or a dropped future leaves at most a record under a key that no caller was given.
///
/// A rename is a redelivery if its write is the live record under the new key and nothing is live
/// under the old key. It changes nothing, not even the expiry, and reports `Renamed`. Once the new
/// record was overwritten, was ended or has expired, a redelivery changes nothing and reports
/// `Conflict(None)`. While another record is live under the old key, it changes nothing and reports
/// a conflict with that record.
///
/// A store that cannot rename in one step recognises a redelivery for at least a quarter of the
/// ttl, unless a touch has shortened the ttl, or prolonged it by less than two minutes. Later, it
/// may mistake the new record for the remains of a dropped attempt, end it if it is still that of
/// this write, and report `Conflict(None)`.
///
/// ## 7. Bytes
/// Data is returned exactly as written, from empty to [`max_data_len`](Self::max_data_len). Longer
/// data is [`TooLarge`](crate::ErrorKind::TooLarge) and changes nothing. The `Debug` output of a
/// store shows neither data nor owners.
///
/// ## 8. Owner index
/// If [`owners`](Self::owners) returns an index, the index never misses a live session, no matter
/// which client crashed at which point. Deleting by owner ends every session of that owner that
/// existed when the call began, even if it was renamed meanwhile. The call may also end sessions
/// created while it runs. It need not follow a session that an overlapping write gave to another
/// owner.
///
/// ## 9. Batches
/// `read_many`, `write_many`, `touch_many` and `delete_many` return one result per item, in the
/// order of the items. Each item has the semantics of the single operation. Items of one key are
/// executed one after another, in their order. Items of different keys are executed in any order,
/// or concurrently. The same key may occur more than once. An item that fails does not affect the
/// others. A batch is not a transaction: other callers may see part of it.
///
/// The provided implementation makes one call per item, with calls for at most 16 different keys in
/// flight at once. All of them run inside the caller's future, on any runtime. Dropping the batch
/// leaves each call in flight as if it had been dropped alone, and starts no other call. A batch of
/// 64 items with different keys takes as long as four sequential calls. A store overrides these
/// methods if its engine takes many items in one round trip.
///
/// ## 10. Isolation
/// Two stores with different namespaces (a key prefix, a table, a collection) never see each other's records.
///
/// ## 11. Cancellation
/// Any future may be dropped at any point. The record is then whole, in its state before or after
/// the change, and the store stays usable. A dropped change may still be applied.
///
/// ## 12. Outage
/// If the server is unreachable, frozen or failing, an operation returns
/// [`Unavailable`](crate::ErrorKind::Unavailable) within the configured deadline, never an empty
/// result. If a store executes a batch in parts, the deadline applies to each part. The store
/// recovers by itself when the server is back.
///
/// ## 13. Unknown outcome
/// If the reply to a change was lost, the store determines the outcome by the version, or reports
/// `Unavailable { may_have_applied: true }`. No layer re-runs such a change by itself: nothing
/// counts twice.
///
/// ## 14. Watch
/// If [`watch`](Self::watch) returns a watch, every change that takes effect while there is a
/// listener is reported, or an [`Event::Missed`](crate::Event::Missed) says that some were not. A
/// touch that only prolongs the ttl may go unreported. An expiry is reported when its space is
/// freed, which can be late. An event means "may have changed": its kind is a hint, and there may
/// be more events than changes. A listener receives the changes of all nodes, including its own.
/// No event arrives before its change: a listener that reads the key on receiving the event finds
/// that change or a later one. Only a cache or a replica may still return the previous state,
/// within its bound of promise 3.
///
/// ## 15. Foreign bytes
/// A value under one of the store's keys that is not a record of the store (another type, damaged,
/// a newer format) gives [`Corrupt`](crate::ErrorKind::Corrupt) or
/// [`Unsupported`](crate::ErrorKind::Unsupported), never a panic and never an empty session. A
/// conditional write or a rename never overwrites it. A write with [`When::Any`] replaces it, or
/// fails in the same way. A delete with [`Expected::Any`] removes it, reports
/// [`Deleted`](DeleteOutcome::Deleted), and frees the key. A logout therefore works whatever is
/// stored under the key.
///
/// ## 16. Maintenance
/// If [`maintenance`](Self::maintenance) is available, paging visits every record that is live
/// throughout, and ends. Counting counts the live records. Purging removes no live record, not even
/// one that was re-created or touched meanwhile. No limit and no cursor, whatever its origin,
/// causes a panic, an endless listing, or a read of another namespace.
///
/// ## 17. Close
/// [`close`](Self::close) lets operations in flight finish. Closing again is fine. Afterwards,
/// whatever `close` has returned, every operation works as before or fails as
/// [`Closed`](crate::ErrorKind::Closed), and none hangs. This holds for the single operations and
/// `rename`, for each item of a batch, for `ping`, and for the operations of the owner index and of
/// maintenance. An operation that begins while the store is being closed does one or the other as
/// well. (An operation with invalid arguments may still be rejected for these.) Event streams have
/// ended, and unread events may be lost. [`subscribe`](Watch::subscribe) fails as `Closed`.
///
/// Promises 1 to 3, 6 and 8 hold within the acknowledged history that the primary retains. Each
/// backend documents what its engine can lose in a failover or a crash.
///
/// # Errors
///
/// Unless documented otherwise, an operation fails with
/// * [`Unavailable`](crate::ErrorKind::Unavailable) if there was no answer within the store's
///   deadline,
/// * [`Corrupt`](crate::ErrorKind::Corrupt) or [`Unsupported`](crate::ErrorKind::Unsupported) by promise 15,
/// * [`Closed`](crate::ErrorKind::Closed) after [`close`](Self::close),
/// * [`Internal`](crate::ErrorKind::Internal) for a defect of the store or its driver.
///
/// # Example
///
/// Two requests load the same session and both change it. Neither change is lost.
///
/// ```
/// use std::time::Duration;
/// use session_core::{SessionId, SessionStore, Ttl, When, Write, WriteOutcome};
/// use session_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let store = MemoryStore::new();
/// let (key, ttl) = (SessionId::generate().key(), Ttl::new(Duration::from_secs(1800))?);
/// let created = Write::new("a", ttl);
/// assert!(store.write(&key, created.clone(), When::Absent).await?.is_written());
///
/// // The first request saves "ab"; the second, which has also seen "a", must not overwrite that.
/// let first = Write::new("ab", ttl);
/// assert!(store.write(&key, first, When::Version(created.version)).await?.is_written());
/// let second = Write::new("ac", ttl);
/// let WriteOutcome::Conflict(Some(now)) = store.write(&key, second, When::Version(created.version)).await? else {
///     panic!("it has not seen the current version");
/// };
/// let merged = Write::new(format!("{}c", String::from_utf8_lossy(&now.data)), ttl);
/// assert!(store.write(&key, merged, When::Version(now.version)).await?.is_written());
/// assert_eq!(store.read(&key).await?.expect("it is live").data, "abc");
/// # Ok(()) }
/// ```
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// Returns the live record under `key`, or `None`.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors). `None` always means that the store was asked and no live
    /// record is there.
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>>;

    /// Replaces the content under `key` by `write` if the condition holds (promises 1, 2 and 7).
    /// Also renews the ttl.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors), and [`TooLarge`](crate::ErrorKind::TooLarge) or
    /// [`Full`](crate::ErrorKind::Full).
    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome>;

    /// Sets the live record under `key` to expire `ttl` from now (promise 5). Returns `false` if no
    /// live record is there.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool>;

    /// Ends the record under `key` if it is the expected one (promise 2). With [`Expected::Any`],
    /// also removes foreign bytes under `key` (promise 15).
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome>;

    /// Replaces the record `old`, which must have version `expected`, by `write` under the key
    /// `new` (promise 6).
    ///
    /// A login renames the session, so that an id from before the login becomes worthless.
    ///
    /// [`OwnerChange::Keep`](crate::OwnerChange::Keep) keeps the old record's owner. The new key
    /// must be freshly drawn, preferably by [`SessionId::rotate`](crate::SessionId::rotate), which
    /// keeps the shard and lets partitioned engines rename atomically. A rename to the old key
    /// itself ends nothing: it is `Occupied`, or a write.
    ///
    /// The provided implementation reads the old record, creates the new one, and deletes the old
    /// one under its version. If the delete fails, it undoes the creation. Then it gives the new
    /// record its whole ttl, by which a redelivered rename recognises itself. It does so for a
    /// quarter of that ttl, and for all of a ttl under two minutes. Cost: four round trips. For a
    /// moment, both keys can be read.
    ///
    /// ```
    /// use session_core::{Owner, OwnerChange, RenameOutcome, Result, SessionId, SessionStore, Ttl, Write};
    ///
    /// /// Logs a user in: the session goes on under a new id, which is returned.
    /// async fn login(store: &dyn SessionStore, id: &SessionId, user: Owner, ttl: Ttl) -> Result<Option<SessionId>> {
    ///     let Some(record) = store.read(&id.key()).await? else { return Ok(None) };
    ///     let new_id = id.rotate();
    ///     let write = Write::new(record.data, ttl).owner(OwnerChange::Set(user));
    ///     match store.rename(&id.key(), &new_id.key(), write, record.version).await? {
    ///         RenameOutcome::Renamed => Ok(Some(new_id)),
    ///         RenameOutcome::Conflict(_) | RenameOutcome::Occupied => Ok(None), // or merge, and try again
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`write`](Self::write). After
    /// [`may_have_applied`](crate::Error::may_have_applied), do not hand out the new id: the
    /// session may live on under the old key, or have ended. Draw another new id for another
    /// attempt.
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        rename::rename_by_write_and_delete(self, old, new, write, expected).await
    }

    /// Many [`read`](Self::read)s in one call (promise 9). Provided: one call per item, [run
    /// concurrently](Self#9-batches).
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        side_by_side(keys, |key| key, |key| self.read(key)).await
    }

    /// Many [`write`](Self::write)s in one call (promise 9). Provided: one call per item, [run
    /// concurrently](Self#9-batches).
    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        side_by_side(items, |item| &item.key, |item| self.write(&item.key, item.write.clone(), item.when))
            .await
    }

    /// Many [`touch`](Self::touch)es in one call (promise 9). Provided: one call per item, [run
    /// concurrently](Self#9-batches).
    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        side_by_side(items, |item| &item.key, |item| self.touch(&item.key, item.ttl)).await
    }

    /// Many [`delete`](Self::delete)s in one call (promise 9). Provided: one call per item, [run
    /// concurrently](Self#9-batches).
    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        side_by_side(items, |item| &item.key, |item| self.delete(&item.key, item.expected)).await
    }

    /// Checks whether the store can serve now, for readiness probes. Provided: reads a key that no
    /// session has.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn ping(&self) -> Result<()> {
        let unused = SessionKey::from_bytes([0; SessionKey::LEN]);
        self.read(&unused).await.map(drop).map_err(|error| error.during(Operation::Ping))
    }

    /// Lets operations in flight finish, then ends the connections and background tasks of all
    /// handles on this store.
    ///
    /// Later operations may fail with [`Closed`](crate::ErrorKind::Closed) (promise 17). Closing
    /// twice is fine. Dropping the last handle without closing also ends everything, but waits for
    /// nothing. Provided: does nothing.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if operations in flight do not finish within
    /// the deadline. The store is closed all the same, and these operations may still take effect.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// The maximum length of the data that [`write`](Self::write) accepts, in bytes.
    fn max_data_len(&self) -> usize {
        DEFAULT_MAX_DATA_LEN
    }

    /// The owner index, if this store has one.
    fn owners(&self) -> Option<&dyn OwnerIndex> {
        None
    }

    /// Listing, counting and purging, if this store supports them.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }

    /// The stream of changes, if this store has one.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }
}
