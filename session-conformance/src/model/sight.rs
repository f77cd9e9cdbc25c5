use std::{collections::BTreeSet, fmt};

use session_core::{
    DeleteItem, DeleteOutcome, Expected, Owner, Record, RenameOutcome, SessionId, SessionKey, SessionStore,
    Version, When, WriteItem, WriteOutcome,
};

use super::By;
use crate::{
    assertions::write,
    extensions,
    failure::{Checked, Failure, ensure_eq},
};

/// A way of seeing what is under a key without changing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Read,
    ReadMany,
    /// The record in the conflict of a write with a version that never existed.
    Conflict(By),
    /// The record in the conflict of a write with `Absent`. Only for a live record.
    Occupied(By),
    /// The record in the conflict of a rename with a version that never existed.
    RenameConflict,
    /// Whether a delete with a version that never existed finds a record.
    DeleteConflict(By),
}

/// What was seen under a key: the record, or only whether there is one.
#[derive(Debug)]
pub(crate) enum Seen {
    Record(Option<Record>),
    Presence(bool),
}

impl Sight {
    pub(crate) const ALL: [Self; 9] = [
        Self::Read,
        Self::ReadMany,
        Self::Conflict(By::Single),
        Self::Conflict(By::Batch),
        Self::Occupied(By::Single),
        Self::Occupied(By::Batch),
        Self::RenameConflict,
        Self::DeleteConflict(By::Single),
        Self::DeleteConflict(By::Batch),
    ];

    /// Returns true if it would create a record where none is live.
    pub(crate) fn needs_a_record(self) -> bool {
        matches!(self, Self::Occupied(_))
    }

    /// Returns true if it is a read, which may be stale through another handle if that is declared.
    /// Conditions are never judged by stale data.
    pub(crate) fn may_be_stale(self) -> bool {
        matches!(self, Self::Read | Self::ReadMany)
    }

    pub(crate) async fn look(self, store: &dyn SessionStore, key: &SessionKey) -> Checked<Seen> {
        let never = Version::random();
        Ok(match self {
            Self::Read => Seen::Record(store.read(key).await?),
            Self::ReadMany => {
                let other = SessionId::generate().key();
                let mut found = Vec::new();
                for result in store.read_many(&[*key, *key, other]).await {
                    found.push(result?);
                }
                let [first, second, None] = <[_; 3]>::try_from(found).map_err(|found| {
                    Failure::new(format!("{} results of a batch of 3 reads", found.len()))
                })?
                else {
                    return Err(Failure::new(
                        "a batched read shows a record under a key that never was used",
                    ));
                };
                let versions = [&first, &second].map(|found| found.as_ref().map(|record| record.version));
                ensure_eq!(
                    versions[0],
                    versions[1],
                    "a key that stands twice in a batched read has two records"
                );
                Seen::Record(second)
            }
            Self::Conflict(by) => Seen::Record(conflict(store, key, by, When::Version(never)).await?),
            Self::Occupied(by) => Seen::Record(conflict(store, key, by, When::Absent).await?),
            Self::RenameConflict => {
                let new = SessionId::generate().key();
                match store.rename(key, &new, write("never"), never).await? {
                    RenameOutcome::Conflict(found) => Seen::Record(found),
                    other => {
                        return Err(Failure::new(format!(
                            "a rename with a version that never was: {other:?}"
                        )));
                    }
                }
            }
            Self::DeleteConflict(by) => {
                let expected = Expected::Version(never);
                let outcome = match by {
                    By::Single => store.delete(key, expected).await?,
                    By::Batch => {
                        let other = DeleteItem { key: SessionId::generate().key(), expected: Expected::Any };
                        let items = [other, DeleteItem { key: *key, expected }];
                        last_of_two(store.delete_many(&items).await)?
                    }
                };
                match outcome {
                    DeleteOutcome::Conflict => Seen::Presence(true),
                    DeleteOutcome::Absent => Seen::Presence(false),
                    DeleteOutcome::Deleted => {
                        return Err(Failure::new("a delete with a version that never was ended a record"));
                    }
                }
            }
        })
    }
}

async fn conflict(store: &dyn SessionStore, key: &SessionKey, by: By, when: When) -> Checked<Option<Record>> {
    let outcome = match by {
        By::Single => store.write(key, write("never"), when).await?,
        By::Batch => {
            let other = WriteItem {
                key: SessionId::generate().key(),
                write: write("never"),
                when: When::Version(Version::random()),
            };
            let items = [other, WriteItem { key: *key, write: write("never"), when }];
            last_of_two(store.write_many(&items).await)?
        }
    };
    match outcome {
        WriteOutcome::Conflict(found) => Ok(found),
        WriteOutcome::Written => {
            Err(Failure::new(format!("a write took effect whose condition does not hold ({when:?})")))
        }
    }
}

fn last_of_two<T>(results: Vec<session_core::Result<T>>) -> Checked<T> {
    ensure_eq!(results.len(), 2, "one result for each item");
    let mut last = None;
    for result in results {
        last = Some(result?);
    }
    last.ok_or_else(|| Failure::new("no result"))
}

/// The sessions in the list of an owner.
pub(crate) async fn listed(store: &dyn SessionStore, owner: &Owner) -> Checked<Option<BTreeSet<SessionKey>>> {
    let Some(owners) = store.owners() else { return Ok(None) };
    let keys = owners.list(owner).await?;
    let listed: BTreeSet<_> = keys.iter().copied().collect();
    ensure_eq!(listed.len(), keys.len(), "the list of an owner's sessions repeats one");
    Ok(Some(listed))
}

/// The number of sessions of an owner, by the count.
pub(crate) async fn counted(store: &dyn SessionStore, owner: &Owner) -> Checked<u64> {
    let owners = extensions::owners(store)?;
    Ok(owners.count(owner).await?)
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadMany => "read_many",
            Self::Conflict(By::Single) => "the conflict of a write with another version",
            Self::Conflict(By::Batch) => "the conflict of a batched write with another version",
            Self::Occupied(By::Single) => "the conflict of a write with Absent",
            Self::Occupied(By::Batch) => "the conflict of a batched write with Absent",
            Self::RenameConflict => "the conflict of a rename",
            Self::DeleteConflict(By::Single) => "the conflict of a delete",
            Self::DeleteConflict(By::Batch) => "the conflict of a batched delete",
        })
    }
}
