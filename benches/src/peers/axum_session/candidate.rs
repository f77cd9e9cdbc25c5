use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use axum_session::{DatabasePool as _, SessionAnyPool};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    candidate::{Candidate, NewSession, Place, Result, TTL},
    engine::size,
    peers::{DATA, Ids, WHOLE_SECONDS, seconds, text},
};

/// The calls of its middleware, without the in-memory map in front of them: the cost of a request
/// whose session is not in the memory of this process.
pub(super) struct AxumSession {
    pool: SessionAnyPool,
    ids: Ids<String>,
    place: Place,
}

/// The stored session. Values are JSON within JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    data: HashMap<String, String>,
    longterm: bool,
}

impl AxumSession {
    /// Uses this pool, with room for this many sessions.
    pub(super) async fn over(pool: SessionAnyPool, place: Place, sessions: usize) -> Result<Self> {
        pool.initiate(&place.name).await?;
        Ok(Self { pool, ids: Ids::new(sessions), place })
    }

    async fn store(&self, id: &str, data: &Bytes, ttl: Duration) -> Result<()> {
        let value = serde_json::to_string(&text(data)?)?;
        let stored = Stored { data: [(DATA.to_owned(), value)].into_iter().collect(), longterm: false };
        let stored = serde_json::to_string(&stored)?;
        Ok(self.pool.store(id, &stored, expiry(ttl)?, &self.place.name).await?)
    }

    async fn load(&self, id: &str) -> Result<Option<String>> {
        Ok(self.pool.load(id, &self.place.name).await?)
    }
}

fn expiry(ttl: Duration) -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(i64::try_from(now)? + seconds(ttl))
}

#[async_trait]
impl Candidate for AxumSession {
    /// Checks whether the id is taken before it stores the session.
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let id = format!("{:032x}", rand::random::<u128>());
        if self.pool.exists(&id, &self.place.name).await? {
            return Err("a new id was taken".into());
        }
        self.store(&id, &new.data, new.ttl).await?;
        self.ids.set(session, id);
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let Some(stored) = self.load(&self.ids.get(session)?).await? else { return Ok(None) };
        let stored: Stored = serde_json::from_str(&stored)?;
        let value = stored.data.get(DATA).map(|value| serde_json::from_str::<String>(value)).transpose()?;
        Ok(value.map(|value| value.len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        self.store(&self.ids.get(session)?, &data, TTL).await?;
        Ok(0)
    }

    /// There is no touch: the session is loaded and stored as a whole.
    async fn touch(&self, session: usize) -> Result<()> {
        let id = self.ids.get(session)?;
        let stored = self.load(&id).await?.ok_or("the session is gone")?;
        let stored = serde_json::to_string(&serde_json::from_str::<Stored>(&stored)?)?;
        Ok(self.pool.store(&id, &stored, expiry(TTL)?, &self.place.name).await?)
    }

    async fn delete(&self, session: usize) -> Result<()> {
        Ok(self.pool.delete_one_by_id(&self.ids.get(session)?, &self.place.name).await?)
    }

    /// Does what its middleware does after `renew`.
    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        self.delete(session).await?;
        self.create(session, new).await
    }

    async fn purge(&self) -> Option<Result<Option<u64>>> {
        if self.pool.auto_handles_expiry() {
            return None;
        }
        let expired = self.pool.delete_by_expiry(&self.place.name).await;
        Some(expired.map(|ids| Some(ids.len() as u64)).map_err(Into::into))
    }

    fn lives_longer(&self) -> Duration {
        WHOLE_SECONDS
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}
