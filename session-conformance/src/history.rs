//! Concurrent histories of a session, checked for linearizability.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rand::{RngExt, seq::IndexedRandom};
use session_core::{
    DeleteItem, DeleteOutcome, Expected, Owner, OwnerChange, Record, RenameOutcome, SessionId, SessionKey,
    SessionStore, TouchItem, Version, When, Write, WriteItem, WriteOutcome,
};

use crate::{
    assertions::{all, hour, only, owner, write},
    failure::{Checked, Failure, ensure},
};

const CLIENTS: usize = 4;
const STEPS: usize = 5;

/// A live record: its version, and whether it has the owner.
type Found = Option<(Version, bool)>;

/// The record under each key, by the number of the key. A key that was never used has none.
type State = Vec<Found>;

#[derive(Clone, Debug)]
enum Call {
    Read,
    Write { version: Version, when: When, owner: OwnerChange },
    Touch,
    Delete(Expected),
    Rename { to: usize, version: Version, expected: Version },
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Found(Found),
    Written(bool),
    Touched(bool),
    Deleted(DeleteOutcome),
    Renamed(bool),
}

/// A call with its answer, and its begin and end by a clock that all clients share.
#[derive(Clone, Debug)]
struct Done {
    began: u32,
    key: usize,
    call: Call,
    answer: Answer,
    ended: u32,
}

/// Applies a call to the state by the contract, and returns the answer.
fn apply(state: &mut State, key: usize, call: &Call) -> Answer {
    let most = if let Call::Rename { to, .. } = call { key.max(*to) } else { key };
    state.resize(state.len().max(most + 1), None);
    let live = state[key].map(|(version, _)| version);
    match call {
        Call::Read => Answer::Found(state[key]),
        Call::Touch => Answer::Touched(live.is_some()),
        Call::Write { version, when, owner } => {
            let holds = when.holds(live);
            if holds {
                state[key] = Some((*version, owned_after(owner, state[key])));
            }
            Answer::Written(holds)
        }
        Call::Delete(expected) => Answer::Deleted(match live {
            None => DeleteOutcome::Absent,
            Some(version) if !expected.matches(version) => DeleteOutcome::Conflict,
            Some(_) => {
                state[key] = None;
                DeleteOutcome::Deleted
            }
        }),
        Call::Rename { to, version, expected } => {
            let holds = live == Some(*expected);
            if holds {
                let is_owned = owned_after(&OwnerChange::Keep, state[key].take());
                state[*to] = Some((*version, is_owned));
            }
            Answer::Renamed(holds)
        }
    }
}

fn owned_after(change: &OwnerChange, before: Found) -> bool {
    match change {
        OwnerChange::Keep => before.is_some_and(|(_, is_owned)| is_owned),
        OwnerChange::Set(_) => true,
        OwnerChange::Clear => false,
    }
}

/// The keys of a history. The new key of a rename is handed out only after the rename has
/// succeeded.
struct Keys {
    all: Mutex<Vec<SessionKey>>,
    known: Mutex<Vec<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keys {
    fn draw(&self, key: SessionKey) -> usize {
        let mut all = lock(&self.all);
        all.push(key);
        all.len() - 1
    }
}

/// One client: a handle on the store, and the last version that it has seen.
struct Client {
    store: Arc<dyn SessionStore>,
    id: SessionId,
    keys: Arc<Keys>,
    clock: Arc<AtomicU32>,
    /// Whether its reads are fresh, and not as stale as the target declares.
    reads_are_fresh: bool,
    owner: Owner,
    seen: Option<Version>,
    done: Vec<Done>,
}

/// Runs a few clients at once with random calls on one session, through the handles in turn. Checks
/// that all answers are explained by some order of the calls in which no call comes before one that
/// had returned before it began.
pub(crate) async fn is_linearizable(handles: &[Arc<dyn SessionStore>], reads_are_fresh: bool) -> Checked {
    let clock = Arc::new(AtomicU32::new(0));
    let id = SessionId::generate();
    let keys = Arc::new(Keys { all: Mutex::new(vec![id.key()]), known: Mutex::new(vec![0]) });
    let clients = (0..CLIENTS).map(|number| {
        let mut client = Client {
            store: Arc::clone(&handles[number % handles.len()]),
            id: id.clone(),
            keys: Arc::clone(&keys),
            clock: Arc::clone(&clock),
            reads_are_fresh,
            owner: owner("owner"),
            seen: None,
            done: Vec::new(),
        };
        async move {
            for _ in 0..STEPS {
                client.step().await?;
            }
            Ok(client)
        }
    });
    let mut history = Vec::new();
    let mut last = None;
    for done in all::<Checked<Client>, _>(clients).await? {
        let mut client = done?;
        history.append(&mut client.done);
        last = Some(client);
    }
    // Failed renames leave no record under their keys. The other keys hold the final state.
    if let Some(mut client) = last {
        let count = lock(&keys.all).len();
        for key in 0..count {
            client.see_by_conflict(key).await?;
        }
        history.append(&mut client.done);
    }
    history.sort_by_key(|done| done.began);
    ensure!(history.len() <= 64, "a history of {} calls is too long to be judged", history.len());
    ensure!(can_be_ordered(&history), "no order of these calls explains their answers:\n{}", lines(&history));
    Ok(())
}

impl Client {
    /// Makes a random call, on a key that was handed out.
    async fn step(&mut self) -> Checked {
        let (key, by_batch) = {
            let known = lock(&self.keys.known);
            let mut rng = rand::rng();
            // Usually the newest key, which holds the session.
            let key = if rng.random_bool(0.7) { known.last() } else { known.choose(&mut rng) };
            (*key.unwrap_or(&0), rng.random_bool(0.4))
        };
        let change = match rand::rng().random_range(0..3) {
            0 => OwnerChange::Keep,
            1 => OwnerChange::Set(self.owner.clone()),
            _ => OwnerChange::Clear,
        };
        let dice = rand::rng().random_range(0..12);
        match (dice, self.seen) {
            (0..2, _) if self.reads_are_fresh => self.read(key, by_batch).await,
            (0..3, _) => self.see_by_conflict(key).await,
            (3..6, Some(version)) => self.write(key, When::Version(version), change, by_batch).await,
            (6, _) => self.touch(key, by_batch).await,
            (7, Some(version)) => self.delete(key, Expected::Version(version), by_batch).await,
            (7 | 8, _) => self.delete(key, Expected::Any, by_batch).await,
            (9, Some(_)) => self.write(key, When::Any, change, by_batch).await,
            (10 | 11, Some(version)) => self.rename(key, version).await,
            _ => self.write(key, When::Absent, change, by_batch).await,
        }
    }

    fn now(&self) -> u32 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn key(&self, number: usize) -> SessionKey {
        lock(&self.keys.all)[number]
    }

    fn note(&mut self, began: u32, key: usize, call: Call, answer: Answer) {
        let ended = self.now();
        self.done.push(Done { began, key, call, answer, ended });
    }

    /// Notes a record from an answer: it was there at some moment of the call.
    fn note_seen(&mut self, began: u32, key: usize, record: Option<&Record>) {
        self.seen = record.map(|record| record.version).or(self.seen);
        let found = record.map(|record| (record.version, record.owner.is_some()));
        self.note(began, key, Call::Read, Answer::Found(found));
    }

    async fn read(&mut self, number: usize, by_batch: bool) -> Checked {
        let (key, began) = (self.key(number), self.now());
        let found =
            if by_batch { only(self.store.read_many(&[key]).await)? } else { self.store.read(&key).await? };
        self.note_seen(began, number, found.as_ref());
        Ok(())
    }

    /// Reads by a write whose condition never holds, because conditions are never judged by stale
    /// data.
    async fn see_by_conflict(&mut self, number: usize) -> Checked {
        let (key, began) = (self.key(number), self.now());
        match self.store.write(&key, write("never"), When::Version(Version::random())).await? {
            WriteOutcome::Conflict(found) => self.note_seen(began, number, found.as_ref()),
            WriteOutcome::Written => {
                return Err(Failure::new("a write with a version that never was took effect"));
            }
        }
        Ok(())
    }

    async fn write(&mut self, number: usize, when: When, owner: OwnerChange, by_batch: bool) -> Checked {
        let (key, began) = (self.key(number), self.now());
        let next = Write::new("x", hour()).owner(owner.clone());
        let version = next.version;
        let outcome = if by_batch {
            only(self.store.write_many(&[WriteItem { key, write: next, when }]).await)?
        } else {
            self.store.write(&key, next, when).await?
        };
        let call = Call::Write { version, when, owner };
        match outcome {
            WriteOutcome::Written => {
                self.seen = Some(version);
                self.note(began, number, call, Answer::Written(true));
            }
            WriteOutcome::Conflict(found) => {
                self.note(began, number, call, Answer::Written(false));
                self.note_seen(began, number, found.as_ref());
            }
        }
        Ok(())
    }

    async fn touch(&mut self, number: usize, by_batch: bool) -> Checked {
        let (key, began) = (self.key(number), self.now());
        let touched = if by_batch {
            only(self.store.touch_many(&[TouchItem { key, ttl: hour() }]).await)?
        } else {
            self.store.touch(&key, hour()).await?
        };
        self.note(began, number, Call::Touch, Answer::Touched(touched));
        Ok(())
    }

    async fn delete(&mut self, number: usize, expected: Expected, by_batch: bool) -> Checked {
        let (key, began) = (self.key(number), self.now());
        let outcome = if by_batch {
            only(self.store.delete_many(&[DeleteItem { key, expected }]).await)?
        } else {
            self.store.delete(&key, expected).await?
        };
        self.note(began, number, Call::Delete(expected), Answer::Deleted(outcome));
        Ok(())
    }

    async fn rename(&mut self, number: usize, expected: Version) -> Checked {
        let new = if rand::random() { self.id.rotate().key() } else { SessionId::generate().key() };
        let to = self.keys.draw(new);
        let next = write("renamed");
        let version = next.version;
        let (key, began) = (self.key(number), self.now());
        let outcome = self.store.rename(&key, &new, next, expected).await?;
        let call = Call::Rename { to, version, expected };
        match outcome {
            RenameOutcome::Renamed => {
                self.seen = Some(version);
                self.note(began, number, call, Answer::Renamed(true));
                lock(&self.keys.known).push(to);
            }
            RenameOutcome::Conflict(found) => {
                self.note(began, number, call, Answer::Renamed(false));
                self.note_seen(began, number, found.as_ref());
            }
            RenameOutcome::Occupied => return Err(Failure::new("a key that was just drawn is taken")),
        }
        Ok(())
    }
}

/// Formats each call as a line, in the order in which the calls began.
fn lines(history: &[Done]) -> String {
    let line = |done: &Done| {
        let Done { began, key, call, answer, ended } = done;
        format!("      {began:3} to {ended:3}, key {key}: {call:?} -> {answer:?}\n")
    };
    history.iter().map(line).collect()
}

/// The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory
/// of Lowe ("Testing for linearizability", 2017): of all orders of the same calls with the same
/// effect, one is followed.
fn can_be_ordered(history: &[Done]) -> bool {
    let all = u64::MAX >> (64 - history.len().clamp(1, 64));
    let mut ways = vec![(0_u64, State::new())];
    let mut known = HashSet::new();
    while let Some((ordered, state)) = ways.pop() {
        if ordered == all || history.is_empty() {
            return true;
        }
        let waiting = || history.iter().enumerate().filter(|(at, _)| ordered & (1 << at) == 0);
        let first_end = waiting().map(|(_, done)| done.ended).min().unwrap_or(u32::MAX);
        for (at, done) in waiting().take_while(|(_, done)| done.began < first_end) {
            let mut next = state.clone();
            if apply(&mut next, done.key, &done.call) == done.answer
                && known.insert((ordered | 1 << at, next.clone()))
            {
                ways.push((ordered | 1 << at, next));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(began: u32, ended: u32, call: Call, answer: Answer) -> Done {
        Done { began, key: 0, call, answer, ended }
    }

    fn write_as(version: Version, when: When) -> Call {
        Call::Write { version, when, owner: OwnerChange::Keep }
    }

    #[test]
    fn a_read_may_overlap_a_write_but_not_contradict_it() {
        let version = Version::random();
        let write = |ended| done(0, ended, write_as(version, When::Absent), Answer::Written(true));
        let read = |began, found: Option<Version>| {
            done(began, began + 1, Call::Read, Answer::Found(found.map(|version| (version, false))))
        };
        assert!(can_be_ordered(&[write(10), read(1, None), read(3, Some(version))]));
        assert!(!can_be_ordered(&[write(10), read(1, Some(version)), read(3, None)]), "it went back in time");
        assert!(!can_be_ordered(&[write(2), read(3, None)]), "the write had returned");
    }

    #[test]
    fn two_winners_of_one_version_cannot_be_ordered() {
        let [first, a, b] = [(); 3].map(|()| Version::random());
        let replace = |began, version| {
            done(began, began + 9, write_as(version, When::Version(first)), Answer::Written(true))
        };
        let create = done(0, 1, write_as(first, When::Absent), Answer::Written(true));
        assert!(can_be_ordered(&[create.clone(), replace(2, a)]));
        assert!(!can_be_ordered(&[create.clone(), replace(2, a), replace(3, b)]));
        let rename = |began| {
            let call = Call::Rename { to: 1, version: Version::random(), expected: first };
            done(began, began + 9, call, Answer::Renamed(true))
        };
        assert!(can_be_ordered(&[create.clone(), rename(2)]));
        assert!(
            !can_be_ordered(&[create.clone(), rename(2), replace(3, b)]),
            "both took the place of one version"
        );
        let deleted = done(3, 12, Call::Delete(Expected::Any), Answer::Deleted(DeleteOutcome::Deleted));
        assert!(!can_be_ordered(&[create, rename(2), deleted]), "both ended one record");
    }
}
