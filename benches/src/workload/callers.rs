use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{Load, Slice, slice};

/// A caller yields after this many operations, because an in-memory store never makes it wait.
const TURN: usize = 32;

/// The closed loop: each caller waits for an answer before it begins the next operation.
///
/// `server` is the process whose processor time is counted. The operation numbers continue from one
/// run to the next, so that runs do not repeat the same operations.
///
/// # Panics
///
/// If an operation panics. Candidates return errors instead.
pub async fn run(
    load: &Load,
    callers: usize,
    duration: Duration,
    server: Option<u32>,
    next: &Arc<AtomicUsize>,
) -> Slice {
    slice::watched(server, async {
        let end = Instant::now() + duration;
        let mut running = JoinSet::new();
        for _ in 0..callers {
            let (load, next) = (load.clone(), Arc::clone(next));
            running.spawn(async move {
                let mut slice = Slice::default();
                for turn in 1_usize.. {
                    let begin = Instant::now();
                    let outcome = load.operate(next.fetch_add(1, Ordering::Relaxed)).await;
                    let latency = begin.elapsed();
                    slice.record(latency, outcome);
                    // Checked after the operation: on a busy machine, a caller may begin only when
                    // a short slice is over.
                    if begin + latency >= end {
                        break;
                    }
                    if turn.is_multiple_of(TURN) {
                        tokio::task::yield_now().await;
                    }
                }
                slice
            });
        }
        let mut all = Slice::default();
        while let Some(slice) = running.join_next().await {
            all.add(slice.expect("no operation panics"));
        }
        all
    })
    .await
}
