use std::time::Duration;

use session_core::{Error, ErrorKind, When};
use tokio::time::timeout;

use crate::{
    Capability,
    events::hear_of,
    closing::{another_close_closes, listeners_are_told, what_has_begun_finishes, what_was_dropped_is_not_waited_for},
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    operations::{UnderWay, each_operation},
    assertions::{all, create, live, put, write},
};

/// Checks that a call on a closed store works, or fails as `Closed`.
fn ensure_works_or_closed<T>(result: Result<T, Error>) -> Checked {
    if let Err(error) = result {
        ensure_eq!(error.kind(), ErrorKind::Closed, "a closed store must say that it is closed, not: {error}");
    }
    Ok(())
}

cases! {
    promise Close;

    /// Closing works, also a second time. Afterwards every call works or fails as `Closed`.
    async fn closing_is_an_end(cx) {
        let (key, new) = cx.pair();
        let version = create(&cx.store, &key, "x").await?;
        for _ in 0..2 {
            cx.store.close().await?;
        }
        for (n, key) in [key, new].into_iter().enumerate() {
            for UnderWay { name, operation, items, results, .. } in each_operation(&*cx.store, key) {
                let results = timeout(Duration::from_secs(10), results).await;
                ensure!(results.is_ok(), "{name} on a closed store does not end");
                let results = results.unwrap_or_default();
                ensure_eq!(results.len(), items, "the results of {name} on a closed store ({n})");
                for result in results {
                    if let Err(error) = &result {
                        ensure_eq!(error.operation(), operation, "what the error of {name} names");
                    }
                    ensure_works_or_closed(result).map_err(|failure| failure.within(name))?;
                }
            }
        }
        ensure_works_or_closed(cx.store.rename(&key, &new, write("z"), version).await)?;
        cx.store.close().await?;
    }

    /// Calls in flight when the store is closed finish or fail as `Closed`, and none is cut off.
    async fn what_is_under_way_finishes(cx) {
        for _ in cx.rounds(4) {
            let store = cx.another_namespace().await?;
            let callers = (0..64).map(|_| {
                let (store, key) = (store.clone(), cx.key());
                async move {
                    let written = store.write(&key, write("x"), When::Any).await;
                    let seen = store.read(&key).await;
                    if let (Ok(_), Ok(found)) = (&written, &seen) {
                        ensure!(found.is_some(), "a write was acknowledged, and then lost");
                    }
                    ensure_works_or_closed(written)?;
                    ensure_works_or_closed(seen)
                }
            });
            let callers = tokio::spawn(all::<Checked, _>(callers.collect::<Vec<_>>()));
            tokio::task::yield_now().await;
            store.close().await?;
            for done in callers.await?? {
                done?;
            }
        }
    }

    /// A change that was acknowledged before the store was closed is visible to another handle.
    #[needs(SecondHandle)]
    async fn nothing_acknowledged_is_lost(cx) {
        let (other, keys) = (cx.second().await?, [(); 32].map(|()| cx.key()));
        for key in &keys {
            create(&cx.store, key, "x").await?;
        }
        cx.store.close().await?;
        for key in &keys {
            match other.read(key).await {
                Ok(_) => drop(live(&other, key).await?),
                // The second handle may be the same store.
                Err(error) => ensure_works_or_closed::<()>(Err(error))?,
            }
        }
    }

    /// Event streams end when the store is closed, even one that a listener waits for, and no new
    /// ones begin.
    #[needs(Watch)]
    async fn streams_end(cx) {
        listeners_are_told(&cx).await?;
    }

    /// When a call of `close` has returned, the store is closed, whatever happened to an earlier
    /// one.
    #[needs(Watch)]
    async fn a_second_close_closes(cx) {
        another_close_closes(&cx).await?;
    }

    /// Every operation that has begun before the store is closed finishes.
    async fn each_operation_that_has_begun_finishes(cx) {
        what_has_begun_finishes(&cx).await?;
    }

    /// A dropped call of any operation does not prevent the store from being closed.
    async fn dropped_calls_are_not_waited_for(cx) {
        what_was_dropped_is_not_waited_for(&cx).await?;
    }

    /// Closing a store does not affect the store of another namespace.
    async fn other_namespaces_stay_open(cx) {
        let other = cx.another_namespace().await?;
        create(&cx.store, &cx.key(), "before").await?;
        let mut events = match cx.store.watch().filter(|_| cx.has(Capability::Watch)) {
            Some(watch) => Some(watch.subscribe().await?),
            None => None,
        };
        other.close().await?;
        let key = cx.key();
        let seen = create(&cx.store, &key, "after").await?;
        if let Some(events) = &mut events {
            hear_of(events, key, "a change after another store was closed").await?;
        }
        put(&cx.store, &key, write("later"), When::Version(seen)).await?;
        ensure_eq!(live(&cx.store, &key).await?.data, b"later"[..], "the store that was not closed");
        cx.store.ping().await?;
    }
}
