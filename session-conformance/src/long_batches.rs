//! Batches of many round trips with a fault in their midst.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use session_core::{
    DeleteItem, DeleteOutcome, Expected, Record, Result, SessionKey, SessionStore, TouchItem, When,
    WriteItem, WriteOutcome,
};
use tokio::time::sleep;

use crate::{
    Context, Fault,
    assertions::{await_service, hour, millis, spin, write},
    failure::{Checked, ensure, ensure_eq},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Creating,
    Touching,
    Deleting,
}

/// If a batch takes longer than this, one round is enough: the fault has met each kind.
const SLOW: Duration = Duration::from_millis(300);

/// Sends a batch of each kind at once over many records, injects a fault in their midst, and
/// compares the result of each item with the stored record.
pub(crate) async fn each_item_of_a_long_batch_is_told_truly(cx: &Context, fault: Fault) -> Checked {
    let broken = cx.breakable().await?;
    // More items than fit into one round trip of any engine, or as many as a store can handle that
    // sends each item separately.
    let len = if fault == Fault::Cut { 1_200 } else { 120 };
    for round in cx.rounds(6) {
        let mut batches = Vec::new();
        let mut usual = Duration::ZERO;
        for kind in [Kind::Creating, Kind::Touching, Kind::Deleting] {
            let keys: Vec<_> = (0..len).map(|_| cx.key()).collect();
            if kind != Kind::Creating {
                let begun = Instant::now();
                for told in make(&*broken.store, &keys, Kind::Creating).await {
                    ensure!(told?, "the keys were free");
                }
                usual = begun.elapsed();
            }
            batches.push((kind, keys));
        }
        let sent = batches.iter().cloned().map(|(kind, keys)| {
            let store: Arc<dyn SessionStore> = broken.store.clone();
            tokio::spawn(async move { make(&*store, &keys, kind).await })
        });
        let sent: Vec<_> = sent.collect();
        let moment = usual.mul_f64(rand::random_range(0.0..1.0));
        spin(moment).await;
        broken.control.inject(fault).await;
        let mut told = Vec::new();
        for batch in sent {
            told.push(batch.await?);
        }
        broken.control.heal(fault).await;
        await_service(&broken).await?;
        sleep(Duration::from_millis(100)).await;
        for ((kind, keys), told) in batches.into_iter().zip(told) {
            ensure_eq!(told.len(), len, "one result for each item");
            let compared = compare(&*broken.store, &keys, told, kind).await;
            compared
                .map_err(|failure| failure.within(&format!("{kind:?}, fault {fault:?}, round {round}")))?;
        }
        if usual > SLOW {
            break;
        }
    }
    Ok(())
}

/// Sends the batch, and returns for each item whether the store reports it as executed.
async fn make(store: &dyn SessionStore, keys: &[SessionKey], kind: Kind) -> Vec<Result<bool>> {
    match kind {
        Kind::Creating => {
            let brief = |key: &SessionKey| {
                let mut write = write("x");
                write.ttl = millis(600_000);
                WriteItem { key: *key, write, when: When::Absent }
            };
            let items: Vec<_> = keys.iter().map(brief).collect();
            let outcomes = store.write_many(&items).await.into_iter();
            outcomes.map(|outcome| Ok(outcome? == WriteOutcome::Written)).collect()
        }
        Kind::Touching => {
            let items: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
            store.touch_many(&items).await
        }
        Kind::Deleting => {
            let delete = |key: &SessionKey| DeleteItem { key: *key, expected: Expected::Any };
            let items: Vec<_> = keys.iter().map(delete).collect();
            let outcomes = store.delete_many(&items).await.into_iter();
            // A resent delete may find the record already deleted.
            outcomes.map(|outcome| Ok(outcome? != DeleteOutcome::Conflict)).collect()
        }
    }
}

fn is_done(kind: Kind, found: Option<&Record>) -> bool {
    match kind {
        Kind::Creating => found.is_some(),
        Kind::Touching => found.is_some_and(|record| record.expires_in > Duration::from_mins(30)),
        Kind::Deleting => found.is_none(),
    }
}

async fn compare(
    store: &dyn SessionStore,
    keys: &[SessionKey],
    told: Vec<Result<bool>>,
    kind: Kind,
) -> Checked {
    for ((at, told), found) in told.into_iter().enumerate().zip(store.read_many(keys).await) {
        let is_done = is_done(kind, found?.as_ref());
        match told {
            Ok(told) => {
                ensure_eq!(told, is_done, "whether item {at} of the batch was carried out, as it is told");
            }
            Err(error) => {
                ensure!(
                    error.is_transient(),
                    "item {at} must be carried out or be Unavailable, not: {error}"
                );
                ensure!(
                    !is_done || error.may_have_applied(),
                    "item {at} was carried out, but the error says: {error}"
                );
            }
        }
    }
    Ok(())
}
