use std::time::Duration;

use futures_util::StreamExt;
use session_core::{Error, ErrorKind, Expected, When};
use tokio::time::timeout;

use crate::{
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    steps::{all, create, hour, live, write},
};

/// Checks that a call on a closed store works, or says that the store is closed.
fn ensure_works_or_closed<T>(result: Result<T, Error>) -> Checked {
    if let Err(error) = result {
        ensure_eq!(error.kind(), ErrorKind::Closed, "a closed store must say that it is closed, not: {error}");
    }
    Ok(())
}

cases! {
    promise Close;

    /// Closing works, also a second time, and afterwards every call works or fails as `Closed`.
    async fn closing_is_an_end(cx) {
        let (key, new) = cx.pair();
        let version = create(&cx.store, &key, "x").await?;
        for _ in 0..2 {
            cx.store.close().await?;
        }
        ensure_works_or_closed(cx.store.read(&key).await)?;
        ensure_works_or_closed(cx.store.write(&key, write("y"), When::Any).await)?;
        ensure_works_or_closed(cx.store.touch(&key, hour()).await)?;
        ensure_works_or_closed(cx.store.rename(&key, &new, write("z"), version).await)?;
        ensure_works_or_closed(cx.store.delete(&key, Expected::Any).await)?;
        ensure_works_or_closed(cx.store.ping().await)?;
        for found in cx.store.read_many(&[key, new]).await {
            ensure_works_or_closed(found)?;
        }
        for deleted in cx.store.delete_many(&[]).await {
            ensure_works_or_closed(deleted)?;
        }
    }

    /// Calls that are under way when the store is closed finish, or fail as `Closed`, and none is cut off.
    async fn what_is_under_way_finishes(cx) {
        for _ in 0..4 {
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

    /// What was acknowledged before the store was closed is there for another handle.
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
                // The second handle is the same store.
                Err(error) => ensure_works_or_closed::<()>(Err(error))?,
            }
        }
    }

    /// Streams of events end when the store is closed.
    #[needs(Watch)]
    async fn streams_end(cx) {
        let mut events = cx.watch()?.subscribe().await?;
        create(&cx.store, &cx.key(), "x").await?;
        cx.store.close().await?;
        let end = timeout(Duration::from_secs(10), async { while events.next().await.is_some() {} }).await;
        ensure!(end.is_ok(), "a stream did not end within 10 s of closing the store");
        ensure_works_or_closed(cx.watch()?.subscribe().await.map(drop))?;
    }
}
