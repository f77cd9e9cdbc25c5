use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Client, Pipeline, aio::MultiplexedConnection, cmd};

use super::Spec;
use crate::{
    candidate::{Candidate, Description, Kind, NewSession, Place, Result, TTL, versions},
    engine::{Engine, size},
    payload::Payload,
};

/// redis-rs with one multiplexed connection, `GET` and `SET .. PX`. Its writes are unconditional.
struct Plain {
    connection: MultiplexedConnection,
    ids: Vec<Mutex<String>>,
    place: Place,
}

/// The plain driver for Redis.
pub(super) fn spec() -> Spec {
    Spec {
        description: Description {
            id: "redis/plain".to_owned(),
            name: "redis-rs".to_owned(),
            version: versions::of("redis"),
            engine: Engine::Redis,
            kind: Kind::Plain,
            connections: "1".to_owned(),
            conditional: false,
        },
        open: |place, sessions| {
            Box::pin(async move {
                let connection = Client::open(&*place.url)?.get_multiplexed_async_connection().await?;
                let ids = (0..sessions).map(|_| Mutex::default()).collect();
                Ok(Arc::new(Plain { connection, ids, place }) as _)
            })
        },
        probe: None,
    }
}

impl Plain {
    fn id(&self, session: usize) -> String {
        self.ids[session].lock().clone()
    }

    fn new_id(&self) -> String {
        format!("{}:{}", self.place.name, super::new_id())
    }

    async fn set(&self, id: &str, data: &Bytes, ttl: Duration) -> Result<()> {
        let mut set = cmd("SET");
        set.arg(id).arg(&data[..]).arg("PX").arg(millis(ttl));
        Ok(set.query_async(&mut self.connection.clone()).await?)
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

fn one(changed: u64) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err("the session is gone".into()) }
}

#[async_trait]
impl Candidate for Plain {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let id = self.new_id();
        self.set(&id, &new.data, new.ttl).await?;
        *self.ids[session].lock() = id;
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let mut get = cmd("GET");
        get.arg(self.id(session));
        let found: Option<Vec<u8>> = get.query_async(&mut self.connection.clone()).await?;
        Ok(found.map(|data| data.len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        self.set(&self.id(session), &data, TTL).await?;
        Ok(0)
    }

    async fn touch(&self, session: usize) -> Result<()> {
        let mut touch = cmd("PEXPIRE");
        touch.arg(self.id(session)).arg(millis(TTL));
        one(touch.query_async(&mut self.connection.clone()).await?)
    }

    async fn delete(&self, session: usize) -> Result<()> {
        let mut delete = cmd("DEL");
        delete.arg(self.id(session));
        one(delete.query_async(&mut self.connection.clone()).await?)
    }

    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        let id = self.new_id();
        let mut both = Pipeline::new();
        both.atomic().del(self.id(session)).set_options(
            &id,
            &new.data[..],
            redis::SetOptions::default().with_expiration(redis::SetExpiry::PX(millis(new.ttl))),
        );
        let (deleted, ()): (u64, ()) = both.query_async(&mut self.connection.clone()).await?;
        *self.ids[session].lock() = id;
        one(deleted)
    }

    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        let step = (1_000 * 1_024 / payload.len().max(1_024)).max(1);
        for begin in sessions.clone().step_by(step) {
            let mut many = Pipeline::new();
            for session in begin..(begin + step).min(sessions.end) {
                let id = self.new_id();
                many.cmd("SET").arg(&id).arg(&payload.next()[..]).arg("PX").arg(millis(ttl)).ignore();
                *self.ids[session].lock() = id;
            }
            many.query_async::<()>(&mut self.connection.clone()).await?;
        }
        Ok(())
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}
