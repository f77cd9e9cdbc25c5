use std::sync::Arc;

use benches::callers;
use session_core::{SessionStore, When, Write, WriteItem};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// Ours.
pub(crate) struct TheStore {
    name: &'static str,
    store: Arc<dyn SessionStore>,
    sessions: Sessions,
}

impl TheStore {
    pub(crate) async fn open(
        name: &'static str,
        store: impl SessionStore + 'static,
        sessions: &Sessions,
    ) -> Self {
        let sessions = sessions.again();
        let items: Vec<WriteItem> = (0..)
            .zip(sessions.keys())
            .map(|(session, key)| {
                let write = Write::new(data(), ttl());
                sessions.set_version(session, write.version);
                WriteItem { key: *key, write, when: When::Absent }
            })
            .collect();
        for items in items.chunks(1_000) {
            for outcome in store.write_many(items).await {
                assert!(outcome.expect("it is written").is_written());
            }
        }
        Self { name, store: Arc::new(store), sessions }
    }
}

impl Candidate for TheStore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (store, sessions) = (self.store.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (store, sessions) = (store.clone(), sessions.clone());
            async move {
                let key = &sessions.keys()[sessions.at_random(number)];
                assert!(store.read(key).await.expect("it answers").is_some());
            }
        }))
    }

    fn write(&self, callers: usize, operations: usize) -> Running {
        let (store, sessions) = (self.store.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (store, sessions) = (store.clone(), sessions.clone());
            async move {
                let session = sessions.in_turn(number);
                let write = Write::new(data(), ttl());
                let version = write.version;
                let when = When::Version(sessions.version(session));
                let outcome = store.write(&sessions.keys()[session], write, when).await;
                assert!(outcome.expect("it answers").is_written());
                sessions.set_version(session, version);
            }
        }))
    }
}
