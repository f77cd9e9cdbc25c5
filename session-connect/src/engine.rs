use std::{fmt, sync::Arc};

use session_core::{Error, ErrorKind, Operation, Result, SessionStore};

use crate::ConnectOptions;

/// An engine that stores sessions. Every engine of the workspace is listed, whether it is compiled
/// in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// `MemoryStore`: the memory of this process. Feature `memory`.
    Memory,
    /// `SqliteStore`: a file. Feature `sqlite`.
    Sqlite,
    /// `PostgresStore`. Feature `postgres`.
    Postgres,
    /// `MySqlStore`, for MySQL and MariaDB. Feature `mysql`.
    MySql,
    /// `RedisStore`, for Redis and Valkey: one server, Sentinel or Cluster. Feature `redis`.
    Redis,
    /// `MongoStore`. Feature `mongo`.
    Mongo,
}

impl Engine {
    /// Every engine, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Memory, Self::Sqlite, Self::Postgres, Self::MySql, Self::Redis, Self::Mongo];

    /// The engine of a URL, by its scheme, or `None` if no engine has that scheme.
    ///
    /// ```
    /// use session_connect::Engine;
    ///
    /// assert_eq!(Engine::of("redis+cluster://a,b,c"), Some(Engine::Redis));
    /// assert_eq!(Engine::of("sqlite:app.db"), Some(Engine::Sqlite));
    /// assert_eq!(Engine::of("app.db"), None);
    /// ```
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once(':')?;
        let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _)| scheme);
        Self::ALL
            .into_iter()
            .find(|engine| engine.schemes().iter().any(|known| known.eq_ignore_ascii_case(scheme)))
    }

    /// The schemes of its URLs, without what may follow a `+`. The first is the usual one.
    #[must_use]
    pub const fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["memory"],
            Self::Sqlite => &["sqlite"],
            Self::Postgres => &["postgres", "postgresql"],
            Self::MySql => &["mysql", "mariadb"],
            Self::Redis => &["redis", "rediss", "valkey", "valkeys"],
            Self::Mongo => &["mongodb"],
        }
    }

    /// The name of the product: `PostgreSQL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
            Self::Redis => "Redis",
            Self::Mongo => "MongoDB",
        }
    }

    /// A URL as an application would write it, with no secret in it.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Memory => "memory:",
            Self::Sqlite => "sqlite:app.db",
            Self::Postgres => "postgres://user@host/app",
            Self::MySql => "mysql://user@host/app",
            Self::Redis => "redis://host",
            Self::Mongo => "mongodb://host/app",
        }
    }

    /// The feature of this crate that compiles the engine in.
    #[must_use]
    pub const fn feature(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::Redis => "redis",
            Self::Mongo => "mongo",
        }
    }

    /// Returns true if the engine's feature is switched on.
    #[must_use]
    pub const fn is_compiled_in(self) -> bool {
        match self {
            Self::Memory => cfg!(feature = "memory"),
            Self::Sqlite => cfg!(feature = "sqlite"),
            Self::Postgres => cfg!(feature = "postgres"),
            Self::MySql => cfg!(feature = "mysql"),
            Self::Redis => cfg!(feature = "redis"),
            Self::Mongo => cfg!(feature = "mongo"),
        }
    }

    /// The engine of a URL. The error does not quote the URL, because any part of it may be a
    /// password.
    pub(crate) fn required(url: &str) -> Result<Self> {
        let unknown = || format!("the URL of the store has the scheme of no engine. {}", compiled_in());
        Self::of(url).ok_or_else(|| config(&unknown()))
    }

    #[allow(clippy::unused_async, reason = "without an engine that connects, nothing is awaited")]
    pub(crate) async fn open(self, url: &str, options: ConnectOptions) -> Result<Arc<dyn SessionStore>> {
        match self {
            #[cfg(feature = "memory")]
            Self::Memory if url.ends_with(':') => Ok(Arc::new(options.memory().build())),
            #[cfg(feature = "memory")]
            Self::Memory => Err(config("a store in memory has no name and no option: its URL is `memory:`")),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Ok(Arc::new(options.sqlite().connect(url).await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres => Ok(Arc::new(options.postgres().connect(url).await?)),
            #[cfg(feature = "mysql")]
            Self::MySql => Ok(Arc::new(options.mysql().connect(url).await?)),
            #[cfg(feature = "redis")]
            Self::Redis => Ok(Arc::new(options.redis().connect(url).await?)),
            #[cfg(feature = "mongo")]
            Self::Mongo => Ok(Arc::new(options.mongo().connect(url).await?)),
            #[allow(unreachable_patterns, reason = "with all features, every engine has an arm")]
            missing => {
                let _ = (url, options);
                Err(config(&format!(
                    "{missing} is not compiled in: switch on the feature `{}` of session-connect. {}",
                    missing.feature(),
                    compiled_in()
                )))
            }
        }
    }
}

/// The [name](Engine::name).
impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn compiled_in() -> String {
    let engines: Vec<String> = Engine::ALL
        .into_iter()
        .filter(|engine| engine.is_compiled_in())
        .map(|engine| format!("{engine} ({})", engine.example()))
        .collect();
    match engines.as_slice() {
        [] => "No engine is compiled in".to_owned(),
        engines => format!("Compiled in: {}", engines.join(", ")),
    }
}

fn config(reason: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason.to_owned())
}
