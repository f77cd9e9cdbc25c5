use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use session_core::{
    DeleteOutcome, Event, EventStream, Expected, Record, RenameOutcome, Result, SessionKey, SessionStore,
    Ttl, Version, Watch, When, Write, WriteOutcome, async_trait,
};
use shuttle::{
    future::yield_now,
    rand::{Rng, thread_rng},
};

/// The state of a key: a version, or nothing.
pub(super) type State = Option<Version>;

/// A store whose operations take several steps.
///
/// It remembers every state that a key had, and reports changes whenever the schedule allows, with
/// gaps.
#[derive(Clone, Debug)]
pub(super) struct Shelf(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// All states of each key in order, and the index of the oldest one that a new read may find.
    keys: HashMap<SessionKey, (Vec<State>, usize)>,
    /// The events that are still to be reported, with the index of the state that each one is
    /// about.
    news: VecDeque<(Event, Option<(SessionKey, usize)>)>,
    gaps: bool,
}

impl Inner {
    fn key(&mut self, key: &SessionKey) -> &mut (Vec<State>, usize) {
        self.keys.entry(*key).or_insert_with(|| (vec![None], 0))
    }

    fn now(&mut self, key: &SessionKey) -> State {
        self.key(key).0.last().copied().flatten()
    }

    fn set(&mut self, key: &SessionKey, state: State) {
        let states = &mut self.key(key).0;
        states.push(state);
        let number = states.len() - 1;
        let event = match state {
            Some(version) => Event::Changed { key: *key, version: Some(version) },
            None => Event::Deleted { key: *key },
        };
        self.news.push_back((event, Some((*key, number))));
    }

    fn raise(&mut self, key: &SessionKey, number: usize) {
        let floor = &mut self.key(key).1;
        *floor = number.max(*floor);
    }
}

fn record(version: Version) -> Record {
    Record { data: "x".into(), version, expires_in: Duration::from_hours(100), owner: None }
}

async fn steps() {
    for _ in 0..thread_rng().gen_range(0..3) {
        yield_now().await;
    }
}

impl Shelf {
    pub(super) fn new(gaps: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner { gaps, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic happens under this lock")
    }

    async fn call<T>(&self, effect: impl FnOnce(&mut Inner) -> T) -> T {
        steps().await;
        let outcome = effect(&mut self.inner());
        steps().await;
        outcome
    }

    pub(super) fn now(&self, key: &SessionKey) -> State {
        self.inner().now(key)
    }

    /// The index of the oldest state that a read which begins now may find.
    pub(super) fn floor(&self, key: &SessionKey) -> usize {
        self.inner().key(key).1
    }

    pub(super) fn raise(&self, key: &SessionKey, number: usize) {
        self.inner().raise(key, number);
    }

    /// Records that the change which wrote this version has returned.
    pub(super) fn returned(&self, key: &SessionKey, made: State) {
        let mut inner = self.inner();
        let number = inner.key(key).0.iter().position(|state| made.is_some() && *state == made);
        if let Some(number) = number {
            inner.raise(key, number);
        }
    }

    /// Checks that a read which began at this floor may have found this state, and returns its
    /// index.
    pub(super) fn check(&self, key: &SessionKey, floor: usize, found: State) -> usize {
        let states = self.inner().key(key).0.clone();
        let fits = (floor..states.len()).find(|number| states[*number] == found);
        fits.unwrap_or_else(|| panic!("{found:?} is too old: {floor} of {states:?}"))
    }

    pub(super) async fn until_all_is_heard(&self) {
        // The cache has handled an event when it asks for the next one.
        for _ in 0..3 {
            while !self.inner().news.is_empty() {
                yield_now().await;
            }
            self.inner().news.push_back((Event::Expired { key: SessionKey::from_bytes([255; 33]) }, None));
        }
        while !self.inner().news.is_empty() {
            yield_now().await;
        }
    }
}

#[async_trait]
impl SessionStore for Shelf {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.call(|inner| inner.now(key).map(record)).await)
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let outcome = self.call(|inner| {
            let now = inner.now(key);
            if when.holds(now) {
                inner.set(key, Some(write.version));
                WriteOutcome::Written
            } else {
                WriteOutcome::Conflict(now.map(record))
            }
        });
        Ok(outcome.await)
    }

    async fn touch(&self, key: &SessionKey, _: Ttl) -> Result<bool> {
        let outcome = self.call(|inner| {
            let now = inner.now(key);
            if now.is_some() && thread_rng().gen_ratio(1, 2) {
                inner.news.push_back((Event::Changed { key: *key, version: now }, None));
            }
            now.is_some()
        });
        Ok(outcome.await)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let outcome = self.call(|inner| match inner.now(key) {
            None => DeleteOutcome::Absent,
            Some(version) if !expected.matches(version) => DeleteOutcome::Conflict,
            Some(_) => {
                inner.set(key, None);
                DeleteOutcome::Deleted
            }
        });
        Ok(outcome.await)
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let outcome = self.call(|inner| {
            let now = inner.now(old);
            if now != Some(expected) {
                return RenameOutcome::Conflict(now.map(record));
            }
            inner.set(old, None);
            inner.set(new, Some(write.version));
            RenameOutcome::Renamed
        });
        Ok(outcome.await)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

struct Ear {
    shelf: Shelf,
    /// The state of the last event, which the cache has handled when it asks for the next one.
    told: Option<(SessionKey, usize)>,
    interrupted: bool,
}

/// The result of one attempt to get an event.
enum Step {
    Wait,
    Tell(Event),
    End,
}

impl Ear {
    async fn next(mut self) -> Option<(Event, Self)> {
        if let Some((key, number)) = self.told.take() {
            self.shelf.raise(&key, number);
        }
        loop {
            yield_now().await;
            match self.step() {
                Step::Wait => {}
                Step::Tell(event) => return Some((event, self)),
                Step::End => return None,
            }
        }
    }

    fn step(&mut self) -> Step {
        let mut inner = self.shelf.inner();
        let goes_on = thread_rng().gen_ratio(1, 2);
        if self.interrupted && !goes_on {
            return Step::Wait;
        }
        let breaks = inner.gaps && !inner.news.is_empty() && thread_rng().gen_ratio(1, 8);
        match thread_rng().gen_range(0..3) {
            _ if self.interrupted => {}
            _ if !breaks => {
                let Some((event, told)) = inner.news.pop_front() else { return Step::Wait };
                self.told = told;
                return Step::Tell(event);
            }
            0 => {
                inner.news.clear();
                return Step::End;
            }
            1 => {}
            _ => {
                self.interrupted = true;
                return Step::Tell(Event::Interrupted);
            }
        }
        // All events that were still to be reported are lost.
        inner.news.clear();
        self.interrupted = false;
        Step::Tell(Event::Missed)
    }
}

#[async_trait]
impl Watch for Shelf {
    async fn subscribe(&self) -> Result<EventStream> {
        steps().await;
        self.inner().news.clear();
        let ear = Ear { shelf: self.clone(), told: None, interrupted: false };
        Ok(stream::unfold(ear, Ear::next).fuse().boxed())
    }
}
