//! The bytes that sessions take on an engine.

use sqlx::{Connection as _, Row as _};

use super::Engine;
use crate::candidate::{Place, Result};

/// The bytes of everything in this place, indexes included, as the engine reports them.
///
/// `None` for the memory of this process. For Redis, the memory of the whole server: a difference
/// shows what sessions take.
///
/// # Errors
///
/// The server's error.
pub async fn of(place: &Place) -> Result<Option<u64>> {
    match place.engine {
        Engine::Memory => Ok(None),
        Engine::Sqlite => sqlite(place).map(Some),
        Engine::Redis => redis(&place.url).await.map(Some),
        Engine::Postgres => postgres(place).await.map(Some),
        Engine::Mysql => mysql(place).await.map(Some),
        Engine::Mongo => mongo(place).await.map(Some),
    }
}

/// The size of the file and its write-ahead log.
fn sqlite(place: &Place) -> Result<u64> {
    let file = place.file();
    let log = file.with_extension("db-wal");
    Ok(file.metadata()?.len() + log.metadata().map_or(0, |log| log.len()))
}

async fn redis(url: &str) -> Result<u64> {
    let mut connection = ::redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = ::redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
    used.ok_or_else(|| "INFO tells no used_memory".into())
}

async fn postgres(place: &Place) -> Result<u64> {
    let mut connection = sqlx::PgConnection::connect(&place.url).await?;
    // An underscore in `LIKE` matches any character, which is harmless: the names differ elsewhere.
    let query = "SELECT COALESCE(SUM(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relkind = 'r' AND relname LIKE $1 || '%'";
    let row = sqlx::query(query).bind(&place.name).fetch_one(&mut connection).await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?)?)
}

async fn mysql(place: &Place) -> Result<u64> {
    let mut connection = sqlx::MySqlConnection::connect(&place.url).await?;
    let query = "SELECT CAST(COALESCE(SUM(file_size), 0) AS SIGNED) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE CONCAT('%/', ?, '%')";
    let row = sqlx::query(query).bind(&place.name).fetch_one(&mut connection).await?;
    Ok(u64::try_from(row.try_get::<i64, _>(0)?)?)
}

async fn mongo(place: &Place) -> Result<u64> {
    let client = mongodb::Client::with_uri_str(&place.url).await?;
    // Recent writes are not in the files yet.
    client.database("admin").run_command(mongodb::bson::doc! { "fsync": 1 }).await?;
    let question = mongodb::bson::doc! { "dbStats": 1 };
    let stats = client.database(&place.name).run_command(question).await?;
    let total = stats.get_f64("totalSize").or_else(|_| stats.get_i64("totalSize").map(to_f64));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size is a whole number")]
    Ok(total? as u64)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn to_f64(size: i64) -> f64 {
    size as f64
}
