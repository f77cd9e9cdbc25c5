//! The Redis store of actix-session.

use std::{collections::HashMap, sync::Arc};

use actix_session::storage::{RedisSessionStore, SessionKey, SessionStore as _};
use async_trait::async_trait;
use bytes::Bytes;
use tower_sessions::cookie::time::Duration;

use super::{Browser, DATA, Ids, USER, describe, seconds, text, ttl_seconds};
use crate::{
    candidate::{Candidate, NewSession, Place, Result, Spec},
    engine::{Engine, size},
    probe::{Probe, Request},
};

/// The candidate for Redis.
pub(super) fn specs() -> Vec<Spec> {
    vec![Spec {
        description: describe(Engine::Redis, "actix-session", "actix-session Redis", "actix-session", "1"),
        open: |place, sessions| {
            Box::pin(async move {
                Ok(Arc::new(Actix { store: open(&place).await?, ids: Ids::new(sessions), place }) as _)
            })
        },
        probe: Some(|place| {
            Box::pin(
                async move { Ok(Arc::new(App { store: open(&place).await?, browser: Arc::default() }) as _) },
            )
        }),
    }]
}

async fn open(place: &Place) -> Result<RedisSessionStore> {
    let name = place.name.clone();
    let builder = RedisSessionStore::builder(&place.url).cache_keygen(move |key| format!("{name}:{key}"));
    Ok(builder.build().await?)
}

/// A session: a JSON map whose values are JSON.
type State = HashMap<String, String>;

struct Actix {
    store: RedisSessionStore,
    ids: Ids<String>,
    place: Place,
}

fn state(data: &Bytes) -> Result<State> {
    Ok([(DATA.to_owned(), serde_json::to_string(&text(data)?)?)].into_iter().collect())
}

fn hour() -> Duration {
    Duration::seconds(ttl_seconds())
}

impl Actix {
    fn key(&self, session: usize) -> Result<SessionKey> {
        Ok(self.ids.get(session)?.try_into()?)
    }
}

#[async_trait]
impl Candidate for Actix {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let key = self.store.save(state(&new.data)?, &Duration::seconds(seconds(new.ttl))).await?;
        self.ids.set(session, key.into());
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let Some(state) = self.store.load(&self.key(session)?).await? else { return Ok(None) };
        let value = state.get(DATA).map(|value| serde_json::from_str::<String>(value)).transpose()?;
        Ok(value.map(|value| value.len()))
    }

    /// Saves under a new id if the session has ended meanwhile.
    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        let key = self.store.update(self.key(session)?, state(&data)?, &hour()).await?;
        self.ids.set(session, key.into());
        Ok(0)
    }

    async fn touch(&self, session: usize) -> Result<()> {
        Ok(self.store.update_ttl(&self.key(session)?, &hour()).await?)
    }

    async fn delete(&self, session: usize) -> Result<()> {
        Ok(self.store.delete(&self.key(session)?).await?)
    }

    /// Does what its middleware does after `renew`.
    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        self.delete(session).await?;
        self.create(session, new).await
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}

/// An application. The middleware runs only on actix's own threads, so this makes the same calls:
/// it loads a session when a request arrives, and updates it as a whole when the request ends.
struct App {
    store: RedisSessionStore,
    browser: Arc<Browser>,
}

impl App {
    async fn load(&self, id: &str) -> Result<AppRequest> {
        let id = self.browser.cookie(id);
        let state = self.store.load(&id.clone().try_into()?).await?;
        Ok(AppRequest {
            store: self.store.clone(),
            browser: self.browser.clone(),
            known: state.is_some(),
            state: state.unwrap_or_default(),
            id,
        })
    }
}

#[async_trait]
impl Probe for App {
    async fn login(&self, user: &str) -> Result<String> {
        let state = [(USER.to_owned(), serde_json::to_string(user)?)].into_iter().collect();
        Ok(self.store.save(state, &hour()).await?.into())
    }

    async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
        Ok(Box::new(self.load(id).await?))
    }

    async fn logout(&self, id: &str) -> Result<()> {
        Ok(self.store.delete(&self.browser.cookie(id).try_into()?).await?)
    }

    async fn is_logged_in(&self, id: &str) -> Result<bool> {
        Ok(self.get(id, USER).await?.is_some())
    }

    async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
        let value = self.load(id).await?.state.remove(key);
        Ok(value.map(|value| serde_json::from_str(&value)).transpose()?)
    }
}

struct AppRequest {
    store: RedisSessionStore,
    browser: Arc<Browser>,
    id: String,
    known: bool,
    state: State,
}

#[async_trait]
impl Request for AppRequest {
    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.state.insert(key.to_owned(), serde_json::to_string(value)?);
        Ok(())
    }

    async fn save(self: Box<Self>) -> Result<()> {
        let new = if self.known {
            self.store.update(self.id.clone().try_into()?, self.state, &hour()).await?
        } else {
            self.store.save(self.state, &hour()).await?
        };
        self.browser.set_cookie(&self.id, new.as_ref());
        Ok(())
    }
}
