use std::sync::Arc;

use super::{Ours, open};
use crate::{
    candidate::{Description, Kind, Spec, versions},
    engine::Engine,
    probe,
};

fn description(engine: Engine, kind: Kind, store: &str, connections: &str) -> Description {
    let (part, name) = match kind {
        Kind::Cached => ("cached", format!("Cached<{store}>")),
        _ => ("ours", store.to_owned()),
    };
    Description {
        id: format!("{engine}/{part}"),
        name,
        version: versions::of("session-core"),
        engine,
        kind,
        connections: connections.to_owned(),
        conditional: true,
    }
}

macro_rules! spec {
    ($kind:ident, $engine:ident, $store:literal, $open:ident, $connections:literal) => {
        Spec {
            description: description(Engine::$engine, Kind::$kind, $store, $connections),
            open: |place, sessions| {
                Box::pin(async move {
                    let store = open::$open(&place).await?;
                    Ok(Arc::new(Ours::over(store, place, sessions)) as _)
                })
            },
            probe: Some(|place| {
                Box::pin(async move { Ok(Arc::new(probe::Ours::over(open::$open(&place).await?)?) as _) })
            }),
        }
    };
}

/// All candidates of this workspace.
pub fn specs() -> Vec<Spec> {
    vec![
        spec!(Ours, Memory, "MemoryStore", memory, "none"),
        spec!(Ours, Sqlite, "SqliteStore", sqlite, "1 writes, 4 read"),
        spec!(Cached, Sqlite, "SqliteStore", cached_sqlite, "1 writes, 4 read"),
        spec!(Ours, Redis, "RedisStore", redis, "1"),
        spec!(Cached, Redis, "RedisStore", cached_redis, "1, and 1 that listens"),
        spec!(Ours, Postgres, "PostgresStore", postgres, "up to 8"),
        spec!(Cached, Postgres, "PostgresStore", cached_postgres, "up to 8, and 1 that listens"),
        spec!(Ours, Mysql, "MySqlStore", mysql, "up to 8"),
        spec!(Cached, Mysql, "MySqlStore", cached_mysql, "up to 8"),
        spec!(Ours, Mongo, "MongoStore", mongo, "up to 64, about 10 used"),
        spec!(Cached, Mongo, "MongoStore", cached_mongo, "up to 64, about 10 used"),
    ]
}
