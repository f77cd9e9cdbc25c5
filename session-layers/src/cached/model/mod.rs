//! The cache under a model checker, which explores random schedules of fills, events, local and
//! remote changes, gaps and dropped callers.
//!
//! Runs with `--cfg shuttle`; the README has the command. A failure prints a schedule that
//! `shuttle::replay` repeats.

mod shelf;

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use session_core::{Expected, OwnerChange, SessionKey, SessionStore, Ttl, Version, When, Write};
use shuttle::{
    future::{block_on, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use self::shelf::{Shelf, State};
use super::{CacheSettings, Cached, flaw::Flaw};

const ROUNDS: usize = 3_000;

/// Explores random schedules, and then those with few preemptions (PCT).
fn explore<F: Future<Output = ()> + Send + 'static>(run: impl Fn() -> F + Clone + Send + Sync + 'static) {
    let rounds = std::env::var("SESSION_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    let again = run.clone();
    shuttle::check_random(move || block_on(run()), ROUNDS * rounds);
    shuttle::check_pct(move || block_on(again()), ROUNDS * rounds, 3);
}

/// Requires that a mistake is found.
///
/// Schedules with few preemptions find each mistake in some hundred runs or fewer. Purely random
/// schedules took 17,000 runs on average for the rarest one, and sometimes more than there are
/// here.
fn finds<F: Future<Output = ()> + Send + 'static>(flaw: Flaw, run: fn(Option<Flaw>) -> F) {
    let found = catch_unwind(AssertUnwindSafe(|| {
        shuttle::check_pct(move || block_on(run(Some(flaw))), 20 * ROUNDS, 3);
    }));
    assert!(found.is_err(), "{flaw:?} was not found");
}

fn key(n: u8) -> SessionKey {
    SessionKey::from_bytes([n; SessionKey::LEN])
}

fn write() -> Write {
    // The owner is set explicitly, so that the cache can keep what is written.
    Write::new("x", Ttl::new(Duration::from_hours(100)).expect("in range")).owner(OwnerChange::Clear)
}

async fn cache(flaw: Option<Flaw>, gaps: bool) -> (Cached<Shelf>, Shelf) {
    let shelf = Shelf::new(gaps);
    let settings = CacheSettings { flaw, ..CacheSettings::default() }.max_staleness(Duration::from_hours(10));
    let cached = Cached::new(shelf.clone(), settings).expect("the model's runtime");
    cached.wait_until_ready().await;
    (cached, shelf)
}

/// Polls an operation, and may drop it at any point.
async fn or_give_up<F: Future>(operation: F) -> Option<F::Output> {
    let mut operation = pin!(operation);
    poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if thread_rng().gen_ratio(1, 8) => Poll::Ready(None),
        Poll::Pending => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Performs a random operation on a store. Returns the version that it saw or wrote, if it is
/// certain.
async fn change(store: &impl SessionStore, key: &SessionKey, seen: Option<Version>) -> Option<Version> {
    let next = write();
    let version = next.version;
    match (thread_rng().gen_range(0..7), seen) {
        (0 | 1, Some(seen)) => {
            store.write(key, next, When::Version(seen)).await.ok()?.is_written().then_some(version)
        }
        (2, _) => store.write(key, next, When::Any).await.ok()?.is_written().then_some(version),
        (3 | 4, _) => {
            let _ = store.delete(key, Expected::Any).await.ok()?;
            None
        }
        (5, _) => {
            store.touch(key, Ttl::MAX).await.ok()?;
            seen
        }
        _ => store.write(key, next, When::Absent).await.ok()?.is_written().then_some(version),
    }
}

/// Reads through the cache, and checks that the result is not older than allowed.
async fn read(cached: &Cached<Shelf>, shelf: &Shelf, key: &SessionKey) -> State {
    let floor = shelf.floor(key);
    let found = cached.read(key).await.expect("it never fails").map(|record| record.version);
    shelf.check(key, floor, found);
    found
}

/// Checks that, after all events, the cache and the store agree and nothing is in flight.
async fn finish(cached: Cached<Shelf>, shelf: Shelf, keys: &[SessionKey]) {
    shelf.until_all_is_heard().await;
    for key in keys {
        let found = cached.read(key).await.expect("it never fails").map(|record| record.version);
        assert_eq!(found, shelf.now(key), "the cache is stale for ever");
    }
    while cached.inner.table.in_flight.len() > 0 {
        yield_now().await;
    }
    cached.close().await.expect("closed");
}

/// All changes go through the cache, which must then be indistinguishable from the store.
async fn here_only(flaw: Option<Flaw>) {
    let (cached, shelf) = cache(flaw, false).await;
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (cached, shelf) = (cached.clone(), shelf.clone());
            spawn(async move {
                let mut seen = None;
                for _ in 0..3 {
                    if thread_rng().gen_ratio(1, 2) {
                        let floor = shelf.floor(&key(0));
                        let found = cached.read(&key(0)).await.expect("it never fails");
                        seen = found.map(|record| record.version);
                        let at = shelf.check(&key(0), floor, seen);
                        // What one reader has seen, every later reader must see.
                        shelf.raise(&key(0), at);
                    } else {
                        seen = change(&cached, &key(0), seen).await;
                        // The change has returned, so later reads must not find an older state.
                        shelf.returned(&key(0), seen);
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    finish(cached, shelf, &[key(0)]).await;
}

/// Local and remote changes, with gaps in the events and dropped callers.
async fn here_and_there(flaw: Option<Flaw>) {
    let (cached, shelf) = cache(flaw, true).await;
    let mut clients = Vec::new();
    for n in 0..2 {
        let (cached, shelf) = (cached.clone(), shelf.clone());
        clients.push(spawn(async move {
            let mut seen = None;
            for step in 0..3 {
                match (n + step) % 3 {
                    0 => seen = or_give_up(change(&cached, &key(0), seen)).await.flatten(),
                    _ => seen = read(&cached, &shelf, &key(0)).await,
                }
            }
        }));
    }
    clients.push(spawn({
        let elsewhere = shelf.clone();
        async move {
            let mut seen = None;
            for _ in 0..3 {
                seen = change(&elsewhere, &key(0), seen).await.or(elsewhere.now(&key(0)));
            }
        }
    }));
    for client in clients {
        client.await.expect("no panic");
    }
    finish(cached, shelf, &[key(0)]).await;
}

/// Local renames, while other tasks read and end the sessions.
async fn renames(flaw: Option<Flaw>) {
    let (cached, shelf) = cache(flaw, false).await;
    let first = write();
    assert!(shelf.write(&key(0), first.clone(), When::Any).await.expect("it never fails").is_written());
    let renaming = spawn({
        let cached = cached.clone();
        async move { drop(cached.rename(&key(0), &key(1), write(), first.version).await) }
    });
    let reading = spawn({
        let (cached, shelf) = (cached.clone(), shelf.clone());
        async move {
            for n in [0, 1, 0, 1] {
                read(&cached, &shelf, &key(n)).await;
            }
        }
    });
    let ending = spawn({
        let elsewhere = shelf.clone();
        async move {
            for n in [0, 1] {
                let _ = elsewhere.delete(&key(n), Expected::Any).await.expect("it never fails");
            }
        }
    });
    for task in [renaming, reading, ending] {
        task.await.expect("no panic");
    }
    finish(cached, shelf, &[key(0), key(1)]).await;
}

#[test]
fn to_its_own_callers_the_cache_is_the_store() {
    explore(|| here_only(None));
}

#[test]
fn what_was_heard_of_is_seen() {
    explore(|| here_and_there(None));
}

#[test]
fn a_rename_leaves_nothing_of_the_old() {
    explore(|| renames(None));
}

#[test]
fn mistakes_are_found() {
    finds(Flaw::FillWithoutGuard, here_and_there);
    finds(Flaw::FillWithoutGuard, here_only);
    finds(Flaw::JoinsOldReadings, here_only);
    finds(Flaw::DropsInvalidations, here_and_there);
    finds(Flaw::ForgetsBypass, here_and_there);
    finds(Flaw::IgnoresMissed, here_and_there);
    finds(Flaw::DropsBeforeChange, here_only);
    finds(Flaw::TrustsOverlaps, here_only);
    finds(Flaw::KeepsLessThanWasSeen, here_only);
    finds(Flaw::FillWithoutGuard, renames);
}
