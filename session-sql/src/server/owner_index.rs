use std::time::Instant;

use session_core::{Error, ErrorKind, Event, Operation, Owner, OwnerIndex, Result, SessionKey, async_trait};

use super::{
    backend::SqlBackend,
    core::{Core, Job},
    dialect::{Connection, Dialect, SqlResult},
};

#[derive(Debug)]
struct List(Owner);

#[derive(Debug)]
struct Count(Owner);

/// Ends the sessions that an owner has now.
#[derive(Debug)]
struct DeleteOwner {
    owner: Owner,
    except: Option<SessionKey>,
}

#[async_trait]
impl<D: Dialect> OwnerIndex for SqlBackend<D> {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.core.run(List(owner.clone())).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        number(Operation::CountOwner, self.core.run(Count(owner.clone())).await?)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let mut ended = Vec::new();
        let begun = Instant::now();
        loop {
            // A session that was renamed in the meantime exists under another key, and the next
            // pass finds it.
            let job = DeleteOwner { owner: owner.clone(), except: except.copied() };
            let (keys, moved) = self.core.run(job).await.map_err(|error| {
                if ended.is_empty() || !error.is_transient() {
                    return error;
                }
                Error::unavailable(Operation::DeleteOwner, true).because("some were ended").with_source(error)
            })?;
            self.core.changed(keys.iter().copied());
            ended.extend(keys);
            if !moved {
                return Ok(ended);
            }
            if begun.elapsed() > self.core.deadline {
                let error = Error::unavailable(Operation::DeleteOwner, true);
                return Err(
                    error.because("the owner's sessions were renamed or created as fast as they were ended")
                );
            }
        }
    }
}

/// Converts the result of a count statement.
pub(crate) fn number(operation: Operation, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|error| {
        Error::new(ErrorKind::Internal, operation).because("a count was negative").with_source(error)
    })
}

impl<D: Dialect> Job<D> for List {
    type Outcome = Vec<SessionKey>;
    const OPERATION: Operation = Operation::ListOwner;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        core.dialect.list_owner(connection, &self.0).await
    }
}

impl<D: Dialect> Job<D> for Count {
    type Outcome = i64;
    const OPERATION: Operation = Operation::CountOwner;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<i64> {
        core.dialect.count_owner(connection, &self.0).await
    }
}

impl<D: Dialect> Job<D> for DeleteOwner {
    type Outcome = (Vec<SessionKey>, bool);
    const OPERATION: Operation = Operation::DeleteOwner;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        let (ended, moved) = core.dialect.delete_owner(connection, &self.owner, self.except.as_ref()).await?;
        for key in &ended {
            core.dialect.tell(Event::Deleted { key: *key });
        }
        Ok((ended, moved))
    }
}
