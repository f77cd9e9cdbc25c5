use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use dashmap::DashMap;

use crate::{
    candidate::{Candidate, Description, Kind, NewSession, Place, Result, Spec, TTL, versions},
    engine::Engine,
};

/// A concurrent map from an id to bytes and an expiry time, as a program without a store would
/// write it, and the ids by number.
struct Map {
    sessions: DashMap<String, (Bytes, Instant)>,
    ids: Vec<parking_lot::Mutex<String>>,
}

/// The map for the memory of this process.
pub(super) fn spec() -> Spec {
    Spec {
        description: Description {
            id: "memory/plain".to_owned(),
            name: "DashMap".to_owned(),
            version: versions::of("dashmap"),
            engine: Engine::Memory,
            kind: Kind::Plain,
            connections: "none".to_owned(),
            conditional: false,
        },
        open: |_: Place, sessions| {
            let ids = (0..sessions).map(|_| parking_lot::Mutex::default()).collect();
            Box::pin(async move { Ok(Arc::new(Map { sessions: DashMap::new(), ids }) as _) })
        },
        probe: None,
    }
}

impl Map {
    fn id(&self, session: usize) -> String {
        self.ids[session].lock().clone()
    }

    fn put(&self, id: String, data: Bytes, ttl: Duration) {
        self.sessions.insert(id, (data, Instant::now() + ttl));
    }
}

#[async_trait]
impl Candidate for Map {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let id = super::new_id();
        self.put(id.clone(), new.data, new.ttl);
        *self.ids[session].lock() = id;
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let found = self.sessions.get(&self.id(session));
        Ok(found.filter(|found| found.1 > Instant::now()).map(|found| found.0.clone().len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        self.put(self.id(session), data, TTL);
        Ok(0)
    }

    async fn touch(&self, session: usize) -> Result<()> {
        let mut found = self.sessions.get_mut(&self.id(session)).ok_or("the session is gone")?;
        found.1 = Instant::now() + TTL;
        Ok(())
    }

    async fn delete(&self, session: usize) -> Result<()> {
        self.sessions.remove(&self.id(session)).map(drop).ok_or_else(|| "nothing was deleted".into())
    }

    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        self.delete(session).await?;
        self.create(session, new).await
    }

    async fn purge(&self) -> Option<Result<Option<u64>>> {
        let (before, now) = (self.sessions.len(), Instant::now());
        self.sessions.retain(|_, (_, expires)| *expires > now);
        Some(Ok(Some(before.saturating_sub(self.sessions.len()) as u64)))
    }
}
