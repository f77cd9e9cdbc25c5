use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use session_core::{
    DeleteOutcome, Error, ErrorKind, Event, EventStream, Expected, Operation, Owner, OwnerIndex, Record,
    RenameOutcome, Result, SessionId, SessionKey, SessionStore, Ttl, Version, Watch, When, Write,
    WriteOutcome, async_trait,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::{CacheSettings, Cached, flaw::Flaw};
use session_memory::MemoryStore;

/// A store whose operations can be held before or after their effect, and whose watch can be muted.
#[derive(Clone, Debug)]
pub(super) struct Lab {
    /// The store without the cache, as another node uses it.
    pub(super) elsewhere: MemoryStore,
    pub(super) state: Arc<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// The operations that are held: before or after (`true`) their effect.
    held: watch::Sender<HashSet<(Operation, bool)>>,
    /// How often each of these points was reached.
    reached: watch::Sender<HashMap<(Operation, bool), usize>>,
    pub(super) reads: AtomicUsize,
    /// Events are dropped.
    pub(super) muted: AtomicBool,
    /// Events carry no versions, like those of Redis.
    pub(super) blunt: AtomicBool,
    /// Changes take effect, but return an error as if the reply was lost.
    pub(super) loses_replies: AtomicBool,
    /// Reads fail.
    pub(super) fails: AtomicBool,
    pub(super) panics: AtomicBool,
    /// Subscriptions are refused.
    pub(super) refuses: AtomicBool,
    ears: Mutex<Vec<mpsc::UnboundedSender<Said>>>,
}

/// An event, or the end of the stream, and the channel that reports when the cache has handled it.
type Said = (Option<Event>, oneshot::Sender<()>);

pub(super) fn ttl(time: Duration) -> Ttl {
    Ttl::new(time).expect("a ttl")
}

pub(super) fn write(data: &str) -> Write {
    Write::new(data.to_owned(), ttl(Duration::from_hours(1)))
}

pub(super) fn key() -> SessionKey {
    SessionId::generate().key()
}

/// A staleness bound longer than any test takes, so that no entry is stale because of its age
/// alone.
pub(super) fn settings(flaw: Option<Flaw>) -> CacheSettings {
    CacheSettings { flaw, ..CacheSettings::default() }.max_staleness(Duration::from_mins(1))
}

/// Creates a cache, and the store under it.
pub(super) async fn lab(settings: CacheSettings) -> (Cached<Lab>, Lab) {
    let lab = Lab {
        elsewhere: MemoryStore::builder().purge_interval(Duration::from_hours(1)).build(),
        state: Arc::new(State {
            held: watch::Sender::default(),
            reached: watch::Sender::default(),
            reads: AtomicUsize::new(0),
            muted: AtomicBool::new(false),
            blunt: AtomicBool::new(false),
            loses_replies: AtomicBool::new(false),
            fails: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            ears: Mutex::default(),
        }),
    };
    let cached = Cached::new(lab.clone(), settings).expect("a cache");
    cached.wait_until_ready().await;
    (cached, lab)
}

/// Requires that a promise is kept, and that the case fails if the cache has the given flaw.
pub(super) async fn catches<F: Future<Output = bool>>(flaw: Flaw, case: impl Fn(Option<Flaw>) -> F) {
    assert!(case(None).await, "a promise is broken");
    assert!(!case(Some(flaw)).await, "{flaw:?} was not noticed");
}

pub(super) async fn data(store: &impl SessionStore, key: &SessionKey) -> Option<String> {
    let record = store.read(key).await.expect("a read");
    record.map(|record| String::from_utf8(record.data.to_vec()).expect("text"))
}

impl Lab {
    pub(super) fn hold(&self, operation: Operation, after: bool) {
        self.state.held.send_modify(|held| _ = held.insert((operation, after)));
    }

    pub(super) fn release(&self, operation: Operation, after: bool) {
        self.state.held.send_modify(|held| _ = held.remove(&(operation, after)));
    }

    /// Waits until this many operations have reached that point.
    pub(super) async fn until_reached(&self, operation: Operation, after: bool, times: usize) {
        let mut reached = self.state.reached.subscribe();
        let there =
            reached.wait_for(|reached| reached.get(&(operation, after)).copied().unwrap_or(0) >= times);
        there.await.expect("the store is there");
    }

    async fn point(&self, operation: Operation, after: bool) {
        self.state.reached.send_modify(|reached| *reached.entry((operation, after)).or_default() += 1);
        let mut held = self.state.held.subscribe();
        held.wait_for(|held| !held.contains(&(operation, after))).await.expect("the store is there");
    }

    async fn change<T>(&self, operation: Operation, change: impl Future<Output = Result<T>>) -> Result<T> {
        self.point(operation, false).await;
        let outcome = change.await;
        self.point(operation, true).await;
        if self.state.loses_replies.load(Ordering::SeqCst) {
            return Err(Error::unavailable(operation, true));
        }
        outcome
    }

    pub(super) fn reads(&self) -> usize {
        self.state.reads.load(Ordering::SeqCst)
    }

    pub(super) fn mute(&self, muted: bool) {
        self.state.muted.store(muted, Ordering::SeqCst);
    }

    /// Sends an event, or ends the stream, after all earlier events. Returns when the cache has
    /// handled it.
    pub(super) async fn say(&self, event: Option<Event>) {
        let ear = self.state.ears.lock().last().cloned().expect("somebody listens");
        let (done, is_done) = oneshot::channel();
        ear.send((event, done)).expect("it listens still");
        // The sender is dropped if that was the end of the stream.
        let _ = is_done.await;
    }

    /// Returns when the cache has handled all events so far.
    pub(super) async fn settle(&self) {
        self.say(Some(Event::Expired { key: key() })).await;
    }
}

#[async_trait]
impl SessionStore for Lab {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        self.point(Operation::Read, false).await;
        assert!(!self.state.panics.load(Ordering::SeqCst), "as planned");
        let found = self.elsewhere.read(key).await;
        self.point(Operation::Read, true).await;
        if self.state.fails.load(Ordering::SeqCst) {
            return Err(Error::unavailable(Operation::Read, false));
        }
        found
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.change(Operation::Write, self.elsewhere.write(key, write, when)).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.change(Operation::Touch, self.elsewhere.touch(key, ttl)).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.change(Operation::Delete, self.elsewhere.delete(key, expected)).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.change(Operation::Rename, self.elsewhere.rename(old, new, write, expected)).await
    }

    async fn close(&self) -> Result<()> {
        self.elsewhere.close().await
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

#[async_trait]
impl OwnerIndex for Lab {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.elsewhere.list(owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        OwnerIndex::count(&self.elsewhere, owner).await
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        self.change(Operation::DeleteOwner, self.elsewhere.delete_all(owner, except)).await
    }
}

struct Ear {
    events: EventStream,
    said: mpsc::UnboundedReceiver<Said>,
    done: Option<oneshot::Sender<()>>,
    state: Arc<State>,
}

impl Ear {
    async fn next(mut self) -> Option<(Event, Self)> {
        if let Some(done) = self.done.take() {
            let _ = done.send(());
        }
        loop {
            tokio::select! {
                biased;
                event = self.events.next() => {
                    let event = event?;
                    if self.state.muted.load(Ordering::SeqCst) {
                        continue;
                    }
                    return Some(match event {
                        Event::Changed { key, .. } if self.state.blunt.load(Ordering::SeqCst) => {
                            (Event::Changed { key, version: None }, self)
                        }
                        event => (event, self),
                    });
                }
                said = self.said.recv() => {
                    let (event, done) = said?;
                    self.done = Some(done);
                    return event.map(|event| (event, self));
                }
            }
        }
    }
}

#[async_trait]
impl Watch for Lab {
    async fn subscribe(&self) -> Result<EventStream> {
        if self.state.refuses.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Config, Operation::Watch).because("the watch is not permitted"));
        }
        let events = self.elsewhere.subscribe().await?;
        let (ear, said) = mpsc::unbounded_channel();
        self.state.ears.lock().push(ear);
        let ear = Ear { events, said, done: None, state: Arc::clone(&self.state) };
        Ok(stream::unfold(ear, Ear::next).fuse().boxed())
    }
}
