use std::fmt;

use async_trait::async_trait;

use crate::{
    DeleteItem, DeleteOutcome, Expected, Maintenance, Operation, OwnerIndex, Record, RenameOutcome, Result,
    SessionKey, TouchItem, Ttl, Version, Watch, When, Write, WriteItem, WriteOutcome, rename,
    side_by_side::side_by_side,
};

/// The longest data that a store accepts unless it is configured otherwise: 1 MiB.
pub const DEFAULT_MAX_DATA_LEN: usize = 1 << 20;

/// A place where sessions are kept: opaque bytes under a key, with a time to live, a version and an owner.
///
/// Four operations are required: [`read`](Self::read), [`write`](Self::write), [`touch`](Self::touch) and
/// [`delete`](Self::delete). All others are provided in terms of these, correctly; a store overrides them where it can do
/// better. Optional abilities are reached through [`owners`](Self::owners), [`maintenance`](Self::maintenance) and
/// [`watch`](Self::watch).
///
/// The trait is dyn-compatible, and `Arc<S>` is a store for every store `S`, `Arc<dyn SessionStore>` included. How to write one:
/// [`implementing`](crate::implementing). Whether it keeps the promises: run `session-conformance` on it.
///
/// # Contract
///
/// A store never sees a session id and never decodes the data. A record is *live* from the write that created it until it
/// is deleted, renamed away, or its ttl has passed; only live records exist as far as callers can tell.
///
/// ## 1. Conditional write
/// `write` with [`When::Version`]`(v)` takes effect exactly when the live record has version `v`,
/// and with [`When::Absent`] exactly when nothing live is there. The check and the change are one
/// step: of any number of concurrent writers with the same condition, one wins. A write whose
/// version is the live record's already is the same write delivered again: it changes nothing and
/// reports [`WriteOutcome::Written`].
///
/// Otherwise nothing changes, and the outcome is a conflict. A conflict carries the data, version,
/// owner and `expires_in` of one record, all as they were at one moment *after* the condition had
/// failed, or `None` if nothing was live then. The same holds for a conflict of an item in a batch,
/// and for that of a rename, which carries the record under the old key. So a caller can merge and
/// try again without a read.
///
/// ## 2. Deleted stays deleted
/// After `delete` has returned [`Deleted`](DeleteOutcome::Deleted) or [`Absent`](DeleteOutcome::Absent), no
/// [`When::Version`] write, touch or rename, whenever it began, brings the record back, and neither does a
/// cache, a purge or a repair of an index. A write with [`When::Absent`] or [`When::Any`] that overlaps the delete may be ordered
/// after it, even if its caller has given up; therefore a store never sends these again after a failure that leaves
/// open whether they were applied.
///
/// ## 3. Read your writes
/// When a change has returned, every later read through any handle on the same primary sees it or a later one. A cache or a replica may
/// declare a bound on how stale *reads through other handles* can be. Conditions are never judged by stale data.
///
/// ## 4. Expiry
/// A record is visible until its ttl has passed, counted in milliseconds by the clock of the serving node from the
/// moment the write or touch took effect, and never after, whether or not its space was freed. That clock is read after any lock was
/// waited for, so that no wait revives an expired record. An expired record is absent for every operation. Where readers do not wait for
/// writers, a read that overlaps the change which keeps a record alive can find it expired already.
///
/// ## 5. Touch
/// `touch` moves the expiry, in either direction, and nothing else: data, version and owner stay, and a concurrent
/// write is not lost. What is absent stays absent, and the answer is `false`.
///
/// ## 6. Rename
/// `rename` reports [`Renamed`](RenameOutcome::Renamed) only after this call, or an earlier one
/// with the same write, has removed the old record, which had the expected version, and the new one
/// is live. If the old record was gone or changed otherwise, nothing of the new one remains. A
/// crash or a dropped future leaves at most a record under a key that was handed out to no caller.
///
/// A rename whose write is the live record's under the new key, while nothing is live under the old
/// one, is the same rename delivered again: it changes nothing, not even the expiry, and reports
/// `Renamed`. Once the new record was written over, was ended or has expired, another delivery
/// changes nothing and reports `Conflict(None)`; and while another record is live under the old key,
/// it changes nothing and reports a conflict with that. A store that cannot rename in one step knows a
/// rename again for at least a quarter of its ttl, unless a touch has shortened that, or prolonged it by
/// less than two minutes. Later, it may
/// take the new record for what a dropped attempt has left, end it if it is still that of this
/// write, and report `Conflict(None)`.
///
/// ## 7. Bytes
/// Data comes back exactly as written, from empty to [`max_data_len`](Self::max_data_len). More is
/// [`TooLarge`](crate::ErrorKind::TooLarge) and changes nothing. The `Debug` of a store shows neither data nor owners.
///
/// ## 8. Owner index
/// Where [`owners`](Self::owners) is there: it never misses a live session, whatever client crashed where. Deleting by
/// owner ends every session of that owner that existed when the call began, also if renamed meanwhile. It may
/// also end sessions created during the call, and need not follow one that an overlapping write gave to another owner.
///
/// ## 9. Batches
/// `read_many`, `write_many`, `touch_many` and `delete_many` return one result per item, in the order of the items, and mean
/// what the single operations mean. Items of one key are carried out one after another, in their order; items of different
/// keys in any order, or at the same time. The same key may occur more than once. An item that fails does not harm the
/// others. A batch is not a transaction: others may see part of it.
///
/// As provided, a batch makes one call for each item, and has the calls of at most 16 different keys under way at once. All of them run inside
/// the caller's future, on any runtime. A batch that is dropped leaves each of these calls as if it had been dropped alone,
/// and makes no other. So 64 items of different keys take as long as four calls one after another. A store overrides these methods
/// if its engine takes many items in one round trip.
///
/// ## 10. Isolation
/// Two stores with different namespaces (a key prefix, a table, a collection) never see each other's records.
///
/// ## 11. Cancellation
/// Any future may be dropped at any point. The record is then as before or as after, whole, and the store is usable. A dropped
/// change may still be applied.
///
/// ## 12. Outage
/// A server that is unreachable, frozen or failing gives [`Unavailable`](crate::ErrorKind::Unavailable) within the
/// configured deadline, never an empty result. A batch that a store carries out in parts has that deadline for each part.
/// When the server is back, so is the store, by itself.
///
/// ## 13. Unknown outcome
/// When the reply to a change was lost, the store finds out by the version what came of it, or reports
/// `Unavailable { may_have_applied: true }`. No layer re-runs such a change by itself: nothing counts twice.
///
/// ## 14. Watch
/// Where [`watch`](Self::watch) is there: every change that takes effect while there is a listener is
/// reported, or an [`Event::Missed`](crate::Event::Missed) says that some were not. A touch that
/// only prolongs may go unreported. An expiry is reported when its space is freed, which can be late. An event means "may have changed": its kind is a hint, and
/// there may be more events than changes. A listener hears changes by all nodes, its own included.
/// No event comes before its change: a listener that reads the key when it hears the event finds
/// that change or a later one. Only a cache or a replica can still show what was before, within its
/// bound of promise 3.
///
/// ## 15. Foreign bytes
/// What is under our keys but is not ours (another type, damaged, a newer format) gives
/// [`Corrupt`](crate::ErrorKind::Corrupt) or [`Unsupported`](crate::ErrorKind::Unsupported): never
/// a panic, never an empty session. A conditional write or a rename never overwrites it. A write
/// with [`When::Any`] replaces it, or fails in the same way. A delete with [`Expected::Any`]
/// removes it, and reports [`Deleted`](DeleteOutcome::Deleted); then the key is free again. So a
/// logout works whatever it meets.
///
/// ## 16. Maintenance
/// Where [`maintenance`](Self::maintenance) is there: paging meets every record that is live
/// throughout, and ends; counting counts the live, and purging removes nothing that is live, not
/// even a record that was re-created or touched meanwhile. No limit and no cursor, wherever it
/// comes from, makes a panic, a listing without end, or a look into another namespace.
///
/// ## 17. Close
/// [`close`](Self::close) lets what is under way finish. Closing again is fine. Afterwards,
/// whatever `close` has returned, every operation works as before or fails as
/// [`Closed`](crate::ErrorKind::Closed), and none hangs: the single ones and `rename`, each item of
/// a batch, `ping`, and those of the owner index and of maintenance. What begins while the store is
/// being closed does one or the other as well. (An operation that is refused for its arguments may
/// still be refused for these.) Streams of events have ended, and what was not read of them may be lost; [`subscribe`](Watch::subscribe)
/// fails as `Closed`.
///
/// Promises 1 to 3, 6 and 8 hold within the acknowledged history that the primary retains; each backend documents what its engine can
/// take back after a failover or a crash.
///
/// # Errors
///
/// Where nothing else is said, an operation fails with
/// * [`Unavailable`](crate::ErrorKind::Unavailable) if no answer could be had within the store's deadline,
/// * [`Corrupt`](crate::ErrorKind::Corrupt) or [`Unsupported`](crate::ErrorKind::Unsupported) by promise 15,
/// * [`Closed`](crate::ErrorKind::Closed) after [`close`](Self::close),
/// * [`Internal`](crate::ErrorKind::Internal) for a defect of the store or its driver.
///
/// # Example
///
/// Two requests load the same session; each changes it; neither change is lost.
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
    /// The live record under `key`, or `None`.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors). `None` always means that the store was asked and nothing live is there.
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>>;

    /// Makes the record under `key` what `write` says if the condition holds (promises 1, 2 and 7). Also renews the ttl.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors), and [`TooLarge`](crate::ErrorKind::TooLarge) or
    /// [`Full`](crate::ErrorKind::Full).
    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome>;

    /// Lets the live record under `key` expire `ttl` from now (promise 5). `false` if nothing live is there.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool>;

    /// Ends the record under `key` if it is the expected one (promise 2). With [`Expected::Any`],
    /// also frees a key of what is no record (promise 15).
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome>;

    /// Replaces the record `old`, which must have version `expected`, by `write` under the key `new` (promise 6): what a login does, so that an
    /// id from before it is worth nothing.
    ///
    /// [`OwnerChange::Keep`](crate::OwnerChange::Keep) keeps the old record's owner. The new key must be freshly drawn, at best by
    /// [`SessionId::rotate`](crate::SessionId::rotate), which keeps the shard and lets partitioned engines do it atomically. A rename
    /// to the old key itself ends nothing: it is `Occupied`, or a write.
    ///
    /// As provided: reads the old record, creates the new one, deletes the old one under its version, and undoes the
    /// creation if that fails; then it gives the new one its whole ttl, by which it knows itself when it is delivered again, for a quarter of that ttl, and for all of one under two minutes. Four
    /// round trips; for a moment, both keys can be read.
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
    /// Those of [`write`](Self::write). After [`may_have_applied`](crate::Error::may_have_applied), give the new
    /// id to nobody: the session may live on under the old key, or have ended. Another attempt takes another new id.
    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        rename::rename_by_write_and_delete(self, old, new, write, expected).await
    }

    /// Many [`read`](Self::read)s at once (promise 9). As provided: one call for each item, [side by
    /// side](Self#9-batches).
    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        side_by_side(keys, |key| key, |key| self.read(key)).await
    }

    /// Many [`write`](Self::write)s at once (promise 9). As provided: one call for each item, [side by
    /// side](Self#9-batches).
    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        side_by_side(items, |item| &item.key, |item| self.write(&item.key, item.write.clone(), item.when))
            .await
    }

    /// Many [`touch`](Self::touch)es at once (promise 9). As provided: one call for each item, [side by
    /// side](Self#9-batches).
    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        side_by_side(items, |item| &item.key, |item| self.touch(&item.key, item.ttl)).await
    }

    /// Many [`delete`](Self::delete)s at once (promise 9). As provided: one call for each item, [side by
    /// side](Self#9-batches).
    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        side_by_side(items, |item| &item.key, |item| self.delete(&item.key, item.expected)).await
    }

    /// Whether the store can serve now: for readiness probes. As provided: reads a key that no session has.
    ///
    /// # Errors
    /// Those of the [trait](Self#errors).
    async fn ping(&self) -> Result<()> {
        let unused = SessionKey::from_bytes([0; SessionKey::LEN]);
        self.read(&unused).await.map(drop).map_err(|error| error.during(Operation::Ping))
    }

    /// Lets what is under way finish, then ends connections and background tasks of all handles on this store.
    ///
    /// Later operations may fail with [`Closed`](crate::ErrorKind::Closed) (promise 17). Closing
    /// twice is fine. Dropping the last handle without closing also ends everything, but waits for
    /// nothing. As provided: does nothing.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if what is under way does not finish within
    /// the deadline. The store is closed all the same, and what is under way may still take effect.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// The longest data that [`write`](Self::write) accepts, in bytes.
    fn max_data_len(&self) -> usize {
        DEFAULT_MAX_DATA_LEN
    }

    /// The index of owners, if this store has one.
    fn owners(&self) -> Option<&dyn OwnerIndex> {
        None
    }

    /// Listing, counting and purging, if this store can.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }

    /// The stream of changes, if this store has one.
    fn watch(&self) -> Option<&dyn Watch> {
        None
    }
}
