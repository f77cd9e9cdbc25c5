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

/// What a key was meant to become: a version, or nothing.
type State = Option<Version>;

/// A change, and when it was acknowledged, if it was.
#[derive(Clone, Copy, Debug)]
struct Step {
    state: State,
    done: Option<Instant>,
}

type History = HashMap<SessionKey, (Vec<Step>, Owner)>;

/// Whether a server may take back what it has acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It keeps all that it has acknowledged.
    Keeps,
    /// It may have lost some of what it acknowledged since, as a replica that is promoted does.
    May {
        /// What was acknowledged before this moment is kept.
        forget_after: Instant,
    },
}

/// Sessions that come, change, move and go while a server is broken on purpose, and what must be left of them.
///
/// Each task creates sessions, changes them, renames some and deletes half, and notes what was acknowledged. An operation may fail with
/// [`Unavailable`](session_core::ErrorKind::Unavailable); the session is given up then. At the end, [`check`](Self::check) compares what is stored with what was
/// acknowledged.
///
/// ```no_run
/// # async fn test(store: impl session_core::SessionStore + 'static) {
/// use std::time::Duration;
///
/// use session_conformance::{Churn, Memory};
///
/// let churn = Churn::start(store, 8, false);
/// churn.until_more(500, Duration::from_secs(20)).await;
/// // Here the server is killed, and started again.
/// churn.until_more(200, Duration::from_secs(20)).await;
/// churn.check(Memory::Keeps).await;
/// # }
/// ```
///
/// Its methods panic, as a test does, when a promise is broken.
#[derive(Debug)]
pub struct Churn {
    store: Arc<dyn SessionStore>,
    tasks: JoinSet<History>,
    stop: watch::Sender<bool>,
    done: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("a ttl")
}

impl Churn {
    /// Starts so many tasks on the current runtime. Each has sessions of its own, so that a conflict is a fault, unless the server is `forgetful`.
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

    /// How many changes were acknowledged so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many changes failed so far.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Waits until so many more changes were acknowledged, and says how long it took.
    ///
    /// # Panics
    /// When that takes longer than `patience`.
    pub async fn until_more(&self, changes: u64, patience: Duration) -> Duration {
        let (begun, from) = (Instant::now(), self.done());
        while self.done() < from + changes {
            assert!(begun.elapsed() < patience, "only {} changes within {patience:?}", self.done() - from);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    /// Stops, and checks that all sessions are as they must be, and that the index of owners knows them.
    ///
    /// # Panics
    /// When a session is not as it must be, when an operation failed in another way than by an outage, and when fewer than a hundred sessions were made.
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

/// What a key can be: what was last acknowledged, or later attempts.
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

/// The session is given up: its outcome is not known, or the server has forgotten it.
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
