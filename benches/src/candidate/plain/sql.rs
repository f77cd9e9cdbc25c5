//! The pool of sqlx with its defaults, one query per operation. Updates are conditional on the
//! version, like those of our stores.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sqlx::{
    MySqlPool, PgPool, QueryBuilder, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::Spec;
use crate::{
    candidate::{Candidate, Description, Error, Kind, NewSession, Place, Result, TTL, Turns, versions},
    engine::{Engine, size},
    payload::Payload,
};

/// The differences between the dialects. `{}` is the table.
struct Dialect {
    table: &'static str,
    index: &'static str,
    /// The time in `#` milliseconds from now.
    expires: &'static str,
    now: &'static str,
    /// The syntax of the `n`-th argument.
    argument: fn(usize) -> String,
}

/// The statements for one table. They are leaked, because the program opens few tables.
#[derive(Clone, Copy)]
struct Statements {
    insert: &'static str,
    select: &'static str,
    update: &'static str,
    touch: &'static str,
    delete: &'static str,
    purge: &'static str,
    many: &'static str,
}

impl Dialect {
    fn statements(&self, table: &str) -> Statements {
        let number = |n| (self.argument)(n);
        let after = |n| self.expires.replace('#', &number(n));
        let now = self.now;
        let (one, two, three, four, five) = (number(1), number(2), number(3), number(4), number(5));
        Statements {
            insert: format!("INSERT INTO {table} VALUES ({one}, {two}, {three}, {})", after(4)).leak(),
            select: format!("SELECT version, data FROM {table} WHERE id = {one} AND expires > {now}").leak(),
            update: format!(
                "UPDATE {table} SET version = {one}, data = {two}, expires = {} WHERE id = {four} AND version = {five} AND expires > {now}",
                after(3)
            )
            .leak(),
            touch: format!("UPDATE {table} SET expires = {} WHERE id = {two} AND expires > {now}", after(1)).leak(),
            delete: format!("DELETE FROM {table} WHERE id = {one}").leak(),
            purge: format!("DELETE FROM {table} WHERE expires <= {now}").leak(),
            many: format!("INSERT INTO {table} (id, version, data, expires) ").leak(),
        }
    }
}

/// A random id and a random version.
type Slot = ([u8; 16], [u8; 16]);

macro_rules! pool {
    ($Pool:ident, $Connections:ty, $dialect:ident, $connect:path) => {
        struct $Pool {
            connections: $Connections,
            statements: Statements,
            slots: Vec<Mutex<Slot>>,
            turns: Turns,
            place: Place,
        }

        impl $Pool {
            async fn open(place: Place, sessions: usize) -> Result<Self> {
                let connections = $connect(&place).await?;
                for statement in [$dialect.table, $dialect.index] {
                    let statement: &'static str = statement.replace("{}", &place.name).leak();
                    sqlx::query(statement).execute(&connections).await?;
                }
                let slots = (0..sessions).map(|_| Mutex::default()).collect();
                Ok(Self {
                    connections,
                    statements: $dialect.statements(&place.name),
                    slots,
                    turns: Turns::default(),
                    place,
                })
            }
        }

        #[async_trait]
        impl Candidate for $Pool {
            async fn create(&self, session: usize, new: NewSession) -> Result<()> {
                let slot: Slot = rand::random();
                let query = sqlx::query(self.statements.insert).bind(&slot.0[..]).bind(&slot.1[..]);
                query.bind(&new.data[..]).bind(millis(new.ttl)).execute(&self.connections).await?;
                *self.slots[session].lock() = slot;
                Ok(())
            }

            async fn read(&self, session: usize) -> Result<Option<usize>> {
                let id = self.slots[session].lock().0;
                let found =
                    sqlx::query(self.statements.select).bind(&id[..]).fetch_optional(&self.connections);
                let Some(row) = found.await? else { return Ok(None) };
                let (version, data): (Vec<u8>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
                self.slots[session].lock().1 = version.as_slice().try_into()?;
                Ok(Some(data.len()))
            }

            async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
                let mut conflicts = 0;
                let mut turn = self.turns.if_contended(session).await;
                loop {
                    let (id, seen) = *self.slots[session].lock();
                    let version: [u8; 16] = rand::random();
                    let query = sqlx::query(self.statements.update).bind(&version[..]).bind(&data[..]);
                    let query = query.bind(millis(TTL)).bind(&id[..]).bind(&seen[..]);
                    if query.execute(&self.connections).await?.rows_affected() == 1 {
                        self.slots[session].lock().1 = version;
                        return Ok(conflicts);
                    }
                    conflicts += 1;
                    self.turns.after_conflict(session, &mut turn).await;
                    if self.read(session).await?.is_none() {
                        return Err("the session is gone".into());
                    }
                }
            }

            async fn touch(&self, session: usize) -> Result<()> {
                let id = self.slots[session].lock().0;
                let query = sqlx::query(self.statements.touch).bind(millis(TTL)).bind(&id[..]);
                one(query.execute(&self.connections).await?.rows_affected())
            }

            async fn delete(&self, session: usize) -> Result<()> {
                let id = self.slots[session].lock().0;
                let query = sqlx::query(self.statements.delete).bind(&id[..]);
                one(query.execute(&self.connections).await?.rows_affected())
            }

            async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
                let (old, slot): (_, Slot) = (self.slots[session].lock().0, rand::random());
                let mut transaction = self.connections.begin().await?;
                let query = sqlx::query(self.statements.delete).bind(&old[..]);
                one(query.execute(&mut *transaction).await?.rows_affected())?;
                let query = sqlx::query(self.statements.insert).bind(&slot.0[..]).bind(&slot.1[..]);
                query.bind(&new.data[..]).bind(millis(new.ttl)).execute(&mut *transaction).await?;
                transaction.commit().await?;
                *self.slots[session].lock() = slot;
                Ok(())
            }

            async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
                let step = (500 * 1_024 / payload.len().max(1_024)).max(1);
                for begin in sessions.clone().step_by(step) {
                    let some = begin..(begin + step).min(sessions.end);
                    let rows: Vec<(Slot, Bytes)> =
                        some.clone().map(|_| (rand::random(), payload.next())).collect();
                    let mut query = QueryBuilder::new(self.statements.many);
                    query.push_values(&rows, |mut row, (slot, data)| {
                        row.push_bind(&slot.0[..]).push_bind(&slot.1[..]).push_bind(&data[..]);
                        row.push($dialect.expires.replace('#', &millis(ttl).to_string()));
                    });
                    query.build().persistent(false).execute(&self.connections).await?;
                    for (session, (slot, _)) in some.zip(rows) {
                        *self.slots[session].lock() = slot;
                    }
                }
                Ok(())
            }

            async fn purge(&self) -> Option<Result<Option<u64>>> {
                let done = sqlx::query(self.statements.purge).execute(&self.connections).await;
                Some(done.map(|done| Some(done.rows_affected())).map_err(Into::into))
            }

            async fn size(&self) -> Result<Option<u64>> {
                size::of(&self.place).await
            }
        }
    };
}

fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::from(format!("{rows} rows changed, not one"))) }
}

const POSTGRES: Dialect = Dialect {
    table: "CREATE TABLE {} (id bytea PRIMARY KEY, version bytea NOT NULL, data bytea NOT NULL, expires timestamptz NOT NULL)",
    index: "CREATE INDEX {}_expires ON {} (expires)",
    expires: "now() + # * interval '1 millisecond'",
    now: "now()",
    argument: |n| format!("${n}"),
};

const MYSQL: Dialect = Dialect {
    table: "CREATE TABLE {} (id VARBINARY(16) PRIMARY KEY, version VARBINARY(16) NOT NULL, data MEDIUMBLOB NOT NULL, expires DATETIME(3) NOT NULL)",
    index: "CREATE INDEX {}_expires ON {} (expires)",
    expires: "NOW(3) + INTERVAL (# * 1000) MICROSECOND",
    now: "NOW(3)",
    argument: |_| "?".to_owned(),
};

const SQLITE: Dialect = Dialect {
    table: "CREATE TABLE {} (id BLOB NOT NULL PRIMARY KEY, version BLOB NOT NULL, data BLOB NOT NULL, expires INTEGER NOT NULL)",
    index: "CREATE INDEX {}_expires ON {} (expires)",
    expires: "CAST(unixepoch('subsec') * 1000 AS INTEGER) + #",
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    argument: |_| "?".to_owned(),
};

async fn connect_postgres(place: &Place) -> Result<PgPool> {
    Ok(PgPool::connect(&place.url).await?)
}

async fn connect_mysql(place: &Place) -> Result<MySqlPool> {
    Ok(MySqlPool::connect(&place.url).await?)
}

/// Uses a single connection: several would wait for each other's locks, and half of their writes
/// would time out.
async fn connect_sqlite(place: &Place) -> Result<SqlitePool> {
    let synchronous = if place.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let options = SqliteConnectOptions::new()
        .filename(place.file())
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(30));
    Ok(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?)
}

pool!(Postgres, PgPool, POSTGRES, connect_postgres);
pool!(MySql, MySqlPool, MYSQL, connect_mysql);
pool!(Sqlite, SqlitePool, SQLITE, connect_sqlite);

fn description(engine: Engine, connections: &str) -> Description {
    Description {
        id: format!("{engine}/plain"),
        name: "sqlx's pool".to_owned(),
        version: versions::of("sqlx"),
        engine,
        kind: Kind::Plain,
        connections: connections.to_owned(),
        conditional: true,
    }
}

/// The plain drivers, one for each dialect.
pub(super) fn specs() -> Vec<Spec> {
    macro_rules! spec {
        ($Pool:ident, $engine:ident, $connections:literal) => {
            Spec {
                description: description(Engine::$engine, $connections),
                open: |place, sessions| {
                    Box::pin(async move { Ok(Arc::new($Pool::open(place, sessions).await?) as _) })
                },
                probe: None,
            }
        };
    }
    vec![spec!(Sqlite, Sqlite, "1"), spec!(Postgres, Postgres, "up to 10"), spec!(MySql, Mysql, "up to 10")]
}
