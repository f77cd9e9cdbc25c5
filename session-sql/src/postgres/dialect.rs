use std::{collections::HashSet, time::Duration};

use session_core::{
    DeleteItem, Expected, Operation, Owner, OwnerChange, Record, Result, SessionKey, TouchItem, Version,
    When, Write, WriteItem,
};
use sqlx::{PgConnection, Postgres as Database, Row, postgres::PgRow};

use super::{
    errors::meaning,
    session::Session,
    statements::{KEEP_OWNER, Statements, WHEN_ABSENT, WHEN_ANY, WHEN_VERSION},
    watch::Listening,
};
use crate::server::{
    Dialect, Found, Meaning, Purged, RawRow, SqlResult, Written, found_key, replica_lag::Follow,
};

/// What a store knows of its server.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(super) session: Session,
    pub(super) statements: Statements,
    pub(super) listening: Listening,
}

impl Postgres {
    /// The same tables on another server.
    pub(super) fn on_replica(&self, session: Session) -> Self {
        Self { session, statements: self.statements.on_replica(), listening: self.listening.again() }
    }
}

fn key(row: &PgRow) -> SqlResult<SessionKey> {
    found_key(row.try_get(0)?)
}

fn keys(rows: &[PgRow]) -> SqlResult<HashSet<SessionKey>> {
    rows.iter().map(key).collect()
}

fn record(operation: Operation, row: &PgRow) -> SqlResult<(SessionKey, Result<Record>)> {
    let raw = RawRow {
        version: row.try_get(1)?,
        left: Duration::try_from_secs_f64(row.try_get(2)?).unwrap_or_default(),
        owner: row.try_get(3)?,
        format: row.try_get(4)?,
        len: i64::from(row.try_get::<i32, _>(5)?),
        data: row.try_get(6)?,
    };
    Ok((key(row)?, raw.into_record(operation)))
}

fn millis(millis: u64) -> i64 {
    // A TTL is at most a hundred years.
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

impl Postgres {
    async fn write_one(
        &self,
        connection: &mut PgConnection,
        key: &SessionKey,
        write: &Write,
        expected: &Version,
    ) -> SqlResult<Written> {
        let query = sqlx::query(self.statements.write_one.clone())
            .bind(bytes(key))
            .bind(&write.version.as_bytes()[..])
            .bind(millis(write.ttl.as_millis()))
            .bind(&write.data[..])
            .bind(&expected.as_bytes()[..])
            .bind(new_owner(&write.owner))
            .bind(write.owner == OwnerChange::Keep);
        let rows = self.session.rows(connection, query).await?;
        let written = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
        Ok(Written { keys: written.then_some(*key).into_iter().collect(), found: None })
    }
}

impl Follow for Postgres {
    async fn place(&self, connection: &mut PgConnection) -> SqlResult<String> {
        let place = sqlx::query("SELECT pg_current_wal_insert_lsn()::text");
        self.session.row(connection, place).await?.try_get(0)
    }

    async fn has_reached(&self, connection: &mut PgConnection, place: &str) -> SqlResult<bool> {
        // A server that is no longer a replica shows nothing of the primary.
        let reached =
            "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AND pg_is_in_recovery()";
        self.session.row(connection, sqlx::query(reached).bind(place)).await?.try_get(0)
    }
}

impl Dialect for Postgres {
    type Database = Database;

    const READS_ASK: bool = true;

    async fn open(&self) -> SqlResult<PgConnection> {
        self.session.open().await
    }

    async fn ask(&self, connection: &mut PgConnection) -> SqlResult<()> {
        self.session.ask(connection).await
    }

    fn switched(&self) {
        self.listening.missed();
    }

    fn meaning(operation: Operation, error: &sqlx::Error) -> Meaning {
        meaning(operation, error)
    }

    async fn read(&self, connection: &mut PgConnection, keys: &[SessionKey]) -> SqlResult<Found> {
        let keys: Vec<&[u8]> = keys.iter().map(bytes).collect();
        let query = sqlx::query(self.statements.read.clone()).bind(keys);
        let rows = self.session.rows(connection, query).await?;
        rows.iter().map(|row| record(Operation::Read, row)).collect()
    }

    async fn write(&self, connection: &mut PgConnection, items: &[WriteItem]) -> SqlResult<Written> {
        if let [WriteItem { key, write, when: When::Version(expected) }] = items {
            return self.write_one(connection, key, write, expected).await;
        }
        let mut expected = vec![0; items.len() * Version::LEN];
        let mut codes = Vec::with_capacity(items.len());
        for (item, expected) in items.iter().zip(expected.chunks_exact_mut(Version::LEN)) {
            let when = match item.when {
                When::Absent => WHEN_ABSENT,
                When::Version(version) => {
                    expected.copy_from_slice(version.as_bytes());
                    WHEN_VERSION
                }
                When::Any => WHEN_ANY,
            };
            codes.push(when | if item.write.owner == OwnerChange::Keep { KEEP_OWNER } else { 0 });
        }
        let query = sqlx::query(self.statements.write.clone())
            .bind(items.iter().map(|item| bytes(&item.key)).collect::<Vec<_>>())
            .bind(items.iter().map(|item| &item.write.version.as_bytes()[..]).collect::<Vec<_>>())
            .bind(items.iter().map(|item| millis(item.write.ttl.as_millis())).collect::<Vec<_>>())
            .bind(codes)
            .bind(expected)
            .bind(items.iter().map(|item| new_owner(&item.write.owner)).collect::<Vec<_>>())
            .bind(items.iter().map(|item| &item.write.data[..]).collect::<Vec<_>>());
        let (mut keys, mut found) = (HashSet::new(), Found::new());
        for row in self.session.rows(connection, query).await? {
            if row.try_get::<Option<&[u8]>, _>(1)?.is_none() {
                keys.insert(key(&row)?);
            } else {
                found.extend([record(Operation::Write, &row)?]);
            }
        }
        Ok(Written { keys, found: Some(found) })
    }

    async fn touch(
        &self,
        connection: &mut PgConnection,
        items: &[TouchItem],
    ) -> SqlResult<HashSet<SessionKey>> {
        let query = sqlx::query(self.statements.touch.clone())
            .bind(items.iter().map(|item| bytes(&item.key)).collect::<Vec<_>>())
            .bind(items.iter().map(|item| millis(item.ttl.as_millis())).collect::<Vec<_>>());
        keys(&self.session.rows(connection, query).await?)
    }

    async fn delete(
        &self,
        connection: &mut PgConnection,
        items: &[DeleteItem],
    ) -> SqlResult<HashSet<SessionKey>> {
        let expected = items.iter().map(|item| match &item.expected {
            Expected::Any => None,
            Expected::Version(version) => Some(&version.as_bytes()[..]),
        });
        let query = sqlx::query(self.statements.delete.clone())
            .bind(items.iter().map(|item| bytes(&item.key)).collect::<Vec<_>>())
            .bind(expected.collect::<Vec<_>>());
        keys(&self.session.rows(connection, query).await?)
    }

    async fn rename(
        &self,
        connection: &mut PgConnection,
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
                .bind(bytes(old))
                .bind(&expected.as_bytes()[..])
        };
        let occupied = |error: &sqlx::Error| {
            error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
        };
        match self.session.rows(connection, query()).await {
            Err(error) if occupied(&error) => {}
            rows => return rows.map(|rows| !rows.is_empty()),
        }
        // An expired row under the new key does not block the rename, and is removed.
        let make_way = sqlx::query(self.statements.make_way.clone()).bind(bytes(new));
        self.session.rows(connection, make_way).await?;
        match self.session.rows(connection, query()).await {
            Err(error) if occupied(&error) => Ok(false),
            rows => rows.map(|rows| !rows.is_empty()),
        }
    }

    async fn list_owner(&self, connection: &mut PgConnection, owner: &Owner) -> SqlResult<Vec<SessionKey>> {
        let query = sqlx::query(self.statements.list_owner.clone()).bind(owner.as_str().as_bytes());
        self.session.rows(connection, query).await?.iter().map(key).collect()
    }

    async fn count_owner(&self, connection: &mut PgConnection, owner: &Owner) -> SqlResult<i64> {
        let query = sqlx::query(self.statements.count_owner.clone()).bind(owner.as_str().as_bytes());
        self.session.row(connection, query).await?.try_get(0)
    }

    async fn delete_owner(
        &self,
        connection: &mut PgConnection,
        owner: &Owner,
        except: Option<&SessionKey>,
    ) -> SqlResult<(Vec<SessionKey>, bool)> {
        let query = sqlx::query(self.statements.delete_owner.clone())
            .bind(owner.as_str().as_bytes())
            .bind(except.map(bytes));
        let (found, ended) = counted(&self.session.rows(connection, query).await?)?;
        // A missing row was renamed after this statement had begun. It exists under a key that this
        // statement does not see.
        let moved = found > ended.len();
        Ok((ended, moved))
    }

    async fn page(
        &self,
        connection: &mut PgConnection,
        after: &[u8],
        limit: usize,
    ) -> SqlResult<Vec<(SessionKey, Result<Record>)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(self.statements.page.clone()).bind(after).bind(limit);
        self.session.rows(connection, query).await?.iter().map(|row| record(Operation::Page, row)).collect()
    }

    async fn count(&self, connection: &mut PgConnection) -> SqlResult<i64> {
        self.session.row(connection, sqlx::query(self.statements.count.clone())).await?.try_get(0)
    }

    async fn purge(&self, connection: &mut PgConnection, from: i64, limit: usize) -> SqlResult<Purged> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(self.statements.purge.clone()).bind(limit).bind(from);
        let rows = self.session.rows(connection, query).await?;
        let (looked_at, freed) = counted(&rows)?;
        let reached = rows.iter().find_map(|row| row.try_get(2).transpose()).transpose()?;
        Ok(Purged { freed, looked_at, reached })
    }
}

/// The number of rows that were found, and the keys of those that were deleted.
fn counted(rows: &[PgRow]) -> SqlResult<(usize, Vec<SessionKey>)> {
    let (mut found, mut keys) = (0, Vec::with_capacity(rows.len()));
    for row in rows {
        match row.try_get(0)? {
            Some(bytes) => keys.push(found_key(bytes)?),
            None => found = usize::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default(),
        }
    }
    Ok((found, keys))
}
