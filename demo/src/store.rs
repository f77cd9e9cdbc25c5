use std::sync::Arc;

use session_core::{Error, ErrorKind, Operation, SessionStore};
use session_memory::MemoryStore;

/// Opens the store that the URL names, one of those that this program was compiled with.
pub(crate) async fn open(url: &str) -> Result<Arc<dyn SessionStore>, Error> {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme) {
        "memory" => Ok(Arc::new(MemoryStore::new())),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(session_sql::SqliteStore::connect(url).await?)),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => Ok(Arc::new(session_redis::RedisStore::connect(url).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => Ok(Arc::new(session_sql::PostgresStore::connect(url).await?)),
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => Ok(Arc::new(session_sql::MySqlStore::connect(url).await?)),
        #[cfg(feature = "mongo")]
        "mongodb" => Ok(Arc::new(session_mongo::MongoStore::connect(url).await?)),
        _ => Err(Error::new(ErrorKind::Config, Operation::Connect).because(format!(
            "there is no store for {scheme:?} in this program; --help lists what there is"
        ))),
    }
}

/// What the store of this URL is called.
pub(crate) fn engine(url: &str) -> &'static str {
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme) {
        "memory" => "this process",
        "sqlite" => "SQLite",
        "redis" | "rediss" => "Redis",
        "postgres" | "postgresql" => "PostgreSQL",
        "mysql" | "mariadb" => "MySQL or MariaDB",
        _ => "MongoDB",
    }
}

/// Where the sessions are, as operators may see it: a file by its name. A URL of a server may hold a password in any part of it.
pub(crate) fn place(url: &str) -> String {
    match url.split_once("sqlite:") {
        Some(("", file)) => file.split('?').next().unwrap_or_default().to_owned(),
        _ => engine(url).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for url in
            ["redis://me:secret@host:1/2", "redis://me:p?secret@host", "redis://host?password=secret@1"]
        {
            assert_eq!(place(url), "Redis");
        }
        assert_eq!(place("sqlite:app.db?mode=rw"), "app.db");
    }

    #[tokio::test]
    async fn an_unknown_store_is_named() {
        let error = open("foo:bar").await.expect_err("there is none");
        assert!(error.to_string().contains("\"foo\""), "{error}");
    }
}
