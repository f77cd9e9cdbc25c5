use std::{collections::HashMap, sync::Arc};

use benches::callers;
use data_encoding::BASE64;
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions_core_014::{
    SessionStore as _,
    session::{Id, Record},
};
use tower_sessions_sqlx_store::{PostgresStore, sqlx::PgPool};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// The store of tower-sessions with the driver's pool. A record holds one text, of the same size as the data of the others, because its
/// codec takes no bytes. Its writes replace blindly.
pub(crate) struct Tower {
    store: Arc<PostgresStore>,
    ids: Arc<Vec<Id>>,
    sessions: Sessions,
}

fn record(id: Id) -> Record {
    let text = BASE64.encode(&data()[..300]);
    let expiry_date = OffsetDateTime::now_utc() + ttl().as_duration();
    Record { id, data: HashMap::from([("data".to_owned(), text.into())]), expiry_date }
}

impl Tower {
    pub(crate) async fn open(url: &str, sessions: &Sessions) -> Self {
        let store = PostgresStore::new(PgPool::connect(url).await.expect("it connects"));
        store.migrate().await.expect("a table");
        let store = Arc::new(store);
        let ids: Vec<Id> = (0..)
            .take(sessions.keys().len())
            .map(|number: i128| Id(number * 0x9E37_79B9_7F4A_7C15))
            .collect();
        let ids = Arc::new(ids);
        let (filled, all) = (store.clone(), ids.clone());
        callers::run(16, ids.len(), move |number| {
            let (store, id) = (filled.clone(), all[number]);
            async move { store.save(&record(id)).await.expect("it is written") }
        })
        .await;
        for id in ids.iter().skip(ids.len() / 16 * 16) {
            store.save(&record(*id)).await.expect("it is written");
        }
        Self { store, ids, sessions: sessions.clone() }
    }
}

impl Candidate for Tower {
    fn name(&self) -> &'static str {
        "tower-sessions-sqlx-store"
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (store, ids, sessions) = (self.store.clone(), self.ids.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (store, id) = (store.clone(), ids[sessions.at_random(number)]);
            async move { assert!(store.load(&id).await.expect("it answers").is_some()) }
        }))
    }

    fn write(&self, callers: usize, operations: usize) -> Running {
        let (store, ids, sessions) = (self.store.clone(), self.ids.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (store, id) = (store.clone(), ids[sessions.in_turn(number)]);
            async move { store.save(&record(id)).await.expect("it answers") }
        }))
    }
}
