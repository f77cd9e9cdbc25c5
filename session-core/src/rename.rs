use crate::{
    DeleteOutcome, Expected, OwnerChange, RenameOutcome, Result, SessionKey, SessionStore, Version, When,
    Write, WriteOutcome,
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
    let current = match store.read(old).await? {
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
    if let WriteOutcome::Conflict(_) = store.write(new, write, When::Absent).await? {
        return Ok(RenameOutcome::Occupied);
    }
    match store.delete(old, Expected::Version(expected)).await {
        Ok(DeleteOutcome::Deleted) => Ok(RenameOutcome::Renamed),
        Ok(DeleteOutcome::Absent | DeleteOutcome::Conflict) => {
            undo(store, new, written).await?;
            store.read(old).await.map(RenameOutcome::Conflict)
        }
        Err(error) if error.may_have_applied() => Err(error),
        Err(error) => {
            undo(store, new, written).await?;
            Err(error)
        }
    }
}

/// Takes back what this rename created, and nothing else.
async fn undo<S: SessionStore + ?Sized>(store: &S, new: &SessionKey, written: Version) -> Result<()> {
    store.delete(new, Expected::Version(written)).await.map(drop)
}
