//! The builder of each engine, with the common settings.

use crate::ConnectOptions;

/// Calls a setter of the builder for each setting that is present.
#[allow(unused_macros, reason = "without a feature, there is no builder")]
macro_rules! apply {
    ($builder:expr, $($value:expr => $setter:ident),+ $(,)?) => {{
        let mut builder = $builder;
        $(
            if let Some(value) = $value {
                builder = builder.$setter(value);
            }
        )+
        builder
    }};
}

impl ConnectOptions {
    #[cfg(feature = "memory")]
    pub(crate) fn memory(self) -> session_memory::MemoryStoreBuilder {
        apply!(session_memory::MemoryStore::builder(),
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn sqlite(self) -> session_sql::SqliteStoreBuilder {
        apply!(session_sql::SqliteStore::builder(), self.namespace => table, self.deadline => deadline,
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(self) -> session_sql::PostgresStoreBuilder {
        apply!(session_sql::PostgresStore::builder(), self.namespace => table, self.deadline => deadline,
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity, self.credentials => credentials)
    }

    #[cfg(feature = "mysql")]
    pub(crate) fn mysql(self) -> session_sql::MySqlStoreBuilder {
        apply!(session_sql::MySqlStore::builder(), self.namespace => table, self.deadline => deadline,
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity, self.credentials => credentials)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn redis(self) -> session_redis::RedisStoreBuilder {
        apply!(session_redis::RedisStore::builder(), self.namespace => namespace, self.deadline => deadline,
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity, self.credentials => credentials)
    }

    #[cfg(feature = "mongo")]
    pub(crate) fn mongo(self) -> session_mongo::MongoStoreBuilder {
        apply!(session_mongo::MongoStore::builder(), self.namespace => collection, self.deadline => deadline,
            self.max_data_len => max_data_len, self.watch_capacity => watch_capacity, self.credentials => credentials_provider)
    }
}
