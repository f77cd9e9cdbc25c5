//! Read-only calls whose reply a fault hides: the store must return an error or the true answer.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, try_join_all};
use session_core::{Error, SessionKey, SessionStore, When, WriteItem};

use crate::{
    Context, Fault,
    assertions::{await_service, owned, owner},
    failure::{Checked, ensure},
};

/// Makes every read-only call while a fault begins, and checks that the answers are true.
pub(crate) async fn each_question_is_answered_truly(cx: &Context, fault: Fault, usual: u32) -> Checked {
    let broken = cx.breakable().await?;
    let items: Vec<_> =
        (0..5).map(|_| WriteItem { key: cx.key(), write: owned("x", "alice"), when: When::Absent }).collect();
    for outcome in broken.store.write_many(&items).await {
        let _ = outcome?;
    }
    let keys: Vec<_> = items.iter().map(|item| item.key).collect();
    for round in cx.rounds(usual) {
        let (store, asked) = (broken.store.clone(), keys.clone());
        let before = round % 2 == 0;
        if before {
            broken.control.inject(fault).await;
        }
        let asking = tokio::spawn(async move { ask(&*store, &asked).await });
        if !before {
            tokio::task::yield_now().await;
            broken.control.inject(fault).await;
        }
        asking.await??;
        broken.control.heal(fault).await;
        await_service(&broken).await?;
    }
    Ok(())
}

/// Makes all calls at once, because some of them wait for the deadline.
async fn ask(store: &dyn SessionStore, keys: &[SessionKey]) -> Checked {
    let mut asking: Vec<BoxFuture<'_, Checked>> = Vec::new();
    for key in keys {
        asking.push(Box::pin(async move { check("read", store.read(key).await, Option::is_some) }));
    }
    asking.push(Box::pin(async move {
        for found in store.read_many(keys).await {
            check("a batched read", found, Option::is_some)?;
        }
        Ok(())
    }));
    if let Some(owners) = store.owners() {
        asking.push(Box::pin(async move {
            let all: BTreeSet<_> = keys.iter().copied().collect();
            check("the list of an owner", owners.list(&owner("alice")).await, |listed| {
                listed.iter().copied().collect::<BTreeSet<_>>() == all
            })
        }));
        asking.push(Box::pin(async move {
            let count = owners.count(&owner("alice")).await;
            check("the count of an owner", count, |count| *count == keys.len() as u64)
        }));
    }
    if let Some(maintenance) = store.maintenance() {
        asking.push(Box::pin(async move {
            check("a count", maintenance.count().await, |count| *count >= keys.len() as u64)
        }));
        asking.push(Box::pin(async move {
            check("a page", maintenance.page(None, 10_000).await, |page| {
                page.next.is_some()
                    || keys.iter().all(|key| page.records.iter().any(|(listed, _)| listed == key))
            })
        }));
    }
    try_join_all(asking).await.map(drop)
}

fn check<T>(what: &str, answer: Result<T, Error>, is_true: impl Fn(&T) -> bool) -> Checked {
    match answer {
        Ok(answer) => {
            ensure!(is_true(&answer), "{what} gave a wrong answer when a fault took the right one away");
        }
        Err(error) => {
            ensure!(error.is_transient(), "{what} must be answered or be Unavailable, not: {error}");
        }
    }
    Ok(())
}
