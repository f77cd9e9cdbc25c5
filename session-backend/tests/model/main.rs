//! The core of the batcher under a model checker: schedules, deadlines and cancellations that no
//! real run would meet.
//!
//! Runs with `--cfg shuttle`; the README has the command. A failure prints a schedule that
//! `shuttle::replay` repeats.
#![cfg(shuttle)]

mod model;
mod watchful;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use futures_util::future::join;
use session_core::{Error, ErrorKind, SessionStore, When, WriteOutcome};
use shuttle::{
    future::{block_on, spawn, yield_now},
    rand::{Rng, thread_rng},
};

use crate::{
    model::{ANY_TIME, Model, NEVER, content, key},
    watchful::steps,
};

/// Polls an operation, and may drop it at any point.
async fn or_give_up<F: Future>(operation: F) -> Option<F::Output> {
    let mut operation = pin!(operation);
    poll_fn(|context| match operation.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if thread_rng().gen_ratio(1, 4) => Poll::Ready(None),
        Poll::Pending => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Explores random schedules, and then those with few preemptions (PCT).
fn explore<F: Future<Output = ()> + Send + 'static>(run: fn() -> F) {
    let rounds = std::env::var("SESSION_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    shuttle::check_random(move || block_on(run()), 3_000 * rounds);
    shuttle::check_pct(move || block_on(run()), 3_000 * rounds, 3);
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[test]
fn every_operation_ends() {
    explore(|| async {
        let model = Model::new(NEVER);
        let writes: Vec<_> = (0..).zip(NAMES).map(|(n, name)| (name, model.write(n % 2, name))).collect();
        for (name, write) in writes {
            let outcome = write.await.expect("no panic");
            assert!(outcome.is_ok());
            model.check(name, &outcome);
        }
        model.finish().await;
    });
}

#[test]
fn callers_read_their_writes() {
    explore(|| async {
        let model = Model::new(NEVER);
        let callers: Vec<_> = (0..)
            .zip(&NAMES[..4])
            .map(|(n, name)| {
                let store = model.store.clone();
                spawn(async move {
                    // Some of the reads have equal keys and are in flight at the same time.
                    store.read(&key((n + 1) % 4)).await.expect("a read");
                    store.write(&key(n), content(name), When::Any).await.expect("a write").is_written();
                    let record = store.read(&key(n)).await.expect("a read").expect("it is there");
                    assert_eq!(record.data, name);
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("no panic");
        }
        model.finish().await;
    });
}

#[test]
fn changes_of_one_key_keep_their_order() {
    explore(|| async {
        // The queue has room for all: a caller that finds it full has no place in the order.
        let model = Model::with_queue(NAMES.len(), NEVER);
        let store = model.store.clone();
        let in_order = spawn(async move {
            let write = |data| {
                let store = store.clone();
                async move {
                    let outcome = store.write(&key(0), content(data), When::Any).await;
                    assert!(outcome.expect("a write").is_written());
                }
            };
            // Begun in this order, and must be carried out in this order.
            join(write("a"), join(write("b"), write("c"))).await
        });
        let others = [model.write(0, "d"), model.write(1, "e"), model.write(0, "f")];
        in_order.await.expect("no panic");
        for other in others {
            assert!(other.await.expect("no panic").is_ok());
        }
        let log = model.seen.seen().log.clone();
        let places = ["a", "b", "c"].map(|data| log.iter().position(|(_, written)| written == data));
        assert!(places.is_sorted() && places[0].is_some(), "{log:?}");
        model.finish().await;
    });
}

#[test]
fn changes_on_top_of_each_other_are_exact() {
    explore(|| async {
        let model = Model::new(NEVER);
        let chain = ["a", "b", "c", "d"].map(content);
        let mut when = When::Any;
        let mut links = Vec::new();
        for write in &chain {
            let (store, write) = (model.store.clone(), write.clone());
            links.push(spawn(async move { store.write(&key(0), write, when).await }));
            when = When::Version(chain[links.len() - 1].version);
        }
        let rival = spawn({
            let store = model.store.clone();
            async move {
                for _ in 0..steps() {
                    yield_now().await;
                }
                store.write(&key(0), content("rival"), When::Any).await
            }
        });
        let mut written = Vec::new();
        for (n, link) in links.into_iter().enumerate() {
            match link.await.expect("no panic").expect("a write") {
                WriteOutcome::Written => {
                    assert_eq!(written.len(), n, "what it stands on was not written");
                    written.push(chain[n].data.clone());
                }
                WriteOutcome::Conflict(now) => {
                    let version = now.map(|record| record.version);
                    assert!(version != Some(chain[n - 1].version), "the condition held");
                    assert!(version != Some(chain[n].version), "it was written");
                }
            }
        }
        assert!(rival.await.expect("no panic").expect("a write").is_written());
        let log: Vec<_> = model.seen.seen().log.iter().map(|(_, data)| data.clone()).collect();
        let last = log.last().expect("something was written");
        assert!(last == "rival" || Some(last) == written.last(), "{log:?}, told {written:?}");
        model.finish().await;
    });
}

#[test]
fn deadlines_may_pass_at_any_point() {
    explore(|| async {
        let model = Model::new(ANY_TIME);
        let writes: Vec<_> = (0..).zip(NAMES).map(|(n, name)| (name, model.write(n % 3, name))).collect();
        let mut outcomes = Vec::new();
        for (name, write) in writes {
            outcomes.push((name, write.await.expect("no panic")));
        }
        // A write of unknown outcome may still be carried out until nothing is in flight.
        model.close().await;
        for (name, outcome) in outcomes {
            model.check(name, &outcome);
        }
        model.finish().await;
    });
}

#[test]
fn callers_may_go_away_at_any_point() {
    explore(|| async {
        let model = Model::new(NEVER);
        let mut gone = Vec::new();
        let mut stay = Vec::new();
        for (n, name) in (0..).zip(NAMES) {
            if n % 2 == 0 {
                let store = model.store.clone();
                gone.push(spawn(async move {
                    or_give_up(store.write(&key(n % 3), content(name), When::Any)).await;
                }));
            } else {
                stay.push((name, model.write(n % 3, name)));
            }
        }
        for (name, write) in stay {
            let outcome = write.await.expect("no panic");
            assert!(outcome.is_ok());
            model.check(name, &outcome);
        }
        for gone in gone {
            gone.await.expect("no panic");
        }
        model.finish().await;
    });
}

#[test]
fn a_store_may_panic_at_any_call() {
    explore(|| async {
        let model = Model::new(NEVER);
        model.seen.seen().panics = true;
        let writes: Vec<_> = (0..).zip(NAMES).map(|(n, name)| (name, model.write(n % 3, name))).collect();
        for (name, write) in writes {
            model.check(name, &write.await.expect("no panic here"));
        }
        model.finish().await;
    });
}

#[test]
fn it_may_be_closed_at_any_point() {
    explore(|| async {
        let model = Model::new(NEVER);
        let writes: Vec<_> =
            (0..).zip(&NAMES[..4]).map(|(n, name)| (*name, model.write(n % 2, name))).collect();
        for _ in 0..steps() {
            yield_now().await;
        }
        model.store.close().await.expect("all that began ends");
        let log = model.seen.seen().log.len();
        for (name, write) in writes {
            let outcome = write.await.expect("no panic");
            let closed = |error: &Error| error.kind() == ErrorKind::Closed;
            assert!(outcome.as_ref().err().is_none_or(closed), "{outcome:?}");
            model.check(name, &outcome);
        }
        assert_eq!(model.seen.seen().log.len(), log, "something happened after it was closed");
        model.finish().await;
    });
}
