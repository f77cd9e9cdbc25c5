use std::time::Duration;

use benches::callers;
use mongodb::options::{Acknowledgment, WriteConcern};
use session_core::{SessionStore, When, Write, WriteItem};
use session_mongo::MongoStore;

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// Long enough for the sessions to be written in one call.
const DEADLINE: Duration = Duration::from_mins(2);

/// Ours, with its defaults but for the write concern, which is that of the others.
pub(crate) struct TheStore {
    store: MongoStore,
    sessions: Sessions,
}

impl TheStore {
    pub(crate) async fn open(url: &str, concern: Acknowledgment, sessions: &Sessions) -> Self {
        let mut write_concern = WriteConcern::default();
        write_concern.w = Some(concern);
        let builder = MongoStore::builder().database("ours").write_concern(write_concern).deadline(DEADLINE);
        let (store, sessions) = (builder.connect(url).await.expect("it opens"), sessions.again());
        let items: Vec<WriteItem> = (0..)
            .zip(sessions.keys())
            .map(|(session, key)| {
                let write = Write::new(data(), ttl());
                sessions.set_version(session, write.version);
                WriteItem { key: *key, write, when: When::Absent }
            })
            .collect();
        for outcome in store.write_many(&items).await {
            assert!(outcome.expect("it is written").is_written());
        }
        Self { store, sessions }
    }
}

impl Candidate for TheStore {
    fn name(&self) -> &'static str {
        "MongoStore"
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
