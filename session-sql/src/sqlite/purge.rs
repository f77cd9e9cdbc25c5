use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

use super::core::Core;

/// The maximum number of records that one statement frees, so that writers do not wait long for the
/// write lock.
const BATCH: usize = 500;

/// The pause between two batches, for writers.
const PAUSE: Duration = Duration::from_millis(5);

/// Frees expired records periodically, until the store is closed or its last handle is dropped. Any
/// number of processes may do so.
pub(crate) fn start(core: &Arc<Core>, interval: Duration) {
    let closed = core.closed.subscribe();
    tokio::spawn(run(Arc::downgrade(core), closed, interval));
}

async fn run(core: Weak<Core>, mut closed: watch::Receiver<bool>, interval: Duration) {
    loop {
        // Jitter, so that processes that were started together do not purge together.
        let wait = interval.mul_f64(rand::random_range(0.8..1.2));
        tokio::select! {
            () = sleep(wait) => {}
            // An error means that the last handle was dropped.
            _ = closed.wait_for(|closed| *closed) => return,
        }
        loop {
            let Some(core) = core.upgrade() else { return };
            match core.purge(BATCH).await {
                Ok(purged) if purged.looked_at == BATCH => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired sessions could not be purged; the next round tries again");
                    break;
                }
            }
            drop(core);
            sleep(PAUSE).await;
        }
    }
}
