//! The four operations that exist as batches, and the rename.

use session_core::{
    DeleteItem, DeleteOutcome, Error, Event, Operation, RenameOutcome, Result, SessionKey, TouchItem,
    Version, When, WriteItem, WriteOutcome,
};

use super::{
    batches::is_clear,
    core::{Core, Job, Verdict},
    dialect::{Connection, Dialect, SqlResult, after_change},
    record::Found,
};

/// Reads of at most as many keys as a statement takes.
#[derive(Debug)]
pub(crate) struct Read(pub(crate) Vec<SessionKey>);

/// Writes of different keys.
#[derive(Debug)]
pub(crate) struct Write(pub(crate) Vec<WriteItem>);

/// Touches of different keys.
#[derive(Debug)]
pub(crate) struct Touch(pub(crate) Vec<TouchItem>);

/// Deletes of different keys.
#[derive(Debug)]
pub(crate) struct Delete(pub(crate) Vec<DeleteItem>);

#[derive(Debug)]
pub(crate) struct Rename {
    pub(crate) old: SessionKey,
    pub(crate) new: SessionKey,
    pub(crate) write: session_core::Write,
    pub(crate) expected: Version,
}

impl<D: Dialect> Job<D> for Read {
    type Outcome = Found;
    const OPERATION: Operation = Operation::Read;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Found> {
        core.dialect.read(connection, &self.0).await
    }
}

/// Reads the keys of those items of a change that were not changed.
async fn look<D: Dialect>(
    core: &Core<D>,
    connection: &mut Connection<D>,
    operation: Operation,
    keys: &[SessionKey],
) -> SqlResult<Found> {
    if keys.is_empty() {
        return Ok(Found::new());
    }
    core.dialect.read(connection, keys).await.map_err(|error| after_change::<D>(operation, error))
}

/// The same result, with its failure attributed to the operation that the caller asked for.
fn of<T>(operation: Operation, found: Result<T>) -> Result<T> {
    found.map_err(|error| error.during(operation))
}

/// Returns true if an item conflicts with the very version that it expected. By the time that this
/// was found, nothing was in the item's way any more.
fn contradicts(((_, item), outcome): &((usize, &WriteItem), &Result<WriteOutcome>)) -> bool {
    match (item.when, outcome) {
        (When::Version(expected), Ok(WriteOutcome::Conflict(Some(found)))) => found.version == expected,
        _ => false,
    }
}

/// Writes the items, and reads what is stored under the keys that were not written.
async fn attempt<D: Dialect>(
    core: &Core<D>,
    connection: &mut Connection<D>,
    items: &[WriteItem],
) -> SqlResult<Vec<Result<WriteOutcome>>> {
    let written = core.dialect.write(connection, items).await?;
    for item in items.iter().filter(|item| written.keys.contains(&item.key)) {
        core.dialect.tell(Event::Changed { key: item.key, version: Some(item.write.version) });
    }
    let told = written.found.is_some();
    let mut found = written.found.unwrap_or_default();
    let is_unclear = |item: &&WriteItem| {
        if written.keys.contains(&item.key) {
            return false;
        }
        let seen = found.get(&item.key).map(|found| found.as_ref().map(|record| record.version));
        match (item.when, seen) {
            _ if !told => true,
            (_, Some(Ok(version))) if version == item.write.version => false,
            // Seeing the expected version does not explain the failure: the row has changed since.
            (When::Version(expected), Some(Ok(version))) => version == expected,
            (_, Some(Err(_))) | (When::Version(_), None) | (When::Absent, Some(Ok(_))) => false,
            (When::Absent, None) | (When::Any, _) => true,
        }
    };
    let unclear: Vec<SessionKey> = items.iter().filter(is_unclear).map(|item| item.key).collect();
    for key in &unclear {
        found.remove(key);
    }
    found.extend(look(core, connection, Operation::Write, &unclear).await?);
    let outcome = |item: &WriteItem| {
        if written.keys.contains(&item.key) {
            return Ok(WriteOutcome::Written);
        }
        match of(Operation::Write, found.remove(&item.key).transpose())? {
            // An earlier delivery of this write.
            Some(record) if record.version == item.write.version => Ok(WriteOutcome::Written),
            other => Ok(WriteOutcome::Conflict(other)),
        }
    };
    Ok(items.iter().map(outcome).collect())
}

impl<D: Dialect> Job<D> for Write {
    type Outcome = Vec<Result<WriteOutcome>>;
    const OPERATION: Operation = Operation::Write;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        let mut outcomes = attempt(core, connection, &self.0).await?;
        loop {
            // A server may judge a write by a change that a concurrent one is about to make, and
            // show the earlier state to the read that follows.
            let odd: Vec<usize> =
                (0..).zip(&self.0).zip(&outcomes).filter(contradicts).map(|((at, _), _)| at).collect();
            if odd.is_empty() {
                return Ok(outcomes);
            }
            let items: Vec<WriteItem> = odd.iter().map(|at| self.0[*at].clone()).collect();
            for (at, outcome) in odd.into_iter().zip(attempt(core, connection, &items).await?) {
                outcomes[at] = outcome;
            }
        }
    }

    /// The stored version shows whether a write arrived. If the server has ended the connection
    /// itself, nothing can arrive any more, and records that are all as expected show that nothing
    /// did.
    async fn find_out(
        &self,
        core: &Core<D>,
        connection: &mut Connection<D>,
        by_server: bool,
    ) -> SqlResult<Verdict<Self::Outcome>> {
        let keys: Vec<SessionKey> = self.0.iter().map(|item| item.key).collect();
        let found = core.dialect.read(connection, &keys).await?;
        let now = |item: &WriteItem| {
            found.get(&item.key).and_then(|found| found.as_ref().ok()).map(|record| record.version)
        };
        let as_expected =
            |item: &WriteItem| matches!(item.when, When::Version(expected) if now(item) == Some(expected));
        if by_server && self.0.iter().all(as_expected) {
            return Ok(Verdict::Undone);
        }
        let outcome = |item: &WriteItem| {
            if now(item) == Some(item.write.version) {
                core.dialect.tell(Event::Changed { key: item.key, version: Some(item.write.version) });
                return Ok(WriteOutcome::Written);
            }
            core.dialect.tell(Event::Missed);
            Err(Error::unavailable(Operation::Write, true).because("the connection was lost"))
        };
        Ok(Verdict::Done(self.0.iter().map(outcome).collect()))
    }
}

impl<D: Dialect> Job<D> for Touch {
    type Outcome = Vec<Result<bool>>;
    const OPERATION: Operation = Operation::Touch;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        let items = &self.0;
        let touched = core.dialect.touch(connection, items).await?;
        for key in &touched {
            core.dialect.tell(Event::Changed { key: *key, version: None });
        }
        let others = items.iter().map(|item| item.key).filter(|key| !touched.contains(key));
        let mut found = look(core, connection, Operation::Touch, &others.collect::<Vec<_>>()).await?;
        let outcome = |item: &TouchItem| {
            if touched.contains(&item.key) {
                return Ok(true);
            }
            // A record that is live now was created after the touch. A row that cannot be read
            // prevented it.
            of(Operation::Touch, found.remove(&item.key).transpose()).map(|_came_later| false)
        };
        Ok(items.iter().map(outcome).collect())
    }
}

impl<D: Dialect> Job<D> for Delete {
    type Outcome = Vec<Result<DeleteOutcome>>;
    const OPERATION: Operation = Operation::Delete;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        let items = &self.0;
        let deleted = core.dialect.delete(connection, items).await?;
        for key in &deleted {
            core.dialect.tell(Event::Deleted { key: *key });
        }
        let unclear =
            items.iter().filter(|item| !deleted.contains(&item.key) && !is_clear(item)).map(|item| item.key);
        let mut found = look(core, connection, Operation::Delete, &unclear.collect::<Vec<_>>()).await?;
        let outcome = |item: &DeleteItem| {
            if deleted.contains(&item.key) {
                return Ok(DeleteOutcome::Deleted);
            }
            if is_clear(item) {
                return Ok(DeleteOutcome::Absent);
            }
            Ok(match of(Operation::Delete, found.remove(&item.key).transpose())? {
                Some(_other) => DeleteOutcome::Conflict,
                None => DeleteOutcome::Absent,
            })
        };
        Ok(items.iter().map(outcome).collect())
    }
}

/// The number of attempts of a rename that failed although a read right after it finds nothing in
/// its way.
const TRIES: usize = 3;

impl<D: Dialect> Job<D> for Rename {
    type Outcome = Result<RenameOutcome>;
    const OPERATION: Operation = Operation::Rename;

    async fn run(&self, core: &Core<D>, connection: &mut Connection<D>) -> SqlResult<Self::Outcome> {
        let Self { old, new, write, expected } = self;
        for _ in 0..TRIES {
            if core.dialect.rename(connection, old, new, write, expected).await? {
                core.dialect.tell(Event::Deleted { key: *old });
                core.dialect.tell(Event::Changed { key: *new, version: Some(write.version) });
                return Ok(Ok(RenameOutcome::Renamed));
            }
            let mut found = core.dialect.read(connection, &[*old, *new]).await?;
            let in_the_way = found.remove(new);
            match found.remove(old).transpose() {
                Ok(Some(record)) if record.version == *expected => match in_the_way {
                    Some(Err(foreign)) => return Ok(of(Operation::Rename, Err(foreign))),
                    Some(Ok(_)) => return Ok(Ok(RenameOutcome::Occupied)),
                    None => {}
                },
                // An earlier delivery of this same rename.
                Ok(None) if matches!(in_the_way, Some(Ok(record)) if record.version == write.version) => {
                    return Ok(Ok(RenameOutcome::Renamed));
                }
                other => return Ok(of(Operation::Rename, other).map(RenameOutcome::Conflict)),
            }
        }
        Ok(Err(Error::unavailable(Operation::Rename, false).because("others were in the way")))
    }

    /// The stored version shows whether the rename arrived.
    async fn find_out(
        &self,
        core: &Core<D>,
        connection: &mut Connection<D>,
        _by_server: bool,
    ) -> SqlResult<Verdict<Self::Outcome>> {
        let found = core.dialect.read(connection, &[self.new]).await?;
        Ok(match found.get(&self.new) {
            Some(Ok(record)) if record.version == self.write.version => {
                Verdict::Done(Ok(RenameOutcome::Renamed))
            }
            _ => Verdict::Unknown,
        })
    }
}
