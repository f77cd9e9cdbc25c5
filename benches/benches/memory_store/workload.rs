//! What is done to the map or the store while the clock runs.

use std::collections::HashMap;
use std::hint::black_box;

use benches::keys::Spread;
use benches::parallel;
use session_core::{Bytes, SessionKey, Version, When, WriteItem};

use crate::kind::Kind;
use crate::session;
use crate::sessions::Sessions;

/// How many new sessions a thread keeps before it deletes the oldest of them.
const CHURN_BACKLOG: usize = 1000;

/// How many items a batch has.
const BATCH: usize = 64;

/// The keys of every thread's operations, in order. They and all that is written are made before anything is
/// timed; the operations go through them one after another.
pub(crate) struct Workload {
    kind: Kind,
    keys: Vec<Vec<SessionKey>>,
}

impl Workload {
    /// Draws the keys of `ops` operations for each of `threads` threads on these sessions.
    pub(crate) fn draw(
        kind: Kind,
        spread: Spread,
        sessions: &[SessionKey],
        threads: usize,
        ops: usize,
    ) -> Self {
        let own = if kind.needs_versions() { threads } else { 1 };
        let count = u32::try_from(sessions.len() / own).expect("far fewer sessions");
        let keys = (0..threads).map(|thread| {
            let seed = 1 + thread as u64;
            if kind.is_of_new_sessions() {
                return (0..ops as u64).map(|number| session::key((seed << 32) + number)).collect();
            }
            let drawn = spread.draw(count, ops, seed).into_iter();
            drawn.map(|index| sessions[index as usize * own + thread % own]).collect()
        });
        Self { kind, keys: keys.collect() }
    }

    /// Nanoseconds that one thread spends on one operation, all threads running at once.
    pub(crate) fn measure<S: Sessions>(&self, on: &S) -> f64 {
        match self.kind {
            Kind::Read => self.time(|keys| warm(on, keys), |keys| read(on, keys)),
            Kind::Touch => self.time(|keys| warm(on, keys), |keys| touch(on, keys)),
            Kind::Churn => self.time(|keys| (keys, creations(keys)), |(keys, items)| churn(on, keys, items)),
            Kind::Rename => self.time(|keys| created(on, keys), |items| rename(on, items)),
            Kind::ReadMany => self.time(|keys| warm(on, keys), |keys| read_many(on, keys)),
            Kind::WriteMany => self.time(|keys| replacements(on, keys), |items| write_many(on, items)),
            Kind::Write => {
                self.time(|keys| replacements(on, keys), |items| write(on, items, S::DRAWS_VERSIONS, false))
            }
            Kind::WriteAndFree => {
                self.time(|keys| replacements(on, keys), |items| write(on, items, S::DRAWS_VERSIONS, true))
            }
            Kind::WriteDrawn => {
                self.time(|keys| replacements(on, keys), |items| write(on, items, false, true))
            }
        }
    }

    fn time<'a, P, R>(
        &'a self,
        prepare: impl Fn(&'a [SessionKey]) -> P + Sync,
        work: impl Fn(P) -> R + Sync,
    ) -> f64 {
        let took = parallel::time_slowest(self.keys.len(), |thread| prepare(&self.keys[thread]), work);
        took.as_secs_f64() * 1e9 / f64::from(u32::try_from(self.keys[0].len()).expect("far fewer operations"))
    }
}

/// After the other's turn nothing of this one is cached.
fn warm<'a>(on: &impl Sessions, keys: &'a [SessionKey]) -> &'a [SessionKey] {
    read(on, keys);
    keys
}

/// What replaces each session, knowing what is there by then.
fn replacements(on: &impl Sessions, keys: &[SessionKey]) -> Vec<WriteItem> {
    let mut last = HashMap::new();
    let replace = |(number, key): (u64, &SessionKey)| {
        let write = session::replacement(key, number);
        let expected = last.insert(*key, write.version).unwrap_or_else(|| on.version(key));
        WriteItem { key: *key, write, when: When::Version(expected) }
    };
    (0..).zip(keys).map(replace).collect()
}

fn creations(keys: &[SessionKey]) -> Vec<WriteItem> {
    let create = |(number, key): (u64, &SessionKey)| WriteItem {
        key: *key,
        write: session::creation(key, number),
        when: When::Absent,
    };
    (0..).zip(keys).map(create).collect()
}

/// Creates the sessions, and returns what renames them and the new keys.
fn created(on: &impl Sessions, keys: &[SessionKey]) -> Vec<(WriteItem, SessionKey)> {
    for item in creations(keys) {
        assert!(on.create(&item.key, item.write), "every key is a new one");
    }
    let items = replacements(on, keys).into_iter();
    items.map(|item| (session::rotated(&item.key), item)).map(|(new, item)| (item, new)).collect()
}

fn read(on: &impl Sessions, keys: &[SessionKey]) {
    for key in keys {
        assert!(on.read(key), "every session is there");
    }
}

fn touch(on: &impl Sessions, keys: &[SessionKey]) {
    for key in keys {
        assert!(on.touch(key), "every session is there");
    }
}

/// Returns what the map gave away, to be freed when the clock has stopped.
///
/// A version drawn now is thrown away, and the one drawn before is written, because the writes that follow were
/// prepared to expect that one. It takes as long.
fn write(on: &impl Sessions, mut items: Vec<WriteItem>, draw: bool, free: bool) -> Vec<WriteItem> {
    for WriteItem { key, write, when } in &mut items {
        if draw {
            black_box(Version::random());
        }
        assert!(on.write(key, write, expected(*when)), "every version is the expected one");
        if free {
            write.data = Bytes::new();
        }
    }
    items
}

fn churn(on: &impl Sessions, keys: &[SessionKey], items: Vec<WriteItem>) {
    for (number, item) in items.into_iter().enumerate() {
        assert!(on.create(&item.key, item.write), "every key is a new one");
        if let Some(oldest) = number.checked_sub(CHURN_BACKLOG) {
            assert!(on.delete(&keys[oldest]), "it was created");
        }
    }
    for key in &keys[keys.len().saturating_sub(CHURN_BACKLOG)..] {
        assert!(on.delete(key), "it was created");
    }
}

/// Returns what deletes the sessions, when the clock has stopped.
fn rename<S: Sessions>(on: &S, items: Vec<(WriteItem, SessionKey)>) -> Deleter<'_, S> {
    let mut renamed = Deleter { on, keys: Vec::with_capacity(items.len()) };
    for (item, new) in items {
        assert!(
            on.rename(&item.key, &new, item.write, expected(item.when)),
            "it is there, its successor is not"
        );
        renamed.keys.push(new);
    }
    renamed
}

struct Deleter<'a, S: Sessions> {
    on: &'a S,
    keys: Vec<SessionKey>,
}

impl<S: Sessions> Drop for Deleter<'_, S> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| assert!(self.on.delete(key), "it was renamed to this"));
    }
}

fn read_many(on: &impl Sessions, keys: &[SessionKey]) {
    for keys in keys.chunks(BATCH) {
        assert!(on.read_many(keys), "every session is there");
    }
}

/// Returns the items, which share what was written, as they do with a caller that keeps them.
fn write_many(on: &impl Sessions, items: Vec<WriteItem>) -> Vec<WriteItem> {
    for items in items.chunks(BATCH) {
        assert!(on.write_many(items), "every version is the expected one");
    }
    items
}

fn expected(when: When) -> Version {
    let When::Version(expected) = when else { unreachable!("it is a replacement") };
    expected
}
