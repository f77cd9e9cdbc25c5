use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt;
use session_core::{
    Error, Expected, Owner, OwnerChange, RenameOutcome, SessionId, SessionKey, SessionStore, Ttl, Version,
    When, Write, WriteOutcome,
};
use tokio::{sync::watch, task::JoinSet};

/// The state that a change was meant to give a key: a version, or nothing.
type State = Option<Version>;

/// A change, and the time of its acknowledgement, if there was one.
#[derive(Clone, Copy, Debug)]
struct Step {
    state: State,
    done: Option<Instant>,
}

type History = HashMap<SessionKey, (Vec<Step>, Owner)>;

/// Whether a server may lose changes that it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The server keeps all acknowledged changes.
    Keeps,
    /// The server may have lost some acknowledged changes, as a promoted replica may.
    May {
        /// Changes that were acknowledged before this moment are kept.
        forget_after: Instant,
    },
}

/// A workload of sessions while a server is broken on purpose, with a check of what is left.
///
/// Each task creates sessions, changes them, renames some and deletes half, and records which
/// changes were acknowledged. An operation may fail with
/// [`Unavailable`](session_core::ErrorKind::Unavailable). The task then abandons the session. At
/// the end, [`check`](Self::check) compares the stored records with the acknowledged changes.
///
/// ```no_run
/// # async fn test(store: impl session_core::SessionStore + 'static) {
/// use std::time::Duration;
///
/// use session_conformance::{FaultWorkload, Memory};
///
/// let churn = FaultWorkload::start(store, 8, false);
/// churn.until_more(500, Duration::from_secs(20)).await;
/// // Here the server is killed, and started again.
/// churn.until_more(200, Duration::from_secs(20)).await;
/// churn.check(Memory::Keeps).await;
/// # }
/// ```
///
/// Its methods panic, as a test does, if a promise is broken.
#[derive(Debug)]
pub struct FaultWorkload {
    store: Arc<dyn SessionStore>,
    tasks: JoinSet<History>,
    stop: watch::Sender<bool>,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("a ttl")
}

impl FaultWorkload {
    /// Starts this many tasks on the current runtime.
    ///
    /// Each task has its own sessions, so a conflict is a failure, unless the server is
    /// `forgetful`.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn start(store: impl SessionStore + 'static, tasks: u32, forgetful: bool) -> Self {
        let store: Arc<dyn SessionStore> = Arc::new(store);
        let stop = watch::Sender::new(false);
        let (done, failed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut set = JoinSet::new();
        for number in 0..tasks {
            let worker = Worker {
                store: Arc::clone(&store),
                stop: stop.subscribe(),
                owner: Owner::new(format!("user {number}")).expect("an owner"),
                done: Arc::clone(&done),
                failed: Arc::clone(&failed),
                forgetful,
                history: HashMap::new(),
            };
            set.spawn(worker.work());
        }
        Self { store, tasks: set, stop, done, failed }
    }

    /// The number of changes acknowledged so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The number of changes failed so far.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until this many more changes were acknowledged, and returns how long that took.
    ///
    /// # Panics
    /// If that takes longer than `patience`.
    pub async fn until_more(&self, changes: u64, patience: Duration) -> Duration {
        let (begun, from) = (Instant::now(), self.done());
        while self.done() < from + changes {
            assert!(begun.elapsed() < patience, "only {} changes within {patience:?}", self.done() - from);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    /// Stops the tasks, and checks the state of all sessions and their entries in the owner index.
    ///
    /// # Panics
    /// If a session has an impossible state, if an operation failed other than by an outage, or if
    /// fewer than a hundred sessions were created.
    pub async fn check(self, memory: Memory) {
        self.stop.send_replace(true);
        let mut history = History::new();
        for some in self.tasks.join_all().await {
            history.extend(some);
        }
        assert!(history.len() > 100, "only {} sessions", history.len());
        let keys: Vec<SessionKey> = history.keys().copied().collect();
        let mut live: HashMap<Owner, Vec<SessionKey>> = HashMap::new();
        for (key, found) in keys.iter().zip(self.store.read_many(&keys).await) {
            let found = found.expect("the server is there").map(|record| record.version);
            let (steps, owner) = &history[key];
            let possible = possible(steps, memory);
            assert!(
                possible.contains(&found),
                "{key:?} is {found:?}, and can be {possible:?}; {memory:?}, {steps:?}"
            );
            if found.is_some() {
                live.entry(owner.clone()).or_default().push(*key);
            }
        }
        let owners = self.store.owners().expect("an index");
        for (owner, keys) in live {
            let listed = owners.list(&owner).await.expect("the server is there");
            for key in keys {
                assert!(listed.contains(&key), "{key:?} is live, and the index of {owner} does not know it");
            }
        }
    }
}

/// The possible states of a key: the last one that is certain, or one of the later attempts.
fn possible(steps: &[Step], memory: Memory) -> Vec<State> {
    let sure = |step: &Step| match memory {
        Memory::Keeps => step.done.is_some(),
        Memory::May { forget_after } => step.done.is_some_and(|done| done < forget_after),
    };
    match steps.iter().rposition(sure) {
        Some(last) => steps[last..].iter().map(|step| step.state).collect(),
        None => std::iter::once(None).chain(steps.iter().map(|step| step.state)).collect(),
    }
}

struct Worker {
    store: Arc<dyn SessionStore>,
    stop: watch::Receiver<bool>,
    owner: Owner,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    forgetful: bool,
    history: History,
}

/// The task has abandoned a session: its outcome is unknown, or the server has lost it.
struct GivenUp;

impl Worker {
    async fn work(mut self) -> History {
        while !*self.stop.borrow() {
            let _ = self.one_session().await;
        }
        self.history
    }

    async fn one_session(&mut self) -> Result<(), GivenUp> {
        let mut id = SessionId::generate();
        let mut when = When::Absent;
        for step in 0..5 {
            let len = rand::rng().random_range(0..600);
            let next = Write::new(vec![b'x'; len], hour()).owner(OwnerChange::Set(self.owner.clone()));
            let version = next.version;
            if let (3, When::Version(seen)) = (step, when) {
                let new = id.rotate();
                let outcome = self.store.rename(&id.key(), &new.key(), next, seen).await;
                let renamed = outcome.map(|outcome| outcome == RenameOutcome::Renamed);
                self.note(id.key(), None, &renamed);
                self.note(new.key(), Some(version), &renamed);
                self.judge(renamed)?;
                id = new;
            } else {
                let outcome = self.store.write(&id.key(), next, when).await;
                let written = outcome.map(|outcome| outcome == WriteOutcome::Written);
                self.note(id.key(), Some(version), &written);
                self.judge(written)?;
            }
            when = When::Version(version);
        }
        if rand::rng().random_bool(0.5) {
            let deleted = self.store.delete(&id.key(), Expected::Any).await.map(|_| true);
            self.note(id.key(), None, &deleted);
            self.judge(deleted)?;
        }
        Ok(())
    }

    fn note(&mut self, key: SessionKey, state: State, outcome: &Result<bool, Error>) {
        let done = match outcome {
            Ok(true) => Some(Instant::now()),
            Err(error) if error.may_have_applied() => None,
            _ => return,
        };
        self.history
            .entry(key)
            .or_insert_with(|| (Vec::new(), self.owner.clone()))
            .0
            .push(Step { state, done });
    }

    fn judge(&self, outcome: Result<bool, Error>) -> Result<(), GivenUp> {
        match outcome {
            Ok(true) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Ok(false) if self.forgetful => Err(GivenUp),
            Ok(false) => panic!("a conflict over a session that nobody else has"),
            Err(error) if error.is_transient() => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(GivenUp)
            }
            Err(error) => panic!("during a fault only Unavailable is expected, not {error:?}"),
        }
    }
}
