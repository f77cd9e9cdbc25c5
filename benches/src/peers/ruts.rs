//! The stores of ruts: each field of a session is a separate value, written at once.

use std::sync::Arc;

use ::ruts::{
    Id,
    store::{SessionStore, Ttl, moka::MokaStore, postgres::PostgresStoreBuilder, redis::RedisStore},
};
use async_trait::async_trait;
use bytes::Bytes;
use tower_sessions_redis_store::fred::{clients::Pool, interfaces::ClientLike as _, types::config::Config};
use tower_sessions_sqlx_store::sqlx::PgPool;

use super::{DATA, Ids, USER, describe, seconds, text, ttl_seconds};
use crate::{
    candidate::{Candidate, NewSession, Place, Result, Spec},
    engine::{Engine, size},
    probe::{Probe, Request},
};

macro_rules! spec {
    ($engine:ident/$part:literal, $name:literal, $open:ident, $connections:literal) => {
        Spec {
            description: describe(Engine::$engine, $part, $name, "ruts", $connections),
            open: |place, sessions| {
                Box::pin(async move {
                    let store = $open(&place, sessions).await?;
                    Ok(Arc::new(Ruts { store, ids: Ids::new(sessions), place }) as _)
                })
            },
            probe: Some(|place| {
                Box::pin(async move { Ok(Arc::new(App { store: $open(&place, 1_000).await? }) as _) })
            }),
        }
    };
}

/// All ruts candidates.
pub(super) fn specs() -> Vec<Spec> {
    vec![
        spec!(Memory / "ruts", "ruts MokaStore", moka, "none"),
        spec!(Redis / "ruts", "ruts RedisStore", redis, "6"),
        spec!(Postgres / "ruts", "ruts PostgresStore", postgres, "up to 10"),
    ]
}

/// With room for twice the sessions, because evictions are not what is measured.
async fn moka(_: &Place, sessions: usize) -> Result<MokaStore> {
    Ok(MokaStore::builder().max_capacity(2 * sessions as u64).build())
}

/// Six connections, as for the tower-sessions store with the same driver. Its keys have no prefix:
/// what a run leaves expires within the hour.
async fn redis(place: &Place, _: usize) -> Result<RedisStore<Pool>> {
    let pool = Pool::new(Config::from_url(&place.url)?, None, None, None, 6)?;
    let _task = pool.connect();
    pool.wait_for_connect().await?;
    let store = RedisStore::new(Arc::new(pool)).await?;
    let id = Id::default();
    let tried = store.set(&id, DATA, &String::new(), Ttl::new(1)?, None).await;
    store.delete(&id).await?;
    tried.map_err(|error| format!("it needs a server that knows HEXPIRE, such as Redis 7.4: {error}"))?;
    Ok(store)
}

async fn postgres(place: &Place, _: usize) -> Result<::ruts::store::postgres::PostgresStore> {
    let builder = PostgresStoreBuilder::new(PgPool::connect(&place.url).await?);
    Ok(builder.create_table(true).table_name(&*place.name)?.build().await?)
}

struct Ruts<S> {
    store: S,
    ids: Ids<Id>,
    place: Place,
}

#[async_trait]
impl<S: SessionStore> Candidate for Ruts<S> {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let id = Id::default();
        self.store.set(&id, DATA, &text(&new.data)?, Ttl::new(seconds(new.ttl))?, None).await?;
        self.ids.set(session, id);
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let value = self.store.get::<String>(&self.ids.get(session)?, DATA).await?;
        Ok(value.map(|value| value.len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        let id = self.ids.get(session)?;
        self.store.set(&id, DATA, &text(&data)?, Ttl::new(ttl_seconds())?, None).await?;
        Ok(0)
    }

    async fn touch(&self, session: usize) -> Result<()> {
        let id = self.ids.get(session)?;
        if self.store.expire_field(&id, DATA, Ttl::new(ttl_seconds())?).await? {
            return Ok(());
        }
        Err("the session is gone".into())
    }

    async fn delete(&self, session: usize) -> Result<()> {
        if self.store.delete(&self.ids.get(session)?).await? {
            return Ok(());
        }
        Err("nothing was deleted".into())
    }

    /// Does what `prepare_regenerate` and the set after it do.
    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        let (old, id) = (self.ids.get(session)?, Id::default());
        let ttl = Ttl::new(seconds(new.ttl))?;
        self.store.set_and_rename(&old, &id, DATA, &text(&new.data)?, ttl, None).await?;
        self.ids.set(session, id);
        Ok(())
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}

/// An application. The `Session` of ruts only comes from a server's request and passes each call on
/// to the store, so this makes the same calls.
struct App<S> {
    store: S,
}

#[async_trait]
impl<S: SessionStore> Probe for App<S> {
    async fn login(&self, user: &str) -> Result<String> {
        let id = Id::default();
        self.store.set(&id, USER, &user.to_owned(), Ttl::new(ttl_seconds())?, None).await?;
        Ok(id.to_string())
    }

    async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
        let id: Id = id.parse()?;
        self.store.get::<String>(&id, USER).await?.ok_or("there is no such session")?;
        Ok(Box::new(AppRequest { store: self.store.clone(), id, changes: Vec::new() }))
    }

    async fn logout(&self, id: &str) -> Result<()> {
        Ok(self.store.delete(&id.parse()?).await.map(drop)?)
    }

    async fn is_logged_in(&self, id: &str) -> Result<bool> {
        Ok(self.get(id, USER).await?.is_some())
    }

    async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
        Ok(self.store.get(&id.parse()?, key).await?)
    }
}

struct AppRequest<S> {
    store: S,
    id: Id,
    changes: Vec<(String, String)>,
}

#[async_trait]
impl<S: SessionStore> Request for AppRequest<S> {
    /// Defers the write to the end of the request, when the others save. ruts itself writes a value
    /// when it is set.
    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.changes.push((key.to_owned(), value.to_owned()));
        Ok(())
    }

    async fn save(self: Box<Self>) -> Result<()> {
        for (key, value) in &self.changes {
            self.store.set(&self.id, key, value, Ttl::new(ttl_seconds())?, None).await?;
        }
        Ok(())
    }
}
