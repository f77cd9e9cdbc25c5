//! The provided batches: which calls overlap, in which order they are made, and what a dropped
//! batch leaves.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use session_core::{
    DeleteItem, DeleteOutcome, ErrorKind, Expected, Record, Result, SessionId, SessionKey, SessionStore,
    TouchItem, Ttl, When, Write, WriteItem, WriteOutcome, async_trait,
};
use session_memory::MemoryStore;

/// A store whose calls yield to others before they do anything, and that counts the calls in
/// flight.
#[derive(Debug)]
struct Counting {
    store: MemoryStore,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    begun: usize,
    under_way: HashMap<SessionKey, usize>,
    most: usize,
    most_of_one_key: usize,
}

/// A call that is in flight until it is dropped.
struct Call<'a>(&'a Counting, SessionKey);

impl Counting {
    fn new() -> Self {
        Self { store: MemoryStore::builder().max_data_len(100).build(), calls: Mutex::default() }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of two calls that overlap, the one that began first takes longer.
    async fn begin(&self, key: &SessionKey) -> Call<'_> {
        let pauses = {
            let mut calls = self.calls();
            calls.begun += 1;
            *calls.under_way.entry(*key).or_default() += 1;
            calls.most = calls.most.max(calls.under_way.values().sum());
            calls.most_of_one_key = calls.most_of_one_key.max(calls.under_way[key]);
            100_usize.saturating_sub(calls.begun).max(1)
        };
        let call = Call(self, *key);
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        call
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0.calls().under_way.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

#[async_trait]
impl SessionStore for Counting {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let _call = self.begin(key).await;
        self.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let _call = self.begin(key).await;
        self.store.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let _call = self.begin(key).await;
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let _call = self.begin(key).await;
        self.store.delete(key, expected).await
    }
}

fn ttl() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("an hour")
}

fn keys(count: usize) -> Vec<SessionKey> {
    (0..count).map(|_| SessionId::generate().key()).collect()
}

fn creation(key: &SessionKey, data: String) -> WriteItem {
    WriteItem { key: *key, write: Write::new(data, ttl()), when: When::Absent }
}

#[tokio::test]
async fn calls_for_different_keys_overlap_and_never_more_than_sixteen() {
    for count in [0, 1, 2, 16, 17, 64] {
        let (store, keys) = (Counting::new(), keys(count));
        let to_touch: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: ttl() }).collect();
        let to_delete: Vec<_> =
            keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
        let to_write: Vec<_> = keys.iter().map(|key| creation(key, "x".to_owned())).collect();
        let most = || std::mem::take(&mut *store.calls()).most;
        let written = store.write_many(&to_write).await;
        assert_eq!((written.len(), most()), (count, count.min(16)), "writes of {count}");
        let read = store.read_many(&keys).await;
        assert_eq!((read.len(), most()), (count, count.min(16)), "reads of {count}");
        let touched = store.touch_many(&to_touch).await;
        assert_eq!((touched.len(), most()), (count, count.min(16)), "touches of {count}");
        let deleted = store.delete_many(&to_delete).await;
        assert_eq!((deleted.len(), most()), (count, count.min(16)), "deletes of {count}");
        assert!(deleted.iter().all(|outcome| matches!(outcome, Ok(DeleteOutcome::Deleted))));
    }
}

#[tokio::test]
async fn items_of_one_key_are_carried_out_in_their_order() {
    let (store, keys) = (Counting::new(), keys(3));
    // Each write replaces the one before it, so any other order is a conflict.
    let mut items: Vec<WriteItem> = keys.iter().map(|key| creation(key, "0".to_owned())).collect();
    for round in 1..9 {
        for key in &keys {
            let before = items[items.len() - keys.len()].write.version;
            let write = Write::new(round.to_string(), ttl());
            items.push(WriteItem { key: *key, write, when: When::Version(before) });
        }
    }
    for outcome in store.write_many(&items).await {
        assert_eq!(outcome.expect("nothing fails"), WriteOutcome::Written);
    }
    let calls = std::mem::take(&mut *store.calls());
    assert_eq!((calls.most, calls.most_of_one_key), (3, 1), "at once, and of one key");

    let short = Ttl::new(Duration::from_mins(1)).expect("a minute");
    let touches: Vec<_> = [ttl(), short]
        .iter()
        .flat_map(|ttl| keys.iter().map(|key| TouchItem { key: *key, ttl: *ttl }))
        .collect();
    for touched in store.touch_many(&touches).await {
        assert!(touched.expect("nothing fails"));
    }
    for key in &keys {
        let record = store.read(key).await.expect("an answer").expect("it is live");
        assert!(record.data == "8" && record.expires_in <= short.as_duration(), "the last item counts");
    }

    let deletes: Vec<_> =
        keys.iter().chain(&keys).map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect();
    let outcomes: Vec<_> =
        store.delete_many(&deletes).await.into_iter().map(|outcome| outcome.expect("an outcome")).collect();
    assert_eq!(outcomes[..3], [DeleteOutcome::Deleted; 3]);
    assert_eq!(outcomes[3..], [DeleteOutcome::Absent; 3]);
}

#[tokio::test]
async fn each_item_has_its_own_result_in_its_own_place() {
    let (store, keys) = (Counting::new(), keys(40));
    let data = |at: usize| if at % 7 == 3 { "x".repeat(101) } else { at.to_string() };
    let items: Vec<_> = keys.iter().enumerate().map(|(at, key)| creation(key, data(at))).collect();
    for (at, outcome) in store.write_many(&items).await.into_iter().enumerate() {
        match outcome {
            Ok(outcome) => assert!(outcome.is_written() && at % 7 != 3, "item {at}"),
            Err(error) => {
                assert_eq!(
                    (error.kind(), at % 7),
                    (ErrorKind::TooLarge { len: 101, max: 100 }, 3),
                    "item {at}"
                );
            }
        }
    }
    for (at, found) in store.read_many(&keys).await.into_iter().enumerate() {
        let data_of = found.expect("an answer").map(|record| record.data);
        assert_eq!(data_of, (at % 7 != 3).then(|| data(at).into()), "item {at}");
    }
}

#[tokio::test]
async fn a_dropped_batch_leaves_what_dropped_calls_leave() {
    let (store, keys) = (Counting::new(), keys(64));
    let items: Vec<_> = keys.iter().map(|key| creation(key, "x".to_owned())).collect();
    assert!(store.write_many(&items).now_or_never().is_none(), "it was dropped while calls were under way");
    let calls = std::mem::take(&mut *store.calls());
    assert_eq!(calls.begun, 16, "no other call was begun");
    assert_eq!(calls.under_way.values().sum::<usize>(), 0, "none goes on");
    for outcome in store.write_many(&items).await {
        assert!(outcome.expect("the store is usable").is_written(), "a dropped call had changed nothing yet");
    }
}
