use crate::{
    DeleteOutcome, Error, Expected, Operation, OwnerChange, RenameOutcome, Result, SessionKey, SessionStore,
    Version, When, Write, WriteOutcome,
};

/// The provided [`SessionStore::rename`], for stores whose engine cannot do it in one step.
///
/// The new record comes first, so that no crash loses the session; the old one is deleted under its version, so that of
/// several renames, writes and deletes one wins; and until that delete has said so, nobody is given the new key.
pub(crate) async fn by_write_and_delete<S: SessionStore + ?Sized>(
    store: &S,
    old: &SessionKey,
    new: &SessionKey,
    mut write: Write,
    expected: Version,
) -> Result<RenameOutcome> {
    let written = write.version;
    let current = match store.read(old).await.map_err(as_rename)? {
        Some(record) if record.version == expected => record,
        other => {
            // An earlier attempt with the same write may have stopped before its undo.
            undo(store, new, written).await?;
            return Ok(RenameOutcome::Conflict(other));
        }
    };
    write.owner = match write.owner.apply(current.owner) {
        Some(owner) => OwnerChange::Set(owner),
        None => OwnerChange::Clear,
    };
    if let WriteOutcome::Conflict(_) = store.write(new, write, When::Absent).await.map_err(as_rename)? {
        return Ok(RenameOutcome::Occupied);
    }
    match store.delete(old, Expected::Version(expected)).await {
        Ok(DeleteOutcome::Deleted) => Ok(RenameOutcome::Renamed),
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
    Error::new(error.kind(), Operation::Rename).with_source(error)
}
