use std::sync::Arc;

use benches::{
    callers::{self, Run},
    keys::Spread,
};
use session_core::{SessionStore, When, Write, WriteItem, WriteOutcome};

use crate::sessions::{Sessions, data, ttl};

/// One in so many operations is a write.
const WRITES: usize = 20;

/// Sessions in a store, and the order in which they are used.
pub(crate) struct Workload {
    store: Arc<dyn SessionStore>,
    sessions: Sessions,
    order: Arc<Vec<u32>>,
}

impl Workload {
    pub(crate) async fn prepare(store: Arc<dyn SessionStore>, count: u32) -> Self {
        let sessions = Sessions::draw(count);
        let items: Vec<WriteItem> = (0..)
            .zip(sessions.keys())
            .map(|(session, key)| {
                let write = Write::new(data(), ttl());
                sessions.set_version(session, write.version);
                WriteItem { key: *key, write, when: When::Absent }
            })
            .collect();
        for some in items.chunks(10_000) {
            for outcome in store.write_many(some).await {
                assert!(outcome.expect("it is written").is_written());
            }
        }
        Self { store, sessions, order: Arc::new(Spread::Zipf.draw(count, 1 << 20, 7)) }
    }

    pub(crate) async fn run(&self, callers: usize, operations: usize) -> Run {
        let (store, sessions, order) =
            (Arc::clone(&self.store), self.sessions.clone(), Arc::clone(&self.order));
        callers::run(callers, operations, move |number| {
            let (store, sessions, order) = (Arc::clone(&store), sessions.clone(), Arc::clone(&order));
            async move {
                let session = order[number % order.len()] as usize;
                let key = &sessions.keys()[session];
                if number % WRITES != 0 {
                    assert!(store.read(key).await.expect("it answers").is_some());
                    return;
                }
                let write = Write::new(data(), ttl());
                let version = write.version;
                let when = When::Version(sessions.version(session));
                // A conflict is an answer, too. To try again at once would have all callers queue for the most popular session, and measure that.
                let now = match store.write(key, write, when).await.expect("it answers") {
                    WriteOutcome::Written => version,
                    WriteOutcome::Conflict(record) => record.expect("it is live").version,
                };
                sessions.set_version(session, now);
            }
        })
        .await
    }
}
