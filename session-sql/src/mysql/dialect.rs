use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use session_core::{
    DeleteItem, Event, Operation, Owner, OwnerChange, Record, Result, SessionKey, TouchItem, Version, When,
    Write, WriteItem,
};
use sqlx::{
    Connection as _, MySql as Database, MySqlConnection, Row, SqlStr,
    mysql::{MySqlConnectOptions, MySqlRow},
    raw_sql,
};

use super::{
    errors::meaning,
    parameters::{bytes, deleting, in_key_order, millis, new_owner, on_keys, writing},
    statements::Statements,
};
use crate::{
    events::Events,
    server::{
        Connector, Dialect, Found, Meaning, OnlyReads, Purged, RawRow, SqlResult, Written, after_change,
        found_key,
    },
    statement_sizes::padded,
};

/// What a store knows of its server.
#[derive(Debug)]
pub(crate) struct MySql {
    pub(super) connector: Connector<MySqlConnectOptions>,
    pub(super) setup: SqlStr,
    pub(super) statements: Statements,
    /// Whether the server supports `RETURNING`: `MariaDB` does.
    pub(super) returning: bool,
    /// The listeners of this process, which the server has no way to notify.
    pub(super) events: Arc<Events>,
}

/// A session that is touched with a shorter TTL may expire before the touch is answered.
const LONG: Duration = Duration::from_mins(1);

/// Returns `read_only`. A Galera node that cannot serve refuses `DO 0`, although it answers a
/// `SELECT` without a table. The type of `read_only` depends on the release.
const MAY_SERVE: &str = "DO 0; SELECT CONVERT(@@global.read_only, CHAR)";

fn key(row: &MySqlRow) -> SqlResult<SessionKey> {
    found_key(row.try_get(0)?)
}

fn keys<C: FromIterator<SessionKey>>(rows: &[MySqlRow]) -> SqlResult<C> {
    rows.iter().map(key).collect()
}

fn record(operation: Operation, row: &MySqlRow) -> SqlResult<(SessionKey, Result<Record>)> {
    let left: i64 = row.try_get(2)?;
    let raw = RawRow {
        version: row.try_get(1)?,
        left: Duration::from_micros(u64::try_from(left).unwrap_or_default()),
        owner: row.try_get(3)?,
        format: row.try_get(4)?,
        len: row.try_get(5)?,
        data: row.try_get(6)?,
    };
    Ok((key(row)?, raw.into_record(operation)))
}

impl MySql {
    async fn write_one(
        &self,
        connection: &mut MySqlConnection,
        key: &SessionKey,
        write: &Write,
        expected: &Version,
    ) -> SqlResult<Written> {
        let query = sqlx::query(self.statements.write_one.clone())
            .bind(&write.version.as_bytes()[..])
            .bind(millis(write.ttl.as_millis()))
            .bind(write.owner == OwnerChange::Keep)
            .bind(new_owner(&write.owner))
            .bind(i64::try_from(write.data.len()).unwrap_or(i64::MAX))
            .bind(&write.data[..])
            .bind(bytes(key))
            .bind(&expected.as_bytes()[..])
            .bind(&write.version.as_bytes()[..]);
        let written = query.execute(connection).await?.rows_affected() > 0;
        Ok(Written { keys: written.then_some(*key).into_iter().collect(), found: None })
    }

    /// Touches the items, and returns how many matched a row: all of them, or an unknown part.
    async fn touch_some(&self, connection: &mut MySqlConnection, items: &[&TouchItem]) -> SqlResult<usize> {
        let size = padded(items.len());
        let mut query = sqlx::query(self.statements.touch(size));
        for item in items {
            query = query.bind(bytes(&item.key)).bind(millis(item.ttl.as_millis()));
        }
        for _ in items.len()..size {
            query = query.bind(None::<&[u8]>).bind(None::<i64>);
        }
        // The driver makes the server count the rows that match, not those that change.
        let touched = query.execute(connection).await?.rows_affected();
        Ok(usize::try_from(touched).unwrap_or(usize::MAX))
    }
}

impl Dialect for MySql {
    type Database = Database;

    /// A check of the server's role in each read cost a fifth of the read.
    const READS_ASK: bool = false;

    async fn open(&self) -> SqlResult<MySqlConnection> {
        let mut connection = self.connector.connect().await?;
        raw_sql(self.setup.clone()).execute(&mut connection).await?;
        self.ask(&mut connection).await?;
        Ok(connection)
    }

    async fn ask(&self, connection: &mut MySqlConnection) -> SqlResult<()> {
        let row = raw_sql(MAY_SERVE).fetch_one(connection).await?;
        let only_reads: String = row.try_get(0)?;
        if matches!(&*only_reads, "0" | "OFF") { Ok(()) } else { Err(OnlyReads::error()) }
    }

    fn switched(&self) {
        self.events.tell(Event::Missed);
    }

    fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning {
        meaning(operation, error)
    }

    fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    async fn read(&self, connection: &mut MySqlConnection, keys: &[SessionKey]) -> SqlResult<Found> {
        let size = padded(keys.len());
        let query = on_keys(self.statements.read(size), keys.iter(), size);
        query.fetch_all(connection).await?.iter().map(|row| record(Operation::Read, row)).collect()
    }

    async fn write(&self, connection: &mut MySqlConnection, items: &[WriteItem]) -> SqlResult<Written> {
        if let [WriteItem { key, write, when: When::Version(expected) }] = items {
            return self.write_one(connection, key, write, expected).await;
        }
        let items = in_key_order(items, |item| &item.key);
        let (write_size, size) = (Statements::write_size(items.len()), padded(items.len()));
        let rows = if self.returning {
            writing(self.statements.write_returning(write_size), &items).fetch_all(&mut *connection).await?
        } else {
            // The rows stay locked until the commit, so no other write comes between the change and
            // this read.
            let mut transaction = connection.begin().await?;
            writing(self.statements.write(write_size), &items).execute(&mut *transaction).await?;
            let query = on_keys(self.statements.versions(size), items.iter().map(|item| &item.key), size);
            let rows = query.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            rows
        };
        let mut now = HashMap::with_capacity(rows.len());
        let mut left = Vec::new();
        for row in &rows {
            let made: bool = row.try_get(2)?;
            if made {
                now.insert(key(row)?, row.try_get::<&[u8], _>(1)?);
            } else {
                left.push(key(row)?);
            }
        }
        let is_written = |item: &&&WriteItem| {
            now.get(&item.key).is_some_and(|version| version == item.write.version.as_bytes())
        };
        let keys = items.iter().filter(is_written).map(|item| item.key).collect();
        if !left.is_empty() {
            let size = padded(left.len());
            let sweep = on_keys(self.statements.sweep(size), left.iter(), size);
            let swept = sweep.execute(connection).await;
            swept.map_err(|error| after_change::<Self>(Operation::Write, error))?;
        }
        Ok(Written { keys, found: None })
    }

    async fn touch(
        &self,
        connection: &mut MySqlConnection,
        items: &[TouchItem],
    ) -> SqlResult<HashSet<SessionKey>> {
        let (brief, mut items): (Vec<&TouchItem>, Vec<&TouchItem>) =
            in_key_order(items, |item| &item.key).into_iter().partition(|item| item.ttl.as_duration() < LONG);
        let mut touched = HashSet::new();
        for item in brief {
            if self.touch_some(&mut *connection, &[item]).await? == 1 {
                touched.insert(item.key);
            }
        }
        // The statement reports how many rows it touched, not which. If it was not all of them, the
        // records that are there are touched again, which is harmless for those that do not expire
        // in the meantime.
        while !items.is_empty() && self.touch_some(&mut *connection, &items).await? < items.len() {
            if items.len() == 1 {
                items.clear();
                break;
            }
            let keys: Vec<SessionKey> = items.iter().map(|item| item.key).collect();
            let found = self.read(&mut *connection, &keys).await?;
            let before = items.len();
            items.retain(|item| matches!(found.get(&item.key), Some(Ok(_))));
            if items.len() == before {
                // Some records were created after the touch, so each item is touched by itself.
                for item in items {
                    if self.touch_some(&mut *connection, &[item]).await? == 1 {
                        touched.insert(item.key);
                    }
                }
                return Ok(touched);
            }
        }
        touched.extend(items.into_iter().map(|item| item.key));
        Ok(touched)
    }

    async fn delete(
        &self,
        connection: &mut MySqlConnection,
        items: &[DeleteItem],
    ) -> SqlResult<HashSet<SessionKey>> {
        let items = in_key_order(items, |item| &item.key);
        let size = padded(items.len());
        if self.returning {
            return keys(
                &deleting(self.statements.delete_returning(size), &items).fetch_all(connection).await?,
            );
        }
        if let [item] = items[..] {
            let deleted =
                deleting(self.statements.delete(1), &items).execute(connection).await?.rows_affected();
            return Ok(if deleted > 0 { HashSet::from([item.key]) } else { HashSet::new() });
        }
        let mut transaction = connection.begin().await?;
        let locked =
            deleting(self.statements.lock_for_delete(size), &items).fetch_all(&mut *transaction).await?;
        let doomed: HashSet<SessionKey> = keys(&locked)?;
        if !doomed.is_empty() {
            deleting(self.statements.delete(size), &items).execute(&mut *transaction).await?;
        }
        // A record that expired between the two statements counts as deleted.
        transaction.commit().await?;
        Ok(doomed)
    }

    async fn rename(
        &self,
        connection: &mut MySqlConnection,
        old: &SessionKey,
        new: &SessionKey,
        write: &Write,
        expected: &Version,
    ) -> SqlResult<bool> {
        let query = || {
            sqlx::query(self.statements.rename.clone())
                .bind(bytes(new))
                .bind(&write.version.as_bytes()[..])
                .bind(millis(write.ttl.as_millis()))
                .bind(write.owner == OwnerChange::Keep)
                .bind(new_owner(&write.owner))
                .bind(&write.data[..])
                .bind(&write.data[..])
                .bind(bytes(old))
                .bind(&expected.as_bytes()[..])
        };
        let occupied = |error: &sqlx::Error| {
            error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
        };
        match query().execute(&mut *connection).await {
            Err(error) if occupied(&error) => {}
            renamed => return renamed.map(|renamed| renamed.rows_affected() > 0),
        }
        // An expired row under the new key does not block the rename, and is removed.
        sqlx::query(self.statements.make_way.clone()).bind(bytes(new)).execute(&mut *connection).await?;
        match query().execute(connection).await {
            Err(error) if occupied(&error) => Ok(false),
            renamed => renamed.map(|renamed| renamed.rows_affected() > 0),
        }
    }

    async fn list_owner(
        &self,
        connection: &mut MySqlConnection,
        owner: &Owner,
    ) -> SqlResult<Vec<SessionKey>> {
        let query = sqlx::query(self.statements.list_owner.clone()).bind(owner.as_str().as_bytes());
        keys(&query.fetch_all(connection).await?)
    }

    async fn count_owner(&self, connection: &mut MySqlConnection, owner: &Owner) -> SqlResult<i64> {
        let query = sqlx::query_scalar(self.statements.count_owner.clone()).bind(owner.as_str().as_bytes());
        query.fetch_one(connection).await
    }

    async fn delete_owner(
        &self,
        connection: &mut MySqlConnection,
        owner: &Owner,
        except: Option<&SessionKey>,
    ) -> SqlResult<(Vec<SessionKey>, bool)> {
        let query =
            |sql: &SqlStr| sqlx::query(sql.clone()).bind(owner.as_str().as_bytes()).bind(except.map(bytes));
        let ended: Vec<SessionKey> = if self.returning {
            keys(&query(&self.statements.delete_owner_returning).fetch_all(&mut *connection).await?)?
        } else {
            let mut transaction = connection.begin().await?;
            let ended = keys(&query(&self.statements.lock_owner).fetch_all(&mut *transaction).await?)?;
            query(&self.statements.delete_owner).execute(&mut *transaction).await?;
            transaction.commit().await?;
            ended
        };
        // A renamed row moves to another place in the index, which the deletion may have passed
        // already. This read locks nothing, so it sees the row at one of the two places.
        let left = query(&self.statements.is_owned).fetch_all(connection).await;
        let left = left.map_err(|error| after_change::<Self>(Operation::DeleteOwner, error))?;
        Ok((ended, !left.is_empty()))
    }

    async fn page(
        &self,
        connection: &mut MySqlConnection,
        after: &[u8],
        limit: usize,
    ) -> SqlResult<Vec<(SessionKey, Result<Record>)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(self.statements.page.clone()).bind(after).bind(limit);
        query.fetch_all(connection).await?.iter().map(|row| record(Operation::Page, row)).collect()
    }

    async fn count(&self, connection: &mut MySqlConnection) -> SqlResult<i64> {
        sqlx::query_scalar(self.statements.count.clone()).fetch_one(connection).await
    }

    async fn purge(&self, connection: &mut MySqlConnection, from: i64, limit: usize) -> SqlResult<Purged> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut transaction = connection.begin().await?;
        let due = sqlx::query(self.statements.due.clone()).bind(from).bind(limit);
        let due = due.fetch_all(&mut *transaction).await?;
        let (mut over, mut later, mut freed) = (Vec::new(), Vec::new(), Vec::new());
        for row in &due {
            let key: &[u8] = row.try_get(0)?;
            if row.try_get(1)? {
                over.push(key);
                freed.push(found_key(key)?);
            } else {
                later.push(key);
            }
        }
        for (sql, rows) in
            [(self.statements.free(over.len()), over), (self.statements.postpone(later.len()), later)]
        {
            if !rows.is_empty() {
                // The number of rows varies, so the prepared statement is not worth keeping.
                let query =
                    rows.iter().fold(sqlx::query(sql).persistent(false), |query, row| query.bind(*row));
                query.execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        let reached = due.last().map(|row| row.try_get(2)).transpose()?;
        Ok(Purged { freed, looked_at: due.len(), reached })
    }
}
