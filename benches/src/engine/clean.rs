//! Removes what a benchmark has stored, because it may use a server that it did not launch.

use std::{fs, io, path::Path};

use ::redis::AsyncCommands as _;
use futures_util::StreamExt as _;
use sqlx::Connection as _;

use super::Engine;
use crate::candidate::{Place, Result};

/// Removes everything whose name begins with the name of the place.
///
/// # Errors
///
/// The server's error.
pub async fn clean(place: &Place) -> Result<()> {
    match place.engine {
        Engine::Memory => Ok(()),
        Engine::Sqlite => {
            for file in fs::read_dir(&place.url)?.flatten() {
                if file.file_name().to_string_lossy().starts_with(&place.name) {
                    remove(&file.path())?;
                }
            }
            Ok(())
        }
        Engine::Redis => redis(place).await,
        Engine::Postgres => {
            let mut connection = sqlx::PgConnection::connect(&place.url).await?;
            let query = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND starts_with(relname, $1)";
            let tables: Vec<String> =
                sqlx::query_scalar(query).bind(&place.name).fetch_all(&mut connection).await?;
            for table in tables {
                let drop = format!("DROP TABLE \"{table}\" CASCADE");
                sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await?;
            }
            Ok(())
        }
        Engine::Mysql => {
            let mut connection = sqlx::MySqlConnection::connect(&place.url).await?;
            let query = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND LEFT(table_name, CHAR_LENGTH(?)) = ?";
            let tables: Vec<String> = sqlx::query_scalar(query)
                .bind(&place.name)
                .bind(&place.name)
                .fetch_all(&mut connection)
                .await?;
            for table in tables {
                let drop = format!("DROP TABLE `{table}`");
                sqlx::query(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await?;
            }
            Ok(())
        }
        Engine::Mongo => {
            let client = mongodb::Client::with_uri_str(&place.url).await?;
            for name in client.list_database_names().await? {
                if name.starts_with(&place.name) {
                    client.database(&name).drop().await?;
                }
            }
            Ok(())
        }
    }
}

/// Removes a file. SQLite may already have removed it while closing its last connection.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn redis(place: &Place) -> Result<()> {
    let client = ::redis::Client::open(&*place.url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut to_scan = connection.clone();
    let mut names = to_scan
        .scan_options::<Vec<u8>>(
            ::redis::ScanOptions::default().with_count(10_000).with_pattern(format!("*{}*", place.name)),
        )
        .await?
        .ready_chunks(1_000);
    while let Some(some) = names.next().await {
        let some = some.into_iter().collect::<Result<Vec<_>, _>>()?;
        connection.unlink::<_, ()>(some).await?;
    }
    Ok(())
}
