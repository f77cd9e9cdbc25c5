use std::sync::Arc;

use super::{core, open};
use crate::{
    candidate::{Description, Kind, Spec},
    engine::Engine,
    peers::describe,
};

macro_rules! spec {
    ($engine:ident/$part:literal, $name:literal, $package:literal, $core:ident, $open:ident, $connections:literal $(, $with_purge:ident)?) => {
        Spec {
            description: describe(Engine::$engine, $part, $name, $package, $connections),
            open: |place, sessions| {
                Box::pin(async move {
                    let store = open::$open(&place).await?;
                    Ok(Arc::new(core::$core::Tower::over(store, place, sessions)$(.$with_purge())?) as _)
                })
            },
            probe: Some(|place| {
                Box::pin(
                    async move { Ok(Arc::new(core::$core::TowerApp::over(open::$open(&place).await?)) as _) },
                )
            }),
        }
    };
}

fn behind_a_cache(spec: Spec) -> Spec {
    Spec { description: Description { kind: Kind::CachedPeer, ..spec.description }, ..spec }
}

/// All tower-sessions candidates.
pub(in crate::peers) fn specs() -> Vec<Spec> {
    vec![
        spec!(Memory / "tower", "tower-sessions MemoryStore", "tower-sessions", newest, memory, "none"),
        spec!(
            Memory / "tower-moka",
            "tower-sessions MokaStore",
            "tower-sessions-moka-store",
            core_014,
            moka,
            "none"
        ),
        spec!(
            Sqlite / "tower",
            "tower-sessions SqliteStore",
            "tower-sessions-sqlx-store",
            core_014,
            sqlite,
            "1",
            with_purge
        ),
        spec!(
            Redis / "tower",
            "tower-sessions RedisStore",
            "tower-sessions-redis-store",
            core_014,
            redis,
            "6"
        ),
        behind_a_cache(spec!(
            Redis / "tower-moka",
            "tower-sessions Moka over Redis",
            "tower-sessions-moka-store",
            core_014,
            cached_redis,
            "6"
        )),
        spec!(
            Postgres / "tower",
            "tower-sessions PostgresStore",
            "tower-sessions-sqlx-store",
            core_014,
            postgres,
            "up to 10",
            with_purge
        ),
        behind_a_cache(spec!(
            Postgres / "tower-moka",
            "tower-sessions Moka over Postgres",
            "tower-sessions-moka-store",
            core_014,
            cached_postgres,
            "up to 10"
        )),
        spec!(
            Mysql / "tower",
            "tower-sessions MySqlStore",
            "tower-sessions-sqlx-store",
            core_014,
            mysql,
            "up to 10",
            with_purge
        ),
        spec!(
            Mongo / "tower",
            "tower-sessions MongoDBStore",
            "tower-sessions-mongodb-store",
            core_011,
            mongo,
            "up to 64"
        ),
    ]
}
