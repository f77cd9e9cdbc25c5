//! The `MemoryStore` of `tower-sessions` and ours, holding the same sessions.

use std::collections::HashMap;
use std::hint::black_box;

use benches::executor::block_on;
use session_core::{SessionKey, Version, When, Write};
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};

use crate::payload::{self, Payload};
use crate::session;
use crate::sessions::Sessions as _;
use crate::the_store::TheStore;

/// The names of a session in both stores.
#[derive(Clone)]
pub(crate) struct Names {
    key: SessionKey,
    id: Id,
}

/// Both stores.
///
/// Theirs is a `HashMap<Id, Record>` in a `tokio::sync::Mutex`. A record is a
/// `HashMap<String, serde_json::Value>`. `load` clones the record, and `save` clones its argument,
/// both under the lock. `save` is unconditional: the last writer wins.
///
/// Ours keeps bytes: a read shares them, and a write takes them over if the version is the expected
/// one. Both stores check the expiry. Both are called through their trait, whose methods are boxed
/// futures.
pub(crate) struct Both {
    theirs: Box<dyn tower_sessions::SessionStore>,
    ours: TheStore,
}

/// A save for either store, with all its parts made before.
pub(crate) struct Save {
    names: Names,
    record: Record,
    write: Option<Write>,
    when: When,
}

impl Both {
    /// Both stores with this many sessions, and the sessions' names.
    pub(crate) fn with(sessions: u32) -> (Self, Vec<Names>) {
        let both = Self { theirs: Box::new(tower_sessions::MemoryStore::default()), ours: TheStore::new() };
        let names = (0..u64::from(sessions)).map(|number| both.create(number)).collect();
        (both, names)
    }

    /// The average length of the sessions' data, in bytes.
    pub(crate) fn mean_len(&self, names: &[Names]) -> usize {
        let len = |names: &Names| {
            block_on(self.ours.0.read(&names.key)).ok().flatten().map_or(0, |record| record.data.len())
        };
        names.iter().map(len).sum::<usize>() / names.len()
    }

    /// Their load: the whole record, cloned.
    pub(crate) fn load_theirs(&self, of: &Names) {
        let record = black_box(block_on(self.theirs.load(&of.id)));
        assert!(matches!(record, Ok(Some(_))), "every session is there");
    }

    /// Our read: bytes that are shared, not decoded.
    pub(crate) fn read_ours(&self, of: &Names) {
        let record = black_box(block_on(self.ours.0.read(&of.key)));
        assert!(matches!(record, Ok(Some(_))), "every session is there");
    }

    /// Our read, and the same map as theirs decoded from it.
    pub(crate) fn read_ours_and_decode(&self, of: &Names) {
        let record = block_on(self.ours.0.read(&of.key)).expect("it cannot fail").expect("it is there");
        black_box::<Payload>(payload::decode(&record.data));
    }

    /// Their save: the whole record, cloned.
    pub(crate) fn save_theirs(&self, save: &mut Save) {
        block_on(self.theirs.save(&save.record)).expect("it cannot fail");
    }

    /// Our conditional write of encoded bytes. The version that is drawn for it is discarded,
    /// because the next save expects the one drawn before.
    pub(crate) fn write_ours(&self, save: &mut Save) {
        black_box(Version::random());
        let write = save.write.take().expect("it is written once");
        assert!(self.ours.write(&save.names.key, write, save.when), "every version is the expected one");
    }

    /// Like [`write_ours`](Self::write_ours), but the bytes are first encoded from the same map as
    /// theirs.
    pub(crate) fn encode_and_write_ours(&self, save: &mut Save) {
        if let Some(write) = &mut save.write {
            write.data = payload::encode(&save.record.data).into();
        }
        self.write_ours(save);
    }

    /// Saves of these sessions in sequence, each conditional on what will be there by then.
    pub(crate) fn saves<'a>(&self, of: impl Iterator<Item = &'a Names>) -> Vec<Save> {
        let mut last = HashMap::new();
        let save = |(number, names): (u64, &Names)| {
            let record =
                Record { id: names.id, data: payload::of(&names.key, number), expiry_date: expiry_date() };
            let write = Write::new(payload::encode(&record.data), session::ttl());
            let expected =
                last.insert(names.key, write.version).unwrap_or_else(|| self.ours.get(&names.key).1);
            Save { names: names.clone(), record, write: Some(write), when: When::Version(expected) }
        };
        (0..).zip(of).map(save).collect()
    }

    /// Creates the session in both stores.
    fn create(&self, number: u64) -> Names {
        let key = session::key(number);
        let (bytes, _) = key.as_bytes()[1..].split_first_chunk().expect("a digest is longer");
        let data = payload::of(&key, number);
        let write = Write::new(payload::encode(&data), session::ttl());
        assert!(self.ours.write(&key, write, When::Absent), "every key is a new one");
        let id = Id(i128::from_le_bytes(*bytes));
        let mut record = Record { id, data, expiry_date: expiry_date() };
        block_on(self.theirs.create(&mut record)).expect("it cannot fail");
        assert_eq!(record.id, id, "every id is a new one");
        Names { key, id }
    }
}

fn expiry_date() -> OffsetDateTime {
    OffsetDateTime::now_utc() + session::ttl().as_duration()
}
