use std::{
    collections::{HashMap, HashSet},
    iter,
    time::Duration,
};

use session_core::{
    DeleteItem, Expected, Operation, Owner, OwnerChange, Record, Result, SessionKey, TouchItem, Version,
    When, Write, WriteItem,
};
use sqlx::{
    ConnectOptions, Connection as _, MySql as Database, MySqlConnection, Row, SqlStr,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlRow},
    query::Query,
    raw_sql,
};

use super::{
    errors::meaning,
    statements::{KEEP_OWNER, Statements, WHEN_ABSENT, WHEN_ANY, WHEN_VERSION},
};
use crate::{
    chunk::padded,
    server::{Dialect, Found, Meaning, Purged, RawRow, SqlResult, Written, found_key},
};

/// What a store knows of its server.
#[derive(Debug)]
pub(crate) struct MySql {
    pub(super) options: MySqlConnectOptions,
    pub(super) setup: SqlStr,
    pub(super) statements: Statements,
    /// Whether the server can return what it has changed: `MariaDB` does.
    pub(super) returning: bool,
}

type Asked<'q> = Query<'q, Database, MySqlArguments>;

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

fn millis(millis: u64) -> i64 {
    // A ttl is at most a hundred years.
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn new_owner(change: &OwnerChange) -> Option<&[u8]> {
    match change {
        OwnerChange::Set(owner) => Some(owner.as_str().as_bytes()),
        OwnerChange::Keep | OwnerChange::Clear => None,
    }
}

fn bytes(key: &SessionKey) -> &[u8] {
    key.as_bytes()
}

/// A statement that takes a key for each of its places.
fn on_keys<'q>(sql: SqlStr, keys: impl Iterator<Item = &'q SessionKey> + Clone, size: usize) -> Asked<'q> {
    keys.cycle().take(size).fold(sqlx::query(sql), |query, key| query.bind(bytes(key)))
}

/// The items in the order of their keys, in which everybody locks.
fn in_key_order<T>(items: &[T], key: impl Fn(&T) -> &SessionKey) -> Vec<&T> {
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_unstable_by_key(|item| key(item).as_bytes());
    items
}

impl MySql {
    /// The parameters of items in the order of their keys.
    fn writing<'q>(sql: SqlStr, items: &[&'q WriteItem]) -> Asked<'q> {
        // What fills up is sent, too.
        let least = items.iter().copied().min_by_key(|item| item.write.data.len());
        let filler = iter::repeat_n(least, Statements::write_size(items.len()) - items.len()).flatten();
        items.iter().copied().chain(filler).fold(sqlx::query(sql), |query, item| {
            let write = &item.write;
            let ttl = millis(write.ttl.as_millis());
            let (when, expected) = match &item.when {
                When::Absent => (WHEN_ABSENT, [0; Version::LEN]),
                When::Version(version) => (WHEN_VERSION, *version.as_bytes()),
                When::Any => (WHEN_ANY, [0; Version::LEN]),
            };
            let lives = (when != WHEN_VERSION).then_some(ttl);
            // The lower six bytes hold a ttl of a hundred years and more.
            let expected_and_ttl = [&expected[..], &ttl.to_be_bytes()[2..]].concat();
            query
                .bind(bytes(&item.key))
                .bind(&write.version.as_bytes()[..])
                .bind(lives)
                .bind(lives)
                .bind(when | if write.owner == OwnerChange::Keep { KEEP_OWNER } else { 0 })
                .bind(expected_and_ttl)
                .bind(new_owner(&write.owner))
                .bind(i64::try_from(write.data.len()).unwrap_or(i64::MAX))
                .bind(&write.data[..])
        })
    }

    fn deleting<'q>(sql: SqlStr, items: &[&'q DeleteItem]) -> Asked<'q> {
        let size = padded(items.len());
        let fill = |query: Asked<'q>, places: usize| {
            (0..places).fold(query, |query, _| query.bind(&[][..] as &[u8]))
        };
        let any = |query: Asked<'q>| {
            let any: Vec<&[u8]> = items
                .iter()
                .filter(|item| item.expected == Expected::Any)
                .map(|item| bytes(&item.key))
                .collect();
            let places = size - any.len();
            fill(any.into_iter().fold(query, Query::bind), places)
        };
        let mut query = any(on_keys(sql, items.iter().map(|item| &item.key), size));
        let mut places = size;
        for item in items {
            if let Expected::Version(version) = &item.expected {
                query = query.bind(bytes(&item.key)).bind(&version.as_bytes()[..]);
                places -= 1;
            }
        }
        any(fill(query, 2 * places))
    }

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

    /// The touches that matched a row, all of them or an unknown part.
    async fn touch_some(&self, connection: &mut MySqlConnection, items: &[&TouchItem]) -> SqlResult<usize> {
        let size = padded(items.len());
        let mut query = sqlx::query(self.statements.touch(size));
        for item in items {
            query = query.bind(bytes(&item.key)).bind(millis(item.ttl.as_millis()));
        }
        for _ in items.len()..size {
            query = query.bind(None::<&[u8]>).bind(None::<i64>);
        }
        // The driver has the server count what matches, and not what changes.
        let touched = query.execute(connection).await?.rows_affected();
        Ok(usize::try_from(touched).unwrap_or(usize::MAX))
    }
}

impl Dialect for MySql {
    type Database = Database;

    async fn open(&self) -> SqlResult<MySqlConnection> {
        let mut connection = self.options.connect().await?;
        raw_sql(self.setup.clone()).execute(&mut connection).await?;
        Ok(connection)
    }

    async fn ping(connection: &mut MySqlConnection) -> SqlResult<()> {
        connection.ping().await
    }

    fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning {
        meaning(operation, error)
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
            Self::writing(self.statements.write_returning(write_size), &items)
                .fetch_all(&mut *connection)
                .await?
        } else {
            // Nobody else comes between the change and the look at it: the rows stay locked until the end.
            let mut transaction = connection.begin().await?;
            Self::writing(self.statements.write(write_size), &items).execute(&mut *transaction).await?;
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
            on_keys(self.statements.sweep(size), left.iter(), size).execute(connection).await?;
        }
        Ok(Written { keys, found: None })
    }

    async fn touch(
        &self,
        connection: &mut MySqlConnection,
        items: &[TouchItem],
    ) -> SqlResult<HashSet<SessionKey>> {
        let mut items = in_key_order(items, |item| &item.key);
        // It tells how many, and not which. If it was not all, those that are there are touched again: that does no harm.
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
                // Some came later: each by itself.
                let mut touched = HashSet::new();
                for item in items {
                    if self.touch_some(&mut *connection, &[item]).await? == 1 {
                        touched.insert(item.key);
                    }
                }
                return Ok(touched);
            }
        }
        Ok(items.into_iter().map(|item| item.key).collect())
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
                &Self::deleting(self.statements.delete_returning(size), &items).fetch_all(connection).await?,
            );
        }
        if let [item] = items[..] {
            let deleted =
                Self::deleting(self.statements.delete(1), &items).execute(connection).await?.rows_affected();
            return Ok(if deleted > 0 { HashSet::from([item.key]) } else { HashSet::new() });
        }
        let mut transaction = connection.begin().await?;
        let locked = Self::deleting(self.statements.lock_for_delete(size), &items)
            .fetch_all(&mut *transaction)
            .await?;
        let doomed: HashSet<SessionKey> = keys(&locked)?;
        if !doomed.is_empty() {
            Self::deleting(self.statements.delete(size), &items).execute(&mut *transaction).await?;
        }
        // What expired between the two statements was as good as deleted.
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
        // An expired row is nothing, and makes way.
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
        // A row that is renamed goes to another place of the index, and the deletion may have been past that. This look locks nothing, so it sees the row at
        // one of the two.
        let left = query(&self.statements.is_owned).fetch_all(connection).await?;
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

    async fn purge(&self, connection: &mut MySqlConnection, limit: usize) -> SqlResult<Purged> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut transaction = connection.begin().await?;
        let due = sqlx::query(self.statements.due.clone()).bind(limit).fetch_all(&mut *transaction).await?;
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
                // Any number of them, so it is not worth keeping.
                let query =
                    rows.iter().fold(sqlx::query(sql).persistent(false), |query, row| query.bind(*row));
                query.execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(Purged { freed, looked_at: due.len() })
    }
}
