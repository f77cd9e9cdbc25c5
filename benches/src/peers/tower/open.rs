//! Opens the stores of tower-sessions, with the same durability as the others.

use std::time::Duration;

use tower_sessions::MemoryStore;
use tower_sessions_core_014::CachingSessionStore;
use tower_sessions_moka_store::MokaStore;
use tower_sessions_mongodb_store::{MongoDBStore, mongodb::Client};
use tower_sessions_redis_store::{
    RedisStore,
    fred::{clients::Pool, interfaces::ClientLike as _, types::config::Config},
};
use tower_sessions_sqlx_store::{
    MySqlStore, PostgresStore, SqliteStore,
    sqlx::{
        self, MySqlPool, PgPool,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use crate::candidate::{Place, Result};

pub(super) async fn memory(_: &Place) -> Result<MemoryStore> {
    Ok(MemoryStore::default())
}

/// Without a limit, because evictions are not what is measured.
pub(super) async fn moka(_: &Place) -> Result<MokaStore> {
    Ok(MokaStore::new(None))
}

/// Six connections, as documented. Its keys have no prefix: what a run leaves expires within the
/// hour.
pub(super) async fn redis(place: &Place) -> Result<RedisStore<Pool>> {
    let pool = Pool::new(Config::from_url(&place.url)?, None, None, None, 6)?;
    let _task = pool.connect();
    pool.wait_for_connect().await?;
    Ok(RedisStore::new(pool))
}

pub(super) async fn postgres(place: &Place) -> Result<PostgresStore> {
    let store = PostgresStore::new(PgPool::connect(&place.url).await?);
    let store = store.with_schema_name("public")?.with_table_name(&place.name)?;
    store.migrate().await?;
    Ok(store)
}

pub(super) async fn mysql(place: &Place) -> Result<MySqlStore> {
    let pool = MySqlPool::connect(&place.url).await?;
    let database: String = sqlx::query_scalar("SELECT DATABASE()").fetch_one(&pool).await?;
    let store = MySqlStore::new(pool).with_schema_name(database)?.with_table_name(&place.name)?;
    store.migrate().await?;
    Ok(store)
}

/// One connection, like the plain pool: several would wait for each other's lock.
pub(super) async fn sqlite(place: &Place) -> Result<SqliteStore> {
    let synchronous = if place.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let options = SqliteConnectOptions::new()
        .filename(place.file())
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let store = SqliteStore::new(pool).with_table_name(&place.name)?;
    store.migrate().await?;
    Ok(store)
}

pub(super) async fn mongo(place: &Place) -> Result<MongoDBStore> {
    let client = Client::with_uri_str(place.with_option("maxPoolSize", "64")).await?;
    Ok(MongoDBStore::new(client, place.name.clone()))
}

/// With moka in front of the server, as documented by both.
pub(super) async fn cached_redis(place: &Place) -> Result<CachingSessionStore<MokaStore, RedisStore<Pool>>> {
    Ok(CachingSessionStore::new(moka(place).await?, redis(place).await?))
}

/// With moka in front of the server, as documented by both.
pub(super) async fn cached_postgres(place: &Place) -> Result<CachingSessionStore<MokaStore, PostgresStore>> {
    Ok(CachingSessionStore::new(moka(place).await?, postgres(place).await?))
}
