//! Opens the stores of `axum_session`, with the same durability as the others.

use std::time::Duration;

use axum_session::SessionAnyPool;
use axum_session_mongo::SessionMongoPool;
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool, SessionSqlitePool};
use mongodb::options::ClientOptions;
use redis_pool::RedisPool;
use sqlx::{
    MySqlPool, PgPool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::candidate::{Place, Result};

/// MongoDB is not measured with more sessions than this.
const MOST_WITHOUT_INDEX: usize = 5_000;

/// The pool with its defaults: it keeps 16 connections, and opens up to 512.
pub(super) async fn redis(place: &Place, _: usize) -> Result<SessionAnyPool> {
    let pool = RedisPool::from(redis::Client::open(&*place.url)?);
    Ok(SessionAnyPool::new(SessionRedisPool::from(pool)))
}

pub(super) async fn postgres(place: &Place, _: usize) -> Result<SessionAnyPool> {
    Ok(SessionAnyPool::new(SessionPgPool::from(PgPool::connect(&place.url).await?)))
}

pub(super) async fn mysql(place: &Place, _: usize) -> Result<SessionAnyPool> {
    Ok(SessionAnyPool::new(SessionMySqlPool::from(MySqlPool::connect(&place.url).await?)))
}

/// One connection, like the plain pool: several would wait for each other's lock.
pub(super) async fn sqlite(place: &Place, _: usize) -> Result<SessionAnyPool> {
    let synchronous = if place.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let options = SqliteConnectOptions::new()
        .filename(place.file())
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    Ok(SessionAnyPool::new(SessionSqlitePool::from(pool)))
}

/// The store looks sessions up by a field without an index, so each operation reads the whole
/// collection.
pub(super) async fn mongo(place: &Place, sessions: usize) -> Result<SessionAnyPool> {
    if sessions > MOST_WITHOUT_INDEX {
        let reason =
            "it keeps no index of ids, so each operation reads all sessions: measured with no more than";
        return Err(format!("{reason} {MOST_WITHOUT_INDEX} sessions").into());
    }
    let mut options = ClientOptions::parse(place.with_option("maxPoolSize", "64")).await?;
    options.default_database = Some(place.name.clone());
    Ok(SessionAnyPool::new(SessionMongoPool::from(mongodb::Client::with_options(options)?)))
}
