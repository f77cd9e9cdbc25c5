//! Random sequences of operations, compared with a model of the contract step by step; a failing one is shrunk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use session_core::{
    Bytes, DeleteItem, DeleteOutcome, Expected, Owner, OwnerChange, Record, RenameOutcome, SessionId,
    SessionKey, SessionStore, TouchItem, Version, When, Write, WriteItem, WriteOutcome,
};
use tokio::{runtime::Handle, task::spawn_blocking, time::sleep};

use crate::{
    context::TICK,
    failure::{Checked, Failure, ensure, ensure_eq},
    steps::{hour, millis, write},
};

/// How many keys a sequence uses: few, so that the operations meet.
const KEYS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    ReadMany(Vec<usize>),
    Write(PlannedWrite),
    WriteMany(Vec<PlannedWrite>),
    Touch(usize),
    TouchMany(Vec<usize>),
    Delete(usize, Guess),
    DeleteMany(Vec<(usize, Guess)>),
    Rename(usize, usize, Guess, PlannedOwner),
    Expire(usize),
    Owners(usize),
    DeleteOwner(usize, Option<usize>),
}

#[derive(Clone, Debug)]
struct PlannedWrite {
    key: usize,
    guess: Guess,
    data: u8,
    owner: PlannedOwner,
}

/// Which condition to name, relative to what the model knows when the step comes.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Current,
    Stale,
}

#[derive(Clone, Copy, Debug)]
enum PlannedOwner {
    Keep,
    Set(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let guess =
        || prop_oneof![Just(Guess::Any), Just(Guess::Absent), Just(Guess::Current), Just(Guess::Stale)];
    let owner = || prop_oneof![3 => Just(PlannedOwner::Keep), 2 => (0..2_usize).prop_map(PlannedOwner::Set), 1 => Just(PlannedOwner::Clear)];
    let planned = move || {
        (0..KEYS, guess(), any::<u8>(), owner()).prop_map(|(key, guess, data, owner)| PlannedWrite {
            key,
            guess,
            data,
            owner,
        })
    };
    let step = prop_oneof![
        2 => (0..KEYS).prop_map(Step::Read),
        1 => vec(0..KEYS, 0..6).prop_map(Step::ReadMany),
        6 => planned().prop_map(Step::Write),
        3 => vec(planned(), 0..6).prop_map(Step::WriteMany),
        1 => (0..KEYS).prop_map(Step::Touch),
        1 => vec(0..KEYS, 0..4).prop_map(Step::TouchMany),
        2 => (0..KEYS, guess()).prop_map(|(key, guess)| Step::Delete(key, guess)),
        1 => vec((0..KEYS, guess()), 0..5).prop_map(Step::DeleteMany),
        3 => (0..KEYS, 0..KEYS, guess(), owner())
            .prop_filter("a rename is between two keys", |(old, new, ..)| old != new)
            .prop_map(|(old, new, guess, owner)| Step::Rename(old, new, guess, owner)),
        1 => (0..KEYS).prop_map(Step::Expire),
        // Without an index, these two ask and change nothing.
        2 => (0..2_usize).prop_map(Step::Owners),
        1 => (0..2_usize, proptest::option::of(0..KEYS)).prop_map(|(owner, except)| Step::DeleteOwner(owner, except)),
    ];
    vec(step, 1..40)
}

/// Runs `sequences` random sequences, or as many as fit into a part of `limit`; on failure, reports the shortest that still fails.
pub(crate) async fn agrees_with_model(
    store: Arc<dyn SessionStore>,
    sequences: u32,
    limit: Duration,
) -> Checked {
    let runtime = Handle::current();
    let result = spawn_blocking(move || {
        let began = Instant::now();
        let config = Config {
            cases: sequences,
            failure_persistence: None,
            max_shrink_iters: 4_000,
            max_shrink_time: u32::try_from(limit.as_millis() / 2).unwrap_or(u32::MAX),
            ..Config::default()
        };
        TestRunner::new(config).run(&steps(), |steps| {
            // On a slow store, fewer sequences must do.
            if began.elapsed() > limit / 4 {
                return Ok(());
            }
            runtime
                .block_on(Run::new(&*store).follow(&steps))
                .map_err(|failure| TestCaseError::fail(failure.to_string()))
        })
    })
    .await?;
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, steps)) => {
            Err(Failure::new(format!("{reason}\n    the shortest sequence that shows it: {steps:#?}")))
        }
        Err(TestError::Abort(reason)) => Err(Failure::new(format!("no sequences could be made: {reason}"))),
    }
}

/// What a live record is, but for its expiry.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    data: Bytes,
    version: Version,
    owner: Option<Owner>,
}

impl From<Record> for Content {
    fn from(record: Record) -> Self {
        Self { data: record.data, version: record.version, owner: record.owner }
    }
}

/// One sequence, on keys and owners of its own, and what the contract says is there.
struct Run<'a> {
    store: &'a dyn SessionStore,
    keys: [SessionKey; KEYS],
    owners: [Owner; 2],
    live: BTreeMap<SessionKey, Content>,
    past: BTreeMap<SessionKey, Version>,
}

impl<'a> Run<'a> {
    fn new(store: &'a dyn SessionStore) -> Self {
        let run = rand::random::<u64>();
        let owner = |n| Owner::new(format!("{run:x}/{n}")).expect("a valid owner");
        Self {
            store,
            keys: std::array::from_fn(|_| SessionId::generate().key()),
            owners: [owner(0), owner(1)],
            live: BTreeMap::new(),
            past: BTreeMap::new(),
        }
    }

    async fn follow(mut self, steps: &[Step]) -> Checked {
        for step in steps {
            self.step(step).await?;
        }
        for key in self.keys {
            self.check_read(key).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Read(key) => self.check_read(self.keys[*key]).await?,
            Step::ReadMany(keys) => {
                let keys: Vec<_> = keys.iter().map(|key| self.keys[*key]).collect();
                let found = self.store.read_many(&keys).await;
                ensure_eq!(found.len(), keys.len(), "one result for each key");
                for (key, found) in keys.iter().zip(found) {
                    self.compare(*key, found?.map(Content::from).as_ref())?;
                }
            }
            Step::Write(planned) => {
                let item = self.plan(planned);
                let outcome = self.store.write(&item.key, item.write.clone(), item.when).await?;
                self.check_write(item, outcome)?;
            }
            Step::WriteMany(planned) => {
                let items: Vec<_> = planned.iter().map(|planned| self.plan(planned)).collect();
                let outcomes = self.store.write_many(&items).await;
                ensure_eq!(outcomes.len(), items.len(), "one result for each item");
                for (item, outcome) in items.into_iter().zip(outcomes) {
                    self.check_write(item, outcome?)?;
                }
            }
            Step::Touch(key) => {
                let key = self.keys[*key];
                let touched = self.store.touch(&key, hour()).await?;
                ensure_eq!(touched, self.live.contains_key(&key), "whether the touch found a record");
            }
            Step::TouchMany(keys) => {
                let items: Vec<_> =
                    keys.iter().map(|key| TouchItem { key: self.keys[*key], ttl: hour() }).collect();
                for (item, touched) in items.iter().zip(self.store.touch_many(&items).await) {
                    ensure_eq!(
                        touched?,
                        self.live.contains_key(&item.key),
                        "whether the touch found a record"
                    );
                }
            }
            Step::Delete(key, guess) => {
                let item = self.plan_delete(*key, *guess);
                let outcome = self.store.delete(&item.key, item.expected).await?;
                self.check_delete(item, outcome)?;
            }
            Step::DeleteMany(planned) => {
                let items: Vec<_> =
                    planned.iter().map(|(key, guess)| self.plan_delete(*key, *guess)).collect();
                for (item, outcome) in items.iter().zip(self.store.delete_many(&items).await) {
                    self.check_delete(*item, outcome?)?;
                }
            }
            Step::Rename(old, new, guess, owner) => self.rename(*old, *new, *guess, *owner).await?,
            Step::Expire(key) => {
                let key = self.keys[*key];
                let touched = self.store.touch(&key, millis(1)).await?;
                ensure_eq!(touched, self.forget(key).is_some(), "whether the touch found a record");
                sleep(millis(1).as_duration() + TICK).await;
            }
            Step::Owners(owner) => {
                if let Some(index) = self.store.owners() {
                    let owner = &self.owners[*owner];
                    let listed: BTreeSet<_> = index.list(owner).await?.into_iter().collect();
                    ensure_eq!(listed, self.of(owner), "the sessions of an owner");
                    ensure_eq!(
                        index.count(owner).await?,
                        listed.len() as u64,
                        "the count of an owner's sessions"
                    );
                }
            }
            Step::DeleteOwner(owner, except) => {
                if let Some(index) = self.store.owners() {
                    let except = except.map(|key| self.keys[key]);
                    let mut theirs = self.of(&self.owners[*owner]);
                    theirs.retain(|key| Some(*key) != except);
                    let ended = index.delete_all(&self.owners[*owner], except.as_ref()).await?;
                    ensure_eq!(
                        ended.into_iter().collect::<BTreeSet<_>>(),
                        theirs,
                        "the sessions that were ended"
                    );
                    for key in theirs {
                        self.forget(key);
                    }
                }
            }
        }
        Ok(())
    }

    fn plan(&self, planned: &PlannedWrite) -> WriteItem {
        let key = self.keys[planned.key];
        let when = match planned.guess {
            Guess::Any => When::Any,
            Guess::Absent => When::Absent,
            Guess::Current | Guess::Stale => When::Version(self.version(key, planned.guess)),
        };
        WriteItem { key, write: self.content(planned.data, planned.owner), when }
    }

    fn plan_delete(&self, key: usize, guess: Guess) -> DeleteItem {
        let key = self.keys[key];
        let expected = match guess {
            Guess::Any | Guess::Absent => Expected::Any,
            Guess::Current | Guess::Stale => Expected::Version(self.version(key, guess)),
        };
        DeleteItem { key, expected }
    }

    fn content(&self, data: u8, owner: PlannedOwner) -> Write {
        write(vec![data; usize::from(data)]).owner(match owner {
            PlannedOwner::Keep => OwnerChange::Keep,
            PlannedOwner::Set(owner) => OwnerChange::Set(self.owners[owner].clone()),
            PlannedOwner::Clear => OwnerChange::Clear,
        })
    }

    /// The live version, or one that was live before, or one that never was.
    fn version(&self, key: SessionKey, guess: Guess) -> Version {
        let current = self.live.get(&key).map(|content| content.version);
        let wanted = if matches!(guess, Guess::Stale) { None } else { current };
        wanted.or_else(|| self.past.get(&key).copied()).unwrap_or_else(Version::random)
    }

    fn of(&self, owner: &Owner) -> BTreeSet<SessionKey> {
        self.live
            .iter()
            .filter(|(_, content)| content.owner.as_ref() == Some(owner))
            .map(|(key, _)| *key)
            .collect()
    }

    fn forget(&mut self, key: SessionKey) -> Option<Content> {
        let gone = self.live.remove(&key)?;
        self.past.insert(key, gone.version);
        Some(gone)
    }

    fn keep(&mut self, key: SessionKey, write: Write, inherited: Option<Owner>) {
        let content =
            Content { data: write.data, version: write.version, owner: write.owner.apply(inherited) };
        if let Some(replaced) = self.live.insert(key, content) {
            self.past.insert(key, replaced.version);
        }
    }

    async fn check_read(&self, key: SessionKey) -> Checked {
        let found = self.store.read(&key).await?;
        self.compare(key, found.map(Content::from).as_ref())
    }

    fn compare(&self, key: SessionKey, found: Option<&Content>) -> Checked {
        ensure_eq!(found, self.live.get(&key), "what is live under {key:?}");
        Ok(())
    }

    fn check_write(&mut self, item: WriteItem, outcome: WriteOutcome) -> Checked {
        let current = self.live.get(&item.key).cloned();
        let version = current.as_ref().map(|content| content.version);
        let holds = item.when.holds(version);
        match outcome {
            WriteOutcome::Written => {
                ensure!(holds, "a write with {:?} took effect on {version:?}", item.when);
                self.keep(item.key, item.write, current.and_then(|content| content.owner));
            }
            WriteOutcome::Conflict(carried) => {
                ensure!(!holds, "a write with {:?} met a conflict with {version:?}", item.when);
                ensure_eq!(
                    carried.map(|record| record.version),
                    version,
                    "the record that the conflict carries"
                );
            }
        }
        Ok(())
    }

    fn check_delete(&mut self, item: DeleteItem, outcome: DeleteOutcome) -> Checked {
        let expected = match self.live.get(&item.key) {
            None => DeleteOutcome::Absent,
            Some(content) if !item.expected.matches(content.version) => DeleteOutcome::Conflict,
            Some(_) => DeleteOutcome::Deleted,
        };
        ensure_eq!(outcome, expected, "the outcome of a delete of {:?}", item.expected);
        if expected == DeleteOutcome::Deleted {
            self.forget(item.key);
        }
        Ok(())
    }

    async fn rename(&mut self, old: usize, new: usize, guess: Guess, owner: PlannedOwner) -> Checked {
        let (old, new) = (self.keys[old], self.keys[new]);
        let seen = self.version(old, guess);
        let login = self.content(3, owner);
        let outcome = self.store.rename(&old, &new, login.clone(), seen).await?;
        let current = self.live.get(&old).map(|content| content.version);
        match outcome {
            RenameOutcome::Renamed => {
                ensure!(current == Some(seen), "a rename of {seen:?} took effect on {current:?}");
                ensure!(!self.live.contains_key(&new), "a rename took effect on a key that is taken");
                let inherited = self.forget(old).and_then(|content| content.owner);
                self.keep(new, login, inherited);
            }
            RenameOutcome::Conflict(carried) => {
                ensure!(current != Some(seen), "a rename of the live version met a conflict");
                ensure_eq!(
                    carried.map(|record| record.version),
                    current,
                    "the record that the conflict carries"
                );
            }
            RenameOutcome::Occupied => ensure!(self.live.contains_key(&new), "the new key is free"),
        }
        Ok(())
    }
}
