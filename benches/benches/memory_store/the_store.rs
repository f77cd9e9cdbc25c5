//! `MemoryStore` through `dyn SessionStore`: each call uses a vtable and returns a boxed future.

use std::hint::black_box;
use std::mem;
use std::time::Duration;

use benches::executor::block_on;
use session_core::{
    Bytes, DeleteOutcome, Expected, RenameOutcome, SessionKey, SessionStore, Version, When, Write, WriteItem,
    WriteOutcome,
};
use session_memory::MemoryStore;

use crate::session;
use crate::sessions::Sessions;

pub(crate) struct TheStore(pub(crate) Box<dyn SessionStore>);

impl TheStore {
    /// An empty store whose purging thread sleeps while the benchmark runs.
    pub(crate) fn new() -> Self {
        let builder = MemoryStore::builder().purge_interval(Duration::from_hours(24));
        Self(Box::new(builder.build()))
    }

    pub(crate) fn write(&self, key: &SessionKey, write: Write, when: When) -> bool {
        block_on(self.0.write(key, write, when)).is_ok_and(|outcome| outcome.is_written())
    }
}

impl Sessions for TheStore {
    const DRAWS_VERSIONS: bool = true;

    fn get(&self, key: &SessionKey) -> (Bytes, Version) {
        let record = block_on(self.0.read(key)).ok().flatten().expect("it is there");
        (record.data, record.version)
    }

    fn read(&self, key: &SessionKey) -> bool {
        matches!(black_box(block_on(self.0.read(key))), Ok(Some(_)))
    }

    fn write(&self, key: &SessionKey, write: &mut Write, expected: Version) -> bool {
        let write = Write {
            data: mem::take(&mut write.data),
            version: write.version,
            ttl: write.ttl,
            owner: mem::take(&mut write.owner),
        };
        TheStore::write(self, key, write, When::Version(expected))
    }

    fn touch(&self, key: &SessionKey) -> bool {
        matches!(block_on(self.0.touch(key, session::ttl())), Ok(true))
    }

    fn create(&self, key: &SessionKey, write: Write) -> bool {
        TheStore::write(self, key, write, When::Absent)
    }

    fn delete(&self, key: &SessionKey) -> bool {
        matches!(block_on(self.0.delete(key, Expected::Any)), Ok(DeleteOutcome::Deleted))
    }

    fn rename(&self, old: &SessionKey, new: &SessionKey, write: Write, expected: Version) -> bool {
        matches!(block_on(self.0.rename(old, new, write, expected)), Ok(RenameOutcome::Renamed))
    }

    fn read_many(&self, keys: &[SessionKey]) -> bool {
        black_box(block_on(self.0.read_many(keys))).iter().all(|found| matches!(found, Ok(Some(_))))
    }

    fn write_many(&self, items: &[WriteItem]) -> bool {
        let outcomes = black_box(block_on(self.0.write_many(items)));
        outcomes.iter().all(|outcome| matches!(outcome, Ok(WriteOutcome::Written)))
    }
}
