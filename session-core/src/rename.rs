use std::time::Duration;

use crate::{
    DeleteOutcome, Error, Expected, Operation, OwnerChange, RenameOutcome, Result, SessionKey, SessionStore,
    Ttl, Version, When, Write, WriteOutcome,
};

/// The provided [`SessionStore::rename`], for stores whose engine cannot do it in one step.
///
/// Stores that are made of another type, such as a batch-only backend, call it with their single operations.
///
/// The new record comes first, so that no crash loses the session; the old one is deleted under its version, so that of
/// several renames, writes and deletes one wins; and until that delete has said so, nobody is given the new key.
///
/// The new record gets its whole ttl last. By that, this rename knows itself when it is delivered again: a new record without a live old one can
/// also be what is left of an attempt that was dropped halfway, before a logout ended the old one, and must not be handed out then.
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
            // Ended under its new key already, with all sessions of its owner.
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

/// The ttl of the new record until the old one is deleted: long enough for that, whatever the whole ttl is, and far from it. Half of a long one, and more
/// than the whole of a short one.
fn first_ttl(ttl: Ttl) -> Ttl {
    const LEAST: Duration = Duration::from_mins(1);
    let (half, whole) = (ttl.as_duration() / 2, ttl.as_duration());
    Ttl::new(if half >= LEAST { half } else { whole + 2 * LEAST }).unwrap_or(ttl)
}

/// Whether the new record of this very rename has got its whole ttl, not long ago.
async fn is_complete<S: SessionStore + ?Sized>(store: &S, new: &SessionKey, write: &Write) -> Result<bool> {
    let record = store.read(new).await.map_err(as_rename)?;
    let (first, whole) = (first_ttl(write.ttl).as_duration(), write.ttl.as_duration());
    let is_whole = |left: Duration| {
        // A touch may have prolonged it since.
        if first > whole { left <= whole || left > first } else { left > (first + whole) / 2 }
    };
    Ok(record.is_some_and(|record| record.version == write.version && is_whole(record.expires_in)))
}

/// Takes back what this rename created, and nothing else. If that fails, the new record may be there, under a key nobody was given.
async fn undo<S: SessionStore + ?Sized>(store: &S, new: &SessionKey, written: Version) -> Result<()> {
    match store.delete(new, Expected::Version(written)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::unavailable(Operation::Rename, true)
            .because("the new record could not be taken back")
            .with_source(error)),
    }
}

/// The same failure, of the operation that the caller knows of.
fn as_rename(error: Error) -> Error {
    error.during(Operation::Rename)
}
