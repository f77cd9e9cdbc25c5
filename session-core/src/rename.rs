use std::time::Duration;

use crate::{
    DeleteOutcome, Error, Expected, Operation, OwnerChange, RenameOutcome, Result, SessionKey, SessionStore,
    Ttl, Version, When, Write, WriteOutcome,
};

/// The provided [`SessionStore::rename`], for stores whose engine cannot rename in one step.
///
/// Stores that wrap another type, such as a batch-only backend, call it with their single
/// operations.
///
/// It creates the new record first, so that no crash loses the session. It deletes the old record
/// under its version, so that one of several renames, writes and deletes wins. No caller is given
/// the new key until that delete has succeeded.
///
/// It gives the new record its whole ttl last. By that ttl, a redelivered rename recognises itself.
/// A new record without a live old one can also be the remains of an attempt that was dropped
/// before a logout ended the old one. Such a record must not be handed out.
///
/// # Errors
/// Those of [`SessionStore::rename`].
pub async fn rename_by_write_and_delete<S: SessionStore + ?Sized>(
    store: &S,
    old: &SessionKey,
    new: &SessionKey,
    mut write: Write,
    expected: Version,
) -> Result<RenameOutcome> {
    let (written, ttl) = (write.version, write.ttl);
    let current = match store.read(old).await.map_err(as_rename)? {
        Some(record) if record.version == expected => record,
        other => {
            let is_complete = is_complete(store, new, &write).await?;
            if is_complete && other.is_none() {
                return Ok(RenameOutcome::Renamed);
            }
            if !is_complete {
                // An earlier attempt with the same write may have stopped before its undo.
                undo(store, new, written).await?;
            }
            return Ok(RenameOutcome::Conflict(other));
        }
    };
    write.owner = match write.owner.apply(current.owner) {
        Some(owner) => OwnerChange::Set(owner),
        None => OwnerChange::Clear,
    };
    write.ttl = first_ttl(ttl);
    if let WriteOutcome::Conflict(_) = store.write(new, write, When::Absent).await.map_err(as_rename)? {
        return Ok(RenameOutcome::Occupied);
    }
    match store.delete(old, Expected::Version(expected)).await {
        Ok(DeleteOutcome::Deleted) => match store.touch(new, ttl).await {
            Ok(true) => Ok(RenameOutcome::Renamed),
            // A deletion of all sessions of the owner has already ended it under its new key.
            Ok(false) => Ok(RenameOutcome::Conflict(None)),
            Err(error) => Err(Error::unavailable(Operation::Rename, true).with_source(error)),
        },
        Ok(DeleteOutcome::Absent | DeleteOutcome::Conflict) => {
            undo(store, new, written).await?;
            store.read(old).await.map(RenameOutcome::Conflict).map_err(as_rename)
        }
        Err(error) if error.may_have_applied() => Err(as_rename(error)),
        Err(error) => {
            undo(store, new, written).await?;
            Err(as_rename(error))
        }
    }
}

/// The ttl of the new record until the old one is deleted.
///
/// It leaves enough time for that and is clearly different from the whole ttl: half of a long ttl,
/// and more than the whole of a short one.
fn first_ttl(ttl: Ttl) -> Ttl {
    const LEAST: Duration = Duration::from_mins(1);
    let (half, whole) = (ttl.as_duration() / 2, ttl.as_duration());
    Ttl::new(if half >= LEAST { half } else { whole + 2 * LEAST }).unwrap_or(ttl)
}

/// Returns true if this very rename has given the new record its whole ttl, not long ago.
async fn is_complete<S: SessionStore + ?Sized>(store: &S, new: &SessionKey, write: &Write) -> Result<bool> {
    let record = store.read(new).await.map_err(as_rename)?;
    let (first, whole) = (first_ttl(write.ttl).as_duration(), write.ttl.as_duration());
    let is_ready = |left: Duration| {
        // A touch may have prolonged it since then.
        if first > whole { left <= whole || left > first } else { left > (first + whole) / 2 }
    };
    Ok(record.is_some_and(|record| record.version == write.version && is_ready(record.expires_in)))
}

/// Deletes what this rename created, and nothing else. If that fails, the new record may remain,
/// under a key that no caller was given.
async fn undo<S: SessionStore + ?Sized>(store: &S, new: &SessionKey, written: Version) -> Result<()> {
    match store.delete(new, Expected::Version(written)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::unavailable(Operation::Rename, true)
            .because("the new record could not be taken back")
            .with_source(error)),
    }
}

/// The same failure, reported as one of the operation that the caller has called.
fn as_rename(error: Error) -> Error {
    error.during(Operation::Rename)
}
