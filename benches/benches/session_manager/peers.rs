//! Loads a session and gets one value: `tower-sessions` over its `MemoryStore`, and ours.

use std::{hint::black_box, sync::Arc};

use benches::{executor::block_on, keys::Spread, parallel, rounds, summary::Summary, table::Table};
use session_core::SessionId;
use session_manager::SessionManager;
use session_memory::MemoryStore;
use tower_sessions::{
    SessionStore as _,
    cookie::time::{Duration, OffsetDateTime},
    session::{Id, Record},
};

use crate::payload;

/// The target ratio of our operations per second to theirs.
const BAR: f64 = 15.0;

struct Both {
    theirs: Arc<tower_sessions::MemoryStore>,
    ours: SessionManager,
    ids: Vec<(Id, SessionId)>,
}

impl Both {
    fn with(sessions: u32) -> Self {
        let theirs = Arc::new(tower_sessions::MemoryStore::default());
        let ours = SessionManager::new(MemoryStore::new());
        let create = |number| {
            let mut record = Record {
                id: Id::default(),
                data: payload::values(number)
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                expiry_date: OffsetDateTime::now_utc() + Duration::days(1),
            };
            block_on(theirs.create(&mut record)).expect("it cannot fail");
            let session = ours.create();
            for (key, value) in payload::values(number) {
                session.insert(key, &value).expect("a value");
            }
            block_on(session.save()).expect("a save");
            (record.id, session.id().expect("stored"))
        };
        let ids = (0..u64::from(sessions)).map(create).collect();
        Self { theirs, ours, ids }
    }

    /// What their extractor gives to an application: a lazy session, which loads at the first get.
    fn their_session(&self, (id, _): &(Id, SessionId)) {
        let session = tower_sessions::Session::new(Some(*id), Arc::clone(&self.theirs) as _, None);
        let value = block_on(session.get::<u64>(payload::READ));
        assert!(matches!(black_box(value), Ok(Some(_))), "every session is there");
    }

    /// Their store alone, and the value from the map that it returns.
    fn their_store(&self, (id, _): &(Id, SessionId)) {
        let record = block_on(self.theirs.load(id)).expect("it cannot fail").expect("it is there");
        let value = record.data.get(payload::READ).cloned().map(serde_json::from_value::<u64>);
        assert!(matches!(black_box(value), Some(Ok(_))), "every value is there");
    }

    fn our_session(&self, (_, id): &(Id, SessionId)) {
        let session = self.ours.open(Some(id.clone()));
        let value = block_on(session.get::<u64>(payload::READ));
        assert!(matches!(black_box(value), Ok(Some(_))), "every session is there");
    }
}

type Candidate = fn(&Both, &(Id, SessionId));

/// Prints the comparisons for this many sessions.
pub(crate) fn report(sessions: u32, rounds: usize, ops: u32) {
    let both = Both::with(sessions);
    let title = format!(
        "load and get one of 8 values: ns of one thread, {sessions} sessions, uniform keys, {rounds} rounds"
    );
    let headings = [
        "theirs",
        "threads",
        "ns",
        "quartiles",
        "ours, ns",
        "quartiles",
        "times as many/s",
        "quartiles",
        "bar",
        "",
    ];
    let mut table = Table::new(title, &headings);
    let candidates: [Candidate; 3] = [Both::their_session, Both::their_store, Both::our_session];
    for threads in [1, 2] {
        let keys: Vec<Vec<u32>> =
            (0..threads).map(|thread| Spread::Uniform.draw(sessions, ops as usize, 1 + thread)).collect();
        let series = rounds::series(rounds, &candidates, |candidate| {
            let prepare = |thread: usize| keys[thread].as_slice();
            let took = parallel::time_slowest(keys.len(), prepare, |keys| {
                for at in keys {
                    candidate(&both, &both.ids[*at as usize]);
                }
            });
            took.as_secs_f64() * 1e9 / f64::from(ops)
        });
        for (theirs, what) in series.iter().zip(["Session::get", "store.load, then the value"]) {
            let (their_ns, our_ns) = (Summary::of(theirs.clone()), Summary::of(series[2].clone()));
            let ratio = Summary::of_ratios(theirs, &series[2]);
            table.row([
                what.to_owned(),
                threads.to_string(),
                format!("{:.0}", their_ns.median),
                their_ns.quartiles(),
                format!("{:.0}", our_ns.median),
                our_ns.quartiles(),
                format!("{:.1}", ratio.median),
                ratio.quartiles_to(1),
                format!(">= {BAR}"),
                if ratio.median >= BAR { "met" } else { "missed" }.to_owned(),
            ]);
        }
    }
    table.print();
}
