use std::{
    collections::{HashMap, HashSet},
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use session_core::{
    Bytes, DeleteOutcome, Expected, Operation, Record, Result, SessionKey, SessionStore, Ttl, Version, When,
    Write, WriteItem, WriteOutcome, async_trait,
};
use shuttle::{
    future::yield_now,
    rand::{Rng, thread_rng},
};

/// A store that records violations. It does not panic, because the batcher would catch the panic.
#[derive(Clone, Debug)]
pub(crate) struct Watchful(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
pub(crate) struct Seen {
    in_flight: usize,
    pub(crate) panics: bool,
    pub(crate) under_way: HashMap<Operation, usize>,
    changing: HashSet<SessionKey>,
    /// Every write that took effect, in order.
    pub(crate) log: Vec<(SessionKey, Bytes)>,
    versions: HashMap<SessionKey, Version>,
    closed: bool,
    pub(crate) wrong: Vec<&'static str>,
}

impl Watchful {
    /// Allows this many calls of each kind of operation at a time.
    pub(crate) fn new(in_flight: usize) -> Self {
        Self(Arc::new(Mutex::new(Seen { in_flight, ..Seen::default() })))
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("no panic happens under this lock")
    }

    /// A call of the store, which takes several steps.
    async fn call<T>(
        &self,
        operation: Operation,
        keys: &[SessionKey],
        effect: impl FnOnce(&mut Seen) -> T,
    ) -> T {
        let _visit = Visit::new(self, operation, keys);
        let (before, after) = (steps(), steps());
        for _ in 0..before {
            yield_now().await;
        }
        if self.seen().panics && thread_rng().gen_ratio(1, 4) {
            // A panic that prints nothing.
            resume_unwind(Box::new("as planned"));
        }
        let outcome = effect(&mut self.seen());
        for _ in 0..after {
            yield_now().await;
        }
        outcome
    }
}

pub(crate) fn steps() -> usize {
    thread_rng().gen_range(0..3)
}

struct Visit<'a> {
    store: &'a Watchful,
    operation: Operation,
    keys: Vec<SessionKey>,
}

impl<'a> Visit<'a> {
    fn new(store: &'a Watchful, operation: Operation, keys: &[SessionKey]) -> Self {
        let mut seen = store.seen();
        let under_way = seen.under_way.entry(operation).or_default();
        *under_way += 1;
        if *under_way > seen.in_flight {
            seen.wrong.push("too many were under way");
        }
        if seen.closed {
            seen.wrong.push("called after it was closed");
        }
        for key in keys {
            if operation != Operation::Read && !seen.changing.insert(*key) {
                seen.wrong.push("a key was changed twice at a time");
            }
        }
        drop(seen);
        Self { store, operation, keys: keys.to_vec() }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut seen = self.store.seen();
        *seen.under_way.entry(self.operation).or_default() -= 1;
        if self.operation != Operation::Read {
            for key in &self.keys {
                seen.changing.remove(key);
            }
        }
    }
}

impl Seen {
    fn write(&mut self, WriteItem { key, write, when }: &WriteItem) -> WriteOutcome {
        let there = self.versions.get(key).copied();
        let holds = match when {
            When::Absent => there.is_none(),
            When::Version(expected) => there == Some(*expected),
            When::Any => true,
        };
        if there == Some(write.version) {
            return WriteOutcome::Written;
        }
        if !holds {
            return WriteOutcome::Conflict(self.find(key));
        }
        self.log.push((*key, write.data.clone()));
        self.versions.insert(*key, write.version);
        WriteOutcome::Written
    }

    fn find(&self, key: &SessionKey) -> Option<Record> {
        let (_, data) = self.log.iter().rfind(|(written, _)| written == key)?;
        Some(Record {
            data: data.clone(),
            version: self.versions[key],
            expires_in: Duration::from_secs(1),
            owner: None,
        })
    }
}

#[async_trait]
impl SessionStore for Watchful {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.call(Operation::Read, &[*key], |seen| Ok(seen.find(key))).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let item = WriteItem { key: *key, write, when };
        self.write_many(&[item]).await.pop().expect("one outcome")
    }

    async fn touch(&self, key: &SessionKey, _: Ttl) -> Result<bool> {
        self.call(Operation::Touch, &[*key], |_| Ok(true)).await
    }

    async fn delete(&self, key: &SessionKey, _: Expected) -> Result<DeleteOutcome> {
        self.call(Operation::Delete, &[*key], |_| Ok(DeleteOutcome::Deleted)).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.call(Operation::Read, keys, |seen| keys.iter().map(|key| Ok(seen.find(key))).collect()).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let keys: Vec<SessionKey> = items.iter().map(|item| item.key).collect();
        self.call(Operation::Write, &keys, |seen| items.iter().map(|item| Ok(seen.write(item))).collect())
            .await
    }

    async fn close(&self) -> Result<()> {
        self.seen().closed = true;
        Ok(())
    }
}
