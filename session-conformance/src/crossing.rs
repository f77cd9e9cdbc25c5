//! Concurrent renames: to each other's key, and to one key.

use std::{sync::Arc, time::Duration};

use session_core::{RenameOutcome, SessionKey, SessionStore, Version, Write};
use tokio::time::timeout;

use crate::{
    Context,
    assertions::{create, ensure_absent, ensure_live, write},
    failure::{Checked, Failure, ensure_eq},
    race::race,
};

/// The timeout for two renames that may block each other.
const PATIENCE: Duration = Duration::from_secs(15);

/// Renames each of two live sessions to the key of the other, through both handles at once. Neither
/// succeeds, and neither waits for the other for ever.
pub(crate) async fn renames_across_change_nothing(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    for round in cx.rounds(200) {
        let (a, b) = keys(cx, round);
        let (of_a, of_b) = (create(&cx.store, &a, "a").await?, create(&cx.store, &b, "b").await?);
        let [first, second] =
            both(&handles, round, (a, b, write("a moved"), of_a), (b, a, write("b moved"), of_b)).await?;
        ensure_eq!(
            (first, second),
            (RenameOutcome::Occupied, RenameOutcome::Occupied),
            "both keys are taken"
        );
        cx.settle().await;
        ensure_live(&cx.store, &a, "a", of_a).await?;
        ensure_live(&cx.store, &b, "b", of_b).await?;
    }
    Ok(())
}

/// Renames two live sessions to one new key, through both handles at once. One of them gets it, and
/// the other stays as it was.
pub(crate) async fn one_of_two_gets_the_key(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    for round in cx.rounds(200) {
        let ((a, new), (b, _)) = (keys(cx, round), keys(cx, round));
        let (of_a, of_b) = (create(&cx.store, &a, "a").await?, create(&cx.store, &b, "b").await?);
        let (from_a, from_b) = (write("from a"), write("from b"));
        let outcomes =
            both(&handles, round, (a, new, from_a.clone(), of_a), (b, new, from_b.clone(), of_b)).await?;
        cx.settle().await;
        let (data, won, gone, stays) = match outcomes {
            [RenameOutcome::Renamed, RenameOutcome::Occupied] => ("from a", from_a, a, (b, "b", of_b)),
            [RenameOutcome::Occupied, RenameOutcome::Renamed] => ("from b", from_b, b, (a, "a", of_a)),
            outcomes => {
                return Err(Failure::new(format!(
                    "of two renames to one key, one must get it: {outcomes:?}"
                )));
            }
        };
        ensure_live(&cx.store, &new, data, won.version).await?;
        ensure_absent(&cx.store, &gone).await?;
        ensure_live(&cx.store, &stays.0, stays.1, stays.2).await?;
    }
    Ok(())
}

/// Two keys, which are of one shard in some of the rounds.
fn keys(cx: &Context, round: u32) -> (SessionKey, SessionKey) {
    if (round / 4).is_multiple_of(2) { cx.pair() } else { (cx.key(), cx.key()) }
}

type Rename = (SessionKey, SessionKey, Write, Version);

async fn both(
    handles: &[Arc<dyn SessionStore>],
    round: u32,
    a: Rename,
    b: Rename,
) -> Checked<[RenameOutcome; 2]> {
    let (first, second) = (handles[0].clone(), handles[handles.len() - 1].clone());
    let racing = race(round, async move { first.rename(&a.0, &a.1, a.2, a.3).await }, async move {
        second.rename(&b.0, &b.1, b.2, b.3).await
    });
    let done = timeout(PATIENCE, racing).await;
    let (a, b) = done.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "two renames at once were not done after {PATIENCE:?}: they wait for each other"
        )))
    })?;
    Ok([a?, b?])
}
