use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio_postgres::{Client, NoTls, Statement, types::ToSql};

use super::Spec;
use crate::{
    candidate::{Candidate, Description, Kind, NewSession, Place, Result, TTL, Turns, versions},
    engine::Engine,
    payload::Payload,
};

/// The number of connections.
const CONNECTIONS: usize = 4;

/// A random id and a random version.
type Slot = ([u8; 16], [u8; 16]);

/// An argument of a statement.
type Value<'a> = &'a (dyn ToSql + Sync);

/// A driver that pipelines queries with prepared statements: the most that `PostgreSQL` achieves
/// with one query per operation. Updates are conditional on the version, like those of our store.
struct Pipelined {
    connections: Vec<Connection>,
    next: AtomicUsize,
    slots: Vec<Mutex<Slot>>,
    turns: Turns,
}

struct Connection {
    client: Client,
    insert: Statement,
    select: Statement,
    update: Statement,
    touch: Statement,
    delete: Statement,
}

/// The pipelined driver for `PostgreSQL`.
pub(super) fn spec() -> Spec {
    Spec {
        description: Description {
            id: "postgres/pipelined".to_owned(),
            name: "tokio-postgres, pipelined".to_owned(),
            version: versions::of("tokio-postgres"),
            engine: Engine::Postgres,
            kind: Kind::Plain,
            connections: CONNECTIONS.to_string(),
            conditional: true,
        },
        open: |place, sessions| {
            Box::pin(async move { Ok(Arc::new(Pipelined::open(&place, sessions).await?) as _) })
        },
        probe: None,
    }
}

impl Connection {
    async fn open(place: &Place, is_first: bool) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(&place.url, NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        let table = &place.name;
        if is_first {
            let create = format!(
                "CREATE TABLE {table} (id bytea PRIMARY KEY, version bytea NOT NULL, data bytea NOT NULL, expires timestamptz NOT NULL);
                 CREATE INDEX {table}_expires ON {table} (expires)"
            );
            client.batch_execute(&create).await?;
        }
        let expires = |n: usize| format!("now() + ${n}::bigint * interval '1 millisecond'");
        let statement = async |text: String| client.prepare(&text).await;
        let insert = statement(format!("INSERT INTO {table} VALUES ($1, $2, $3, {})", expires(4))).await?;
        let select =
            statement(format!("SELECT version, data FROM {table} WHERE id = $1 AND expires > now()")).await?;
        let update = statement(format!(
            "UPDATE {table} SET version = $1, data = $2, expires = {} WHERE id = $4 AND version = $5 AND expires > now()",
            expires(3)
        ))
        .await?;
        let touch = statement(format!(
            "UPDATE {table} SET expires = {} WHERE id = $2 AND expires > now()",
            expires(1)
        ))
        .await?;
        let delete = statement(format!("DELETE FROM {table} WHERE id = $1")).await?;
        Ok(Self { client, insert, select, update, touch, delete })
    }
}

impl Pipelined {
    async fn open(place: &Place, sessions: usize) -> Result<Self> {
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            connections.push(Connection::open(place, number == 0).await?);
        }
        let slots = (0..sessions).map(|_| Mutex::default()).collect();
        Ok(Self { connections, next: AtomicUsize::new(0), slots, turns: Turns::default() })
    }

    fn connection(&self) -> &Connection {
        &self.connections[self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS]
    }
}

fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows changed, not one").into()) }
}

#[async_trait]
impl Candidate for Pipelined {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let (slot, connection): (Slot, _) = (rand::random(), self.connection());
        let client = &connection.client;
        let ttl = millis(new.ttl);
        client
            .execute(&connection.insert, &[&&slot.0[..] as Value<'_>, &&slot.1[..], &&new.data[..], &ttl])
            .await?;
        *self.slots[session].lock() = slot;
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let (id, connection) = (self.slots[session].lock().0, self.connection());
        let Some(row) = connection.client.query_opt(&connection.select, &[&&id[..]]).await? else {
            return Ok(None);
        };
        let (version, data): (Vec<u8>, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        self.slots[session].lock().1 = version.as_slice().try_into()?;
        Ok(Some(data.len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        let connection = self.connection();
        let mut conflicts = 0;
        let mut turn = self.turns.if_contended(session).await;
        loop {
            let (id, seen) = *self.slots[session].lock();
            let version: [u8; 16] = rand::random();
            let changed = connection
                .client
                .execute(
                    &connection.update,
                    &[&&version[..] as Value<'_>, &&data[..], &millis(TTL), &&id[..], &&seen[..]],
                )
                .await?;
            if changed == 1 {
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
        let (id, connection) = (self.slots[session].lock().0, self.connection());
        one(connection.client.execute(&connection.touch, &[&millis(TTL) as Value<'_>, &&id[..]]).await?)
    }

    async fn delete(&self, session: usize) -> Result<()> {
        let (id, connection) = (self.slots[session].lock().0, self.connection());
        one(connection.client.execute(&connection.delete, &[&&id[..]]).await?)
    }

    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        self.delete(session).await?;
        self.create(session, new).await
    }

    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        // Also pipelined: this many inserts are in flight at a time.
        for begin in sessions.clone().step_by(256) {
            let some = begin..(begin + 256).min(sessions.end);
            let new = || NewSession { data: payload.next(), ttl, owner: None };
            futures_util::future::try_join_all(some.map(|session| self.create(session, new()))).await?;
        }
        Ok(())
    }
}
