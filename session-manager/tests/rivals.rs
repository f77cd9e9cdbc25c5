//! Tasks of one process that write one session at the same time, step by step: a store holds every
//! conditional write until the test decides its outcome.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use session_core::{
    DeleteOutcome, Error, Expected, Operation, Record, Result, SessionKey, SessionStore, Ttl, When, Write,
    WriteOutcome, async_trait,
};
use session_manager::{Session, SessionError, SessionManager};
use session_memory::MemoryStore;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// The time limit for an expected event.
const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of a held write.
#[derive(Debug)]
enum Fate {
    CarriedOut,
    Failed,
}

#[derive(Clone, Debug, Default)]
struct Held(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    store: MemoryStore,
    /// The held conditional writes, by their numbers.
    held: Mutex<BTreeMap<usize, oneshot::Sender<Fate>>>,
    begun: watch::Sender<usize>,
}

impl Held {
    /// Waits until this number of conditional writes have begun.
    async fn begun(&self, writes: usize) {
        let mut begun = self.0.begun.subscribe();
        let begun = timeout(PATIENCE, begun.wait_for(|begun| *begun >= writes)).await;
        begun.expect("as many begin").expect("the store is there");
    }

    fn decide(&self, write: usize, fate: Fate) {
        let held = self.0.held.lock().remove(&write).expect("it is held");
        held.send(fate).expect("somebody waits for it");
    }

    /// The number of conditional writes so far.
    fn writes(&self) -> usize {
        *self.0.begun.borrow()
    }
}

#[async_trait]
impl SessionStore for Held {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.store.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if let When::Version(_) = when {
            let (decide, fate) = oneshot::channel();
            self.0.begun.send_modify(|begun| {
                *begun += 1;
                self.0.held.lock().insert(*begun, decide);
            });
            if let Ok(Fate::Failed) = fate.await {
                return Err(Error::unavailable(Operation::Write, false));
            }
        }
        self.0.store.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.0.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.0.store.delete(key, expected).await
    }
}

#[derive(Debug)]
enum Refused {
    Empty,
    Session(SessionError),
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

struct Setting {
    store: Held,
    manager: SessionManager,
    id: session_core::SessionId,
}

impl Setting {
    /// A session with this number of credits.
    async fn with(credits: u32) -> Self {
        let store = Held::default();
        let manager = SessionManager::new(store.clone());
        let session = manager.create();
        session.insert("credits", &credits).expect("a number");
        session.save().await.expect("it is created");
        let id = session.id().expect("it is stored");
        Self { store, manager, id }
    }

    async fn load(&self) -> Session {
        self.manager.load(&self.id).await.expect("a read").expect("it is live")
    }

    async fn credits(&self) -> Option<u32> {
        self.load().await.get("credits").await.expect("a number")
    }

    /// Starts to spend a credit. When this returns, the task has sent its write, which has this
    /// number.
    async fn spend(&self, session: &Session, write: usize) -> JoinHandle<Result<u32, Refused>> {
        let session = session.clone();
        let spending = tokio::spawn(async move {
            let spend = |credits: Option<u32>| credits.unwrap_or(0).checked_sub(1).ok_or(Refused::Empty);
            session.try_update("credits", spend).await
        });
        self.store.begun(write).await;
        spending
    }

    /// Starts to spend a credit with an outdated handle, so that the task meets a conflict and then
    /// queues. Its first write is number 2 of all writes, and the one that it sends from the queue
    /// is number 3.
    async fn spend_in_line(&self) -> JoinHandle<Result<u32, Refused>> {
        let late = self.load().await;
        let other = self.load().await;
        other.insert("other", &true).expect("a value");
        let saving = tokio::spawn(async move { other.save().await });
        self.store.begun(1).await;
        self.store.decide(1, Fate::CarriedOut);
        saving.await.expect("no panic").expect("it is saved");
        let spending = self.spend(&late, 2).await;
        self.store.decide(2, Fate::CarriedOut);
        self.store.begun(3).await;
        spending
    }
}

async fn outcome(spending: JoinHandle<Result<u32, Refused>>) -> Result<u32, Refused> {
    timeout(PATIENCE, spending).await.expect("it ends").expect("no panic")
}

#[tokio::test]
async fn they_build_on_what_is_on_its_way() {
    let setting = Setting::with(3).await;
    let next = setting.load().await;
    let first = setting.spend_in_line().await;
    // The first write is in flight, and the next ones build on it.
    let second = setting.spend(&next, 4).await;
    let third = setting.spend(&setting.load().await, 5).await;
    for write in [3, 4, 5] {
        setting.store.decide(write, Fate::CarriedOut);
        // In order, as a store that batches writes carries them out.
        tokio::task::yield_now().await;
    }
    let left = [outcome(first).await, outcome(second).await, outcome(third).await];
    assert!(matches!(left, [Ok(2), Ok(1), Ok(0)]), "{left:?}");
    assert_eq!(setting.credits().await, Some(0));
    assert_eq!(setting.store.writes(), 5, "nobody met a conflict");
}

#[tokio::test]
async fn no_more_than_a_payload_remembers() {
    let setting = Setting::with(20).await;
    let handle = setting.load().await;
    let mut spending = vec![setting.spend_in_line().await];
    for write in 4..=18 {
        spending.push(setting.spend(&setting.load().await, write).await);
    }
    let last =
        tokio::spawn(async move { handle.update("credits", |n: Option<u32>| n.unwrap_or(0) - 1).await });
    for write in 3..=18 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(setting.store.writes(), 18, "the last one waits for the answers");
        setting.store.decide(write, Fate::CarriedOut);
    }
    // The last task has read the stored session.
    setting.store.begun(19).await;
    setting.store.decide(19, Fate::CarriedOut);
    assert_eq!(last.await.expect("no panic").expect("an update"), 3);
    for spent in spending {
        outcome(spent).await.expect("spent");
    }
    assert_eq!(setting.store.writes(), 19, "nobody met a conflict");
}

#[tokio::test]
async fn who_built_on_what_fails_tries_again() {
    let setting = Setting::with(3).await;
    let next = setting.load().await;
    let first = setting.spend_in_line().await;
    let second = setting.spend(&next, 4).await;
    setting.store.decide(3, Fate::Failed);
    let failed = outcome(first).await;
    assert!(matches!(failed, Err(Refused::Session(SessionError::Store(_)))), "{failed:?}");
    // A later task does not build on a write that can no longer take effect.
    let third = setting.spend(&setting.load().await, 5).await;
    setting.store.decide(5, Fate::CarriedOut);
    assert_eq!(outcome(third).await.expect("no conflict"), 2);
    setting.store.decide(4, Fate::CarriedOut);
    setting.store.begun(6).await;
    setting.store.decide(6, Fate::CarriedOut);
    assert_eq!(outcome(second).await.expect("it was tried again"), 1);
    assert_eq!(setting.credits().await, Some(1), "the one that failed does not count");
}

#[tokio::test]
async fn what_may_never_be_there_is_no_reason_to_refuse() {
    let setting = Setting::with(1).await;
    let next = setting.load().await;
    let first = setting.spend_in_line().await;
    // The write that spends the last credit is in flight, and will fail. The credit is still in the
    // store.
    let second = setting.spend(&next, 4).await;
    setting.store.decide(3, Fate::Failed);
    assert!(outcome(first).await.is_err());
    setting.store.decide(4, Fate::CarriedOut);
    assert_eq!(outcome(second).await.expect("there was a credit"), 0);
}

#[tokio::test]
async fn a_reason_that_is_there_is_one() {
    let setting = Setting::with(0).await;
    let mut session = setting.load().await;
    for _ in 0..2 {
        let spend = |credits: Option<u32>| credits.unwrap_or(0).checked_sub(1).ok_or(Refused::Empty);
        assert!(matches!(session.try_update("credits", spend).await, Err(Refused::Empty)));
        session = setting.load().await;
    }
    assert_eq!(setting.store.writes(), 0);
}

#[tokio::test]
async fn one_that_goes_away_takes_those_who_built_on_it_back() {
    let setting = Setting::with(3).await;
    let (next, last) = (setting.load().await, setting.load().await);
    let first = setting.spend_in_line().await;
    first.abort();
    assert!(first.await.expect_err("it went away").is_cancelled());
    // Later tasks do not build on its result.
    let second = setting.spend(&next, 4).await;
    setting.store.decide(4, Fate::CarriedOut);
    setting.store.begun(5).await;
    setting.store.decide(5, Fate::CarriedOut);
    assert_eq!(outcome(second).await.expect("it was tried again"), 2);
    let third = setting.spend(&last, 6).await;
    setting.store.decide(6, Fate::CarriedOut);
    setting.store.begun(7).await;
    setting.store.decide(7, Fate::CarriedOut);
    assert_eq!(outcome(third).await.expect("a conflict, and another attempt"), 1);
}

#[tokio::test]
async fn saves_of_different_keys_build_on_each_other() {
    let setting = Setting::with(3).await;
    let next = setting.load().await;
    let first = setting.spend_in_line().await;
    next.insert("color", "red").expect("a value");
    let saving = tokio::spawn({
        let next = next.clone();
        async move { next.save().await }
    });
    setting.store.begun(4).await;
    setting.store.decide(3, Fate::CarriedOut);
    tokio::task::yield_now().await;
    setting.store.decide(4, Fate::CarriedOut);
    assert_eq!(outcome(first).await.expect("spent"), 2);
    saving.await.expect("no panic").expect("saved");
    let now = setting.load().await;
    assert_eq!(now.get::<String>("color").await.expect("a value").as_deref(), Some("red"));
    assert_eq!(now.get::<u32>("credits").await.expect("a number"), Some(2));
    assert_eq!(setting.store.writes(), 4, "nobody met a conflict");
    assert_eq!(next.get::<u32>("credits").await.expect("a number"), Some(2), "what the handle saw");
}
