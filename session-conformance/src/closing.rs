//! How close treats calls in flight, dropped calls and waiting listeners.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures_util::{
    StreamExt,
    future::{join, join_all, maybe_done},
};
use session_core::{
    DeleteItem, ErrorKind, Expected, Operation, SessionId, SessionStore, TouchItem, Watch, When, WriteItem,
};
use tokio::time::timeout;

use crate::{
    Context,
    assertions::{create, hour, owned, put, write},
    extensions,
    failure::{Checked, Failure, ensure, ensure_eq},
    operations::{UnderWay, dropped, each_operation, many},
    race::poll_then_drop,
};

/// The timeout of close, and of what it ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins every operation with one or a few polls, closes the store, and checks that all of them
/// finish.
pub(crate) async fn what_has_begun_finishes(cx: &Context) -> Checked {
    for round in cx.rounds(3) {
        let store = cx.another_namespace().await?;
        let key = cx.key();
        put(&store, &key, owned("x", "alice"), When::Absent).await?;
        let mut begun: Vec<_> = each_operation(&*store, key);
        begun.extend(long_batches(&*store));
        begun.extend((0..40).map(|_| {
            many("one of many writes", Operation::Write, 1, async {
                dropped(vec![store.write(&SessionId::generate().key(), write("x"), When::Any).await])
            })
        }));
        let mut early: Vec<_> = begun.iter().map(|_| None).collect();
        // One poll, or some more, so that operations of several steps are included.
        for _ in 0..=round {
            poll_fn(|task| {
                for (call, early) in begun.iter_mut().zip(&mut early).filter(|(_, early)| early.is_none()) {
                    if let Poll::Ready(results) = call.results.as_mut().poll(task) {
                        *early = Some(results);
                    }
                }
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        let finishing = begun.into_iter().zip(early).map(async |(call, early)| {
            let UnderWay { name, results, .. } = call;
            let results = match early {
                Some(results) => results,
                None => timeout(PATIENCE, results).await.map_err(|_| {
                    Failure::new(format!("{name} had begun when the store was closed, and does not end"))
                })?,
            };
            for result in results {
                if let Err(error) = result {
                    return Err(Failure::new(format!(
                        "{name} had begun when the store was closed, and failed: {error}"
                    )));
                }
            }
            Ok(())
        });
        let (closed, again, finished) = tokio::join!(
            timeout(PATIENCE, store.close()),
            timeout(PATIENCE, store.close()),
            join_all(finishing)
        );
        finished.into_iter().collect::<Checked<Vec<()>>>()?;
        for closed in [closed, again] {
            closed.map_err(|_| Failure::new("closing twice does not end while calls are under way"))??;
        }
    }
    Ok(())
}

/// Batches of several round trips. None has begun.
fn long_batches(store: &dyn SessionStore) -> Vec<UnderWay<'_>> {
    const ITEMS: usize = 600;
    let keys = || -> Vec<_> { (0..ITEMS).map(|_| SessionId::generate().key()).collect() };
    vec![
        many("a long write_many", Operation::Write, ITEMS, async move {
            let item = |key| WriteItem { key, write: write("x"), when: When::Any };
            dropped(store.write_many(&keys().into_iter().map(item).collect::<Vec<_>>()).await)
        }),
        many("a long touch_many", Operation::Touch, ITEMS, async move {
            let item = |key| TouchItem { key, ttl: hour() };
            dropped(store.touch_many(&keys().into_iter().map(item).collect::<Vec<_>>()).await)
        }),
        many("a long delete_many", Operation::Delete, ITEMS, async move {
            let item = |key| DeleteItem { key, expected: Expected::Any };
            dropped(store.delete_many(&keys().into_iter().map(item).collect::<Vec<_>>()).await)
        }),
    ]
}

/// Begins every operation, drops it after some polls, and checks that the store can then be closed:
/// a dropped call is not in flight.
pub(crate) async fn what_was_dropped_is_not_waited_for(cx: &Context) -> Checked {
    for polls in cx.rounds(5) {
        let store = cx.another_namespace().await?;
        let key = cx.key();
        put(&store, &key, owned("x", "alice"), When::Absent).await?;
        for call in each_operation(&*store, key) {
            let _ = poll_then_drop(polls, call.results).await;
        }
        let closed = timeout(PATIENCE, store.close()).await;
        closed.map_err(|_| {
            Failure::new(format!("closing does not end when calls were dropped after {polls} polls"))
        })??;
    }
    Ok(())
}

/// Closes the store while a listener waits. Checks that the wait ends, and that no new subscription
/// is possible.
pub(crate) async fn listeners_are_told(cx: &Context) -> Checked {
    let watch = cx.watch()?;
    let mut waiting = watch.subscribe().await?;
    let listener = tokio::spawn(async move { while waiting.next().await.is_some() {} });
    let mut idle = watch.subscribe().await?;
    create(&cx.store, &cx.key(), "x").await?;
    cx.store.close().await?;
    for (what, ended) in [
        ("a stream that was waited for", timeout(PATIENCE, listener).await.is_ok()),
        ("a stream", timeout(PATIENCE, async { while idle.next().await.is_some() {} }).await.is_ok()),
    ] {
        ensure!(ended, "{what} did not end within {PATIENCE:?} of closing the store");
    }
    ensure_nothing_to_hear(watch, "a closed store").await?;
    // The same for a store that had no stream before.
    let store = cx.another_namespace().await?;
    store.close().await?;
    ensure_nothing_to_hear(extensions::watch(&store)?, "a store that was closed before").await
}

async fn ensure_nothing_to_hear(watch: &dyn Watch, what: &str) -> Checked {
    let subscribed = timeout(PATIENCE, watch.subscribe()).await;
    ensure!(subscribed.is_ok(), "subscribe on {what} does not end");
    let kind = subscribed.ok().and_then(Result::err).map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::Closed), "how subscribe fails on {what}");
    Ok(())
}

/// Begins to close a store, and drops that call or lets it wait. Then closes the store again, and
/// checks that it is closed when the second call has returned.
pub(crate) async fn another_close_closes(cx: &Context) -> Checked {
    for round in cx.rounds(12) {
        let store = cx.another_namespace().await?;
        let mut events = extensions::watch(&store)?.subscribe().await?;
        let keys: Vec<_> = (0..8).map(|_| SessionId::generate().key()).collect();
        let asked = |key| Box::pin(maybe_done(store.write(key, write("x"), When::Any)));
        let mut begun: Vec<_> = keys.iter().map(asked).collect();
        for call in &mut begun {
            let _ = poll_then_drop(1, call.as_mut()).await;
        }
        let mut first = Box::pin(maybe_done(store.close()));
        for _ in 0..=round / 2 {
            let _ = poll_then_drop(1, first.as_mut()).await;
            tokio::task::yield_now().await;
        }
        let again = async {
            // Calls in flight continue while their callers wait.
            let (again, _) = join(timeout(PATIENCE, store.close()), join_all(begun)).await;
            again.map_err(|_| {
                Failure::new("close does not end, after another call that was given up or waits")
            })??;
            ensure_nothing_to_hear(extensions::watch(&store)?, "a store whose second close has returned")
                .await
        };
        if round % 2 == 0 {
            drop(first);
            again.await?;
        } else {
            join(first, again).await.1?;
        }
        let ended = timeout(PATIENCE, async { while events.next().await.is_some() {} }).await;
        ensure!(ended.is_ok(), "a stream goes on after the second close has returned");
    }
    Ok(())
}
