//! Opens the stores of this workspace, all with the same durability.

use std::{sync::Arc, time::Duration};

use session_core::SessionStore;
use session_memory::{CacheExt as _, CacheSettings, MemoryStore};
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_sql::{MySqlStore, PostgresStore, SqliteStore, Synchronous};

use crate::candidate::{Place, Result};

/// A shared store.
pub(super) type Shared = Arc<dyn SessionStore>;

pub(super) async fn memory(place: &Place) -> Result<Shared> {
    let mut store = MemoryStore::builder();
    if !place.purges_itself {
        store = store.purge_interval(Duration::from_hours(1));
    }
    Ok(Arc::new(store.build()))
}

async fn sqlite_store(place: &Place) -> Result<SqliteStore> {
    let synchronous = if place.durable { Synchronous::Full } else { Synchronous::Normal };
    let mut store = SqliteStore::builder().synchronous(synchronous);
    if !place.purges_itself {
        store = store.purge_interval(None);
    }
    Ok(store.open(place.file()).await?)
}

async fn redis_store(place: &Place) -> Result<RedisStore> {
    Ok(RedisStore::builder().namespace(&place.name).connect(&place.url).await?)
}

async fn postgres_store(place: &Place) -> Result<PostgresStore> {
    let mut store = PostgresStore::builder().table(&place.name);
    if !place.purges_itself {
        store = store.purge_interval(None);
    }
    Ok(store.connect(&place.url).await?)
}

async fn mysql_store(place: &Place) -> Result<MySqlStore> {
    let mut store = MySqlStore::builder().table(&place.name);
    if !place.purges_itself {
        store = store.purge_interval(None);
    }
    Ok(store.connect(&place.url).await?)
}

async fn mongo_store(place: &Place) -> Result<MongoStore> {
    Ok(MongoStore::builder().database(&place.name).connect(&place.url).await?)
}

/// Cache settings with room for all sessions.
///
/// The slices are short and far apart, so entries must not become stale in between. Under a
/// continuous load with the default, a session in use is read again every thirty seconds, which
/// costs next to nothing.
fn settings() -> CacheSettings {
    CacheSettings::default().max_bytes(512 << 20).max_staleness(Duration::from_mins(10))
}

/// Adds a cache, which is in use when this returns.
async fn cached<S: SessionStore + 'static>(store: S, settings: CacheSettings) -> Result<Shared> {
    let cached = store.cached(settings)?;
    cached.wait_until_ready().await;
    Ok(Arc::new(cached))
}

/// Settings for stores that do not report changes by other processes.
fn accepting_staleness() -> CacheSettings {
    settings().accept_staleness_without_watch()
}

macro_rules! openers {
    ($($name:ident $cached:ident $store:ident $settings:expr;)*) => {$(
        pub(super) async fn $name(place: &Place) -> Result<Shared> {
            Ok(Arc::new($store(place).await?))
        }

        pub(super) async fn $cached(place: &Place) -> Result<Shared> {
            cached($store(place).await?, $settings).await
        }
    )*};
}

openers! {
    sqlite cached_sqlite sqlite_store accepting_staleness();
    redis cached_redis redis_store settings();
    postgres cached_postgres postgres_store settings();
    mysql cached_mysql mysql_store accepting_staleness();
    mongo cached_mongo mongo_store settings();
}
