use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use session_backend::only;
use session_core::{Error, ErrorKind, Event, Operation, Record, Result, SessionKey, Write};
use sqlx::{SqlStr, sqlite::SqliteRow};
use tokio::sync::watch;

use super::{
    binds::Fields,
    checkpoint::Checkpoints,
    connections::{Connections, Lease},
    errors::{closed, is_too_long},
    packed_rows, record,
    registry::Shared,
    statements::Statements,
};
use crate::{chunk::MAX_ITEMS, deadline::Deadline, statement_sizes::padded};

/// What was found under some keys: records, and errors for rows that cannot be read.
pub(crate) type Found = HashMap<SessionKey, Result<Record>>;

/// What all handles on one store share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) connections: Connections,
    pub(crate) statements: Statements,
    pub(crate) shared: Shared,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Whether the database stores text as UTF-8, which allows bytes to be concatenated.
    pub(crate) utf8: bool,
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
}

/// A change made by one statement, so that it happens as a whole or not at all.
pub(crate) trait Change: Send + 'static {
    type Outcome: Send + 'static;

    const OPERATION: Operation;

    /// The approximate maximum number of records that it changes.
    fn items(&self) -> usize;

    /// Makes the change, and tells the listeners.
    fn make(self, core: &Core, lease: &mut Lease) -> impl Future<Output = Result<Self::Outcome>> + Send;
}

impl Core {
    fn ensure_open(&self, operation: Operation) -> Result<()> {
        if *self.closed.borrow() { Err(closed(operation)) } else { Ok(()) }
    }

    /// Runs a read on one of the readers.
    pub(crate) async fn ask(
        &self,
        operation: Operation,
        sql: SqlStr,
        fields: Fields,
    ) -> Result<Vec<SqliteRow>> {
        self.ensure_open(operation)?;
        let deadline = Deadline::after(self.deadline);
        let mut lease = deadline.wait(operation, self.connections.reader(operation)).await?;
        self.ensure_open(operation)?;
        deadline.ask(operation, lease.rows(operation, sql, fields)).await
    }

    /// Makes a change when it is its turn. A change that has begun runs to its end even if its
    /// caller is dropped.
    pub(crate) async fn change<C: Change>(self: &Arc<Self>, change: C) -> Result<C::Outcome> {
        self.ensure_open(C::OPERATION)?;
        let deadline = Deadline::after(self.deadline);
        let way = async {
            let turn = Arc::clone(&self.shared.turn).lock_owned().await;
            Ok((self.connections.writer(C::OPERATION).await?, turn))
        };
        let (mut lease, turn) = deadline.wait(C::OPERATION, way).await?;
        self.ensure_open(C::OPERATION)?;
        let core = Arc::clone(self);
        let changing = async move {
            let items = change.items();
            core.end_overlong_log().await;
            let outcome = change.make(&core, &mut lease).await;
            drop((lease, turn));
            core.checkpoints.changed(items);
            if outcome.as_ref().is_err_and(Error::may_have_applied) {
                core.shared.events.tell(Event::Missed);
            }
            outcome
        };
        deadline.change(C::OPERATION, changing).await
    }

    /// Runs the changes of a batch part by part, and returns the outcomes with the numbers of their
    /// items. After a part without an answer, the rest is not tried, because it would only wait as
    /// well.
    pub(crate) async fn in_parts<T, C>(
        self: &Arc<Self>,
        parts: Vec<Vec<usize>>,
        part: impl Fn(&[usize]) -> C,
    ) -> Vec<(usize, Result<T>)>
    where
        C: Change<Outcome = Vec<Result<T>>>,
    {
        let mut results = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        let mut outage: Option<Error> = None;
        for numbers in parts {
            if let Some(error) = &outage {
                results.extend(numbers.into_iter().map(|number| (number, Err(error.clone()))));
                continue;
            }
            match self.change(part(&numbers)).await {
                Ok(outcomes) => results.extend(numbers.into_iter().zip(outcomes)),
                // Only the records on the damaged page are affected, and a failed statement has
                // changed nothing, so each item is run by itself.
                Err(error) if error.kind() == ErrorKind::Corrupt && numbers.len() > 1 => {
                    for number in numbers {
                        let outcome = self.change(part(&[number])).await;
                        results.push((number, outcome.and_then(|outcomes| only(C::OPERATION, outcomes))));
                    }
                }
                Err(error) => {
                    if error.is_transient() {
                        let unsent = Error::unavailable(C::OPERATION, false);
                        outage = Some(
                            unsent
                                .because("an earlier part of the batch found no answer")
                                .with_source(error.clone()),
                        );
                    }
                    results.extend(numbers.into_iter().map(|number| (number, Err(error.clone()))));
                }
            }
        }
        results
    }

    pub(crate) fn check_len(&self, operation: Operation, write: &Write) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }

    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let (sql, fields) = self.reading(&[*key]);
        let rows = self.ask(Operation::Read, sql, fields).await?;
        rows.first().map(|row| record::from_row(Operation::Read, row)).transpose()
    }

    pub(crate) async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let mut results = Vec::with_capacity(keys.len());
        let mut outage: Option<Error> = None;
        for part in keys.chunks(MAX_ITEMS) {
            let found = match &outage {
                Some(error) => Err(error.clone()),
                None => self.find(part).await,
            };
            match found {
                // Only the records on the damaged page are affected, so each key is read by itself.
                Err(error) if error.kind() == ErrorKind::Corrupt && part.len() > 1 => {
                    for key in part {
                        results.push(self.read(key).await);
                    }
                }
                Ok(found) => results.extend(part.iter().map(|key| found.get(key).cloned().transpose())),
                Err(error) => {
                    results.extend(part.iter().map(|_| Err(error.clone())));
                    outage = error.is_transient().then_some(error);
                }
            }
        }
        results
    }

    /// Reads some keys, packed into one row unless a record has to be looked at by itself.
    async fn find(&self, keys: &[SessionKey]) -> Result<Found> {
        if self.utf8 && keys.len() > 1 {
            let (sql, fields) = (self.statements.read_packed(padded(keys.len())), keys_of(keys));
            match self.ask(Operation::Read, sql, fields).await {
                Ok(rows) => {
                    if let Some(row) = rows.first()
                        && let Some(found) = packed_rows::records(Operation::Read, row)?
                    {
                        return Ok(found);
                    }
                }
                // The packed row is longer than a value may be.
                Err(error) if is_too_long(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let (sql, fields) = self.reading(keys);
        self.ask(Operation::Read, sql, fields).await.and_then(|rows| sorted(Operation::Read, &rows))
    }

    fn reading(&self, keys: &[SessionKey]) -> (SqlStr, Fields) {
        (self.statements.read(padded(keys.len())), keys_of(keys))
    }

    /// Reads the keys of those items of a change that were not changed.
    pub(crate) async fn look(
        &self,
        lease: &mut Lease,
        operation: Operation,
        keys: &[SessionKey],
    ) -> Result<Found> {
        if keys.is_empty() {
            return Ok(Found::new());
        }
        let (sql, fields) = self.reading(keys);
        match lease.rows(Operation::Read, sql, fields).await {
            Ok(rows) => sorted(operation, &rows),
            Err(error) => Err(error.during(operation)),
        }
    }
}

/// The parameters of a read statement.
fn keys_of(keys: &[SessionKey]) -> Fields {
    let size = padded(keys.len());
    let mut fields = Fields::with_capacity(size);
    for key in keys.iter().cycle().take(size) {
        fields.key(key);
    }
    fields
}

/// The rows of [`Statements::read`] by their keys.
fn sorted(operation: Operation, rows: &[SqliteRow]) -> Result<Found> {
    rows.iter().map(|row| Ok((record::key(operation, row)?, record::from_row(operation, row)))).collect()
}
