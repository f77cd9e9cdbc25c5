use std::{collections::BTreeSet, fmt};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Operation, Owner, OwnerChange, RenameOutcome,
    SessionKey, SessionStore, TouchItem, Version, When, Write, WriteItem, WriteOutcome,
};

/// One change of one record, or of all records of an owner, with all its values.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Write(WriteItem),
    Touch(TouchItem),
    Delete(DeleteItem),
    Rename { old: SessionKey, new: SessionKey, write: Write, expected: Version },
    DeleteOwner { owner: Owner, except: Option<SessionKey> },
}

/// Whether changes are sent one by one or in a batch. Renames and deletions by owner have no
/// batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Single,
    Batch,
}

/// The answer to a change. `R` is the type of a conflict's record: as the store returns it, or as
/// the contract requires it.
#[derive(Clone, Debug)]
pub(crate) enum Answer<R> {
    Written,
    WriteConflict(Option<R>),
    Touched(bool),
    Deleted(DeleteOutcome),
    Renamed,
    RenameConflict(Option<R>),
    Occupied,
    Ended(BTreeSet<SessionKey>),
}

type Record = session_core::Record;

impl From<WriteOutcome> for Answer<Record> {
    fn from(outcome: WriteOutcome) -> Self {
        match outcome {
            WriteOutcome::Written => Self::Written,
            WriteOutcome::Conflict(record) => Self::WriteConflict(record),
        }
    }
}

impl From<RenameOutcome> for Answer<Record> {
    fn from(outcome: RenameOutcome) -> Self {
        match outcome {
            RenameOutcome::Renamed => Self::Renamed,
            RenameOutcome::Conflict(record) => Self::RenameConflict(record),
            RenameOutcome::Occupied => Self::Occupied,
        }
    }
}

/// Sends changes to the store and returns an answer for each. A batch holds changes of one kind.
pub(crate) async fn carry_out(
    store: &dyn SessionStore,
    items: &[Item],
    by: By,
) -> Vec<Result<Answer<Record>, Error>> {
    if by == By::Batch {
        return carry_out_batch(store, items).await;
    }
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        answers.push(carry_out_one(store, item).await);
    }
    answers
}

async fn carry_out_one(store: &dyn SessionStore, item: &Item) -> Result<Answer<Record>, Error> {
    Ok(match item.clone() {
        Item::Write(WriteItem { key, write, when }) => store.write(&key, write, when).await?.into(),
        Item::Touch(TouchItem { key, ttl }) => Answer::Touched(store.touch(&key, ttl).await?),
        Item::Delete(DeleteItem { key, expected }) => Answer::Deleted(store.delete(&key, expected).await?),
        Item::Rename { old, new, write, expected } => store.rename(&old, &new, write, expected).await?.into(),
        Item::DeleteOwner { owner, except } => {
            let owners =
                store.owners().ok_or_else(|| Error::new(ErrorKind::Internal, Operation::DeleteOwner))?;
            let ended = owners.delete_all(&owner, except.as_ref()).await?;
            let keys: BTreeSet<_> = ended.iter().copied().collect();
            if keys.len() < ended.len() {
                let reason = "delete_all returned a key twice";
                return Err(Error::new(ErrorKind::Internal, Operation::DeleteOwner).because(reason));
            }
            Answer::Ended(keys)
        }
    })
}

async fn carry_out_batch(store: &dyn SessionStore, items: &[Item]) -> Vec<Result<Answer<Record>, Error>> {
    let (mut writes, mut touches, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Write(item) => writes.push(item.clone()),
            Item::Touch(item) => touches.push(*item),
            Item::Delete(item) => deletes.push(*item),
            Item::Rename { .. } | Item::DeleteOwner { .. } => return carry_out_alone(store, item).await,
        }
    }
    if !writes.is_empty() {
        store.write_many(&writes).await.into_iter().map(|outcome| outcome.map(Answer::from)).collect()
    } else if !touches.is_empty() {
        store.touch_many(&touches).await.into_iter().map(|touched| touched.map(Answer::Touched)).collect()
    } else {
        store.delete_many(&deletes).await.into_iter().map(|outcome| outcome.map(Answer::Deleted)).collect()
    }
}

async fn carry_out_alone(store: &dyn SessionStore, item: &Item) -> Vec<Result<Answer<Record>, Error>> {
    vec![carry_out_one(store, item).await]
}

/// Describes the change in one line, for the output of a failing run.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = |change: &OwnerChange| match change {
            OwnerChange::Keep => String::new(),
            OwnerChange::Set(owner) => format!(", owner {:?}", owner.as_str()),
            OwnerChange::Clear => ", owner cleared".to_owned(),
        };
        match self {
            Self::Write(WriteItem { key, write, when }) => {
                let when = match when {
                    When::Absent => "Absent".to_owned(),
                    When::Any => "Any".to_owned(),
                    When::Version(version) => format!("{version:?}"),
                };
                let (len, ttl) = (write.data.len(), write.ttl.as_duration());
                let (version, owner) = (write.version, owner(&write.owner));
                write!(f, "write {len} bytes as {version:?} under {key:?} if {when}, ttl {ttl:?}{owner}")
            }
            Self::Touch(TouchItem { key, ttl }) => write!(f, "touch {key:?}, ttl {:?}", ttl.as_duration()),
            Self::Delete(DeleteItem { key, expected: Expected::Any }) => write!(f, "delete {key:?}"),
            Self::Delete(DeleteItem { key, expected }) => write!(f, "delete {key:?} if {expected:?}"),
            Self::Rename { old, new, write, expected } => {
                let (len, ttl, owner) = (write.data.len(), write.ttl.as_duration(), owner(&write.owner));
                let version = write.version;
                write!(
                    f,
                    "rename {old:?} to {new:?} if {expected:?}, {len} bytes as {version:?}, ttl {ttl:?}{owner}"
                )
            }
            Self::DeleteOwner { owner, except } => {
                write!(f, "delete all sessions of {:?}", owner.as_str())?;
                except.map_or(Ok(()), |key| write!(f, " but {key:?}"))
            }
        }
    }
}
