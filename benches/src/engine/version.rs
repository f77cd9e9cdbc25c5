//! The version that a server reports.

use sqlx::Connection as _;

use super::Engine;
use crate::candidate::{Place, Result, versions};

/// The release of the server in this place, or of this workspace for the memory of this process.
///
/// # Errors
///
/// The server's error.
pub(super) async fn of(place: &Place) -> Result<String> {
    Ok(match place.engine {
        Engine::Memory => format!("session-memory {}", versions::of("session-memory")),
        Engine::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await?;
            let version: String =
                sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await?;
            format!("SQLite {version}")
        }
        Engine::Redis => {
            let mut connection =
                ::redis::Client::open(&*place.url)?.get_multiplexed_async_connection().await?;
            let info: String = ::redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
            let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
            format!("Redis {}", version.unwrap_or("?").trim())
        }
        Engine::Postgres => {
            let mut connection = sqlx::PgConnection::connect(&place.url).await?;
            let version: String =
                sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
            format!("PostgreSQL {version}")
        }
        Engine::Mysql => {
            let mut connection = sqlx::MySqlConnection::connect(&place.url).await?;
            let version: String =
                sqlx::query_scalar("SELECT CAST(VERSION() AS CHAR)").fetch_one(&mut connection).await?;
            match version.split_once("-MariaDB") {
                Some((version, _)) => format!("MariaDB {version}"),
                None => format!("MySQL {version}"),
            }
        }
        Engine::Mongo => {
            let client = mongodb::Client::with_uri_str(&place.url).await?;
            let info = client.database("admin").run_command(mongodb::bson::doc! { "buildInfo": 1 }).await?;
            format!("MongoDB {}", info.get_str("version").unwrap_or("?"))
        }
    })
}
