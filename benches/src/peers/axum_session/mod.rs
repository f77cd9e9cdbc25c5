//! `axum_session` over sqlx, Redis and MongoDB. Without a database it has no store to call, only a
//! map in its middleware.

mod app;
mod candidate;
mod open;

use std::sync::Arc;

use app::App;
use candidate::AxumSession;

use super::describe;
use crate::{candidate::Spec, engine::Engine};

macro_rules! spec {
    ($engine:ident, $name:literal, $package:literal, $open:ident, $connections:literal) => {
        Spec {
            description: describe(Engine::$engine, "axum-session", $name, $package, $connections),
            open: |place, sessions| {
                Box::pin(async move {
                    let pool = open::$open(&place, sessions).await?;
                    Ok(Arc::new(AxumSession::over(pool, place, sessions).await?) as _)
                })
            },
            probe: Some(|place| {
                Box::pin(async move {
                    let pool = open::$open(&place, 0).await?;
                    Ok(Arc::new(App::over(pool, &place).await?) as _)
                })
            }),
        }
    };
}

/// All `axum_session` candidates.
pub(super) fn specs() -> Vec<Spec> {
    vec![
        spec!(Sqlite, "axum_session SQLite", "axum_session_sqlx", sqlite, "1"),
        spec!(Redis, "axum_session Redis", "axum_session_redispool", redis, "up to 512"),
        spec!(Postgres, "axum_session Postgres", "axum_session_sqlx", postgres, "up to 10"),
        spec!(Mysql, "axum_session MySQL", "axum_session_sqlx", mysql, "up to 10"),
        spec!(Mongo, "axum_session MongoDB", "axum_session_mongo", mongo, "up to 64"),
    ]
}
