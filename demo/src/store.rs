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

/// The URL as it may be shown: what stands between `//` and `@` is left out.
pub(crate) fn without_password(url: &str) -> String {
    match (url.split_once("//"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) if at > scheme.len() => format!("{scheme}//…{}", &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("redis://me:secret@host:1/2"), "redis://…@host:1/2");
        assert_eq!(without_password("sqlite:app.db"), "sqlite:app.db");
    }

    #[tokio::test]
    async fn an_unknown_store_is_named() {
        let error = open("foo:bar").await.expect_err("there is none");
        assert!(error.to_string().contains("\"foo\""), "{error}");
    }
}
