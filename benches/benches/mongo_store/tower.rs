use std::{collections::HashMap, sync::Arc};

use benches::callers;
use data_encoding::BASE64;
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions_core_011::{
    SessionStore as _,
    session::{Id, Record},
};
use tower_sessions_mongodb_store::{MongoDBStore, mongodb::Client};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// The store of tower-sessions. A record holds one text, of the same size as the data of the others, because its codec takes no bytes.
pub(crate) struct Tower {
    store: Arc<MongoDBStore>,
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
        let client = Client::with_uri_str(url).await.expect("a client");
        let store = MongoDBStore::new(client, "tower".to_owned());
        let ids: Vec<Id> = (0..).take(sessions.keys().len()).map(Id).collect();
        let (saving, to_save) = (store.clone(), ids.clone());
        let _ = callers::run(64, ids.len(), move |number| {
            let (store, id) = (saving.clone(), to_save[number]);
            async move { store.save(&record(id)).await.expect("it is written") }
        })
        .await;
        Self { store: Arc::new(store), ids: Arc::new(ids), sessions: sessions.clone() }
    }
}

impl Candidate for Tower {
    fn name(&self) -> &'static str {
        "tower-sessions-mongodb-store"
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
