//! The parts of a request's work with its session, separately.

use std::{hint::black_box, time::Instant};

use benches::{executor::block_on, rounds, table::Table};
use session_core::{SessionId, SessionStore};
use session_manager::{Codec, Session, SessionManager, payload::Payload};
use session_memory::MemoryStore;

use crate::payload;

struct Subject {
    manager: SessionManager,
    id: SessionId,
    session: Session,
    bytes: session_core::Bytes,
}

impl Subject {
    fn new(codec: Codec) -> Self {
        let store = MemoryStore::new();
        let manager = SessionManager::builder(store.clone()).codec(codec).build().expect("settings");
        let session = manager.create();
        for (key, value) in payload::values(4_711) {
            match value.as_str() {
                Some(text) => session.insert(key, text),
                None if value.is_number() => session.insert(key, &4_711_u64),
                None => session.insert(key, &["author".to_owned(), "editor".to_owned()]),
            }
            .expect("plain values");
        }
        block_on(session.save()).expect("a save");
        let id = session.id().expect("stored");
        let bytes = block_on(store.read(&id.key())).expect("a read").expect("live").data;
        Self { manager, id, session, bytes }
    }
}

type Work = (&'static str, fn(&Subject));

const WORK: [Work; 8] = [
    ("get a number, session loaded", |subject| {
        black_box(block_on(subject.session.get::<u64>(black_box(payload::READ))).expect("a number"));
    }),
    ("get a String, session loaded", |subject| {
        black_box(block_on(subject.session.get::<String>(black_box("email"))).expect("text"));
    }),
    ("check and read the table, get a number", |subject| {
        let payload = Payload::decode(subject.bytes.clone()).expect("whole");
        black_box(payload.get::<u64>(black_box(payload::READ)).expect("a number"));
    }),
    ("open and drop, untouched", |subject| {
        let session = subject.manager.open(Some(subject.id.clone()));
        black_box(block_on(session.save())).expect("nothing to do");
        black_box(session.cookie_change() == session_manager::CookieChange::Keep);
    }),
    ("load and get a number", |subject| {
        let session = subject.manager.open(Some(subject.id.clone()));
        black_box(block_on(session.get::<u64>(payload::READ)).expect("a number"));
    }),
    ("insert a number", |subject| {
        subject.session.insert("n", black_box(&1_u64)).expect("a number");
    }),
    ("insert a number and save", |subject| {
        subject.session.insert("n", black_box(&1_u64)).expect("a number");
        black_box(block_on(subject.session.save())).expect("a save");
    }),
    ("update a number", |subject| {
        black_box(block_on(subject.session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)))
            .expect("an update");
    }),
];

/// Prints the duration of each part, for each codec.
pub(crate) fn report(rounds: usize, ops: u32) {
    for codec in [Codec::MessagePack, Codec::Json, Codec::Bincode] {
        let subject = Subject::new(codec);
        let title =
            format!("{codec}, 8 values in {} bytes: ns of one call, {rounds} rounds", subject.bytes.len());
        let mut table = Table::new(title, &["call", "median", "quartiles"]);
        let results = rounds::interleave(rounds, &WORK, |(_, work)| {
            let start = Instant::now();
            (0..ops).for_each(|_| work(&subject));
            start.elapsed().as_secs_f64() * 1e9 / f64::from(ops)
        });
        for ((what, _), result) in WORK.iter().zip(results) {
            table.row([(*what).to_owned(), format!("{:.0}", result.median), result.quartiles()]);
        }
        table.print();
    }
}
