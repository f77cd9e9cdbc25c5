use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rand::{SeedableRng as _, rngs::SmallRng};
use rand_distr::{Distribution as _, Exp};
use tokio::{runtime::Handle, sync::Semaphore};

use super::{Load, Slice, slice};

/// Maximum number of operations in flight. Further arrivals wait, and their latency counts from
/// their scheduled time.
const UNDER_WAY: u32 = 8_192;

/// Number of latency counters, so that tasks seldom contend.
const COUNTERS: usize = 16;

/// The open loop: operations arrive at random moments (Poisson) at this average rate per second,
/// whether or not earlier ones are done.
///
/// A latency counts from the scheduled time of the operation. An operation that waits behind a slow
/// one shows that wait, so slowness of the store cannot hide itself (coordinated omission).
///
/// # Panics
///
/// If an operation panics. Candidates return errors instead.
pub async fn run(
    load: &Load,
    rate: f64,
    duration: Duration,
    server: Option<u32>,
    next: &Arc<AtomicUsize>,
) -> Slice {
    let counters: Arc<Vec<Mutex<Slice>>> = Arc::new((0..COUNTERS).map(|_| Mutex::default()).collect());
    slice::watched(server, async {
        let (load, next, to_fill) = (load.clone(), Arc::clone(next), Arc::clone(&counters));
        let arrivals = move || arrive(&load, rate, duration, &next, &to_fill);
        tokio::task::spawn_blocking(arrivals).await.expect("no panic");
        let mut all = Slice::default();
        for counter in counters.iter() {
            all.add(std::mem::take(&mut *counter.lock()));
        }
        all
    })
    .await
}

/// Starts the operations, on its own thread: a timer of the runtime is only exact to a millisecond.
fn arrive(load: &Load, rate: f64, duration: Duration, next: &AtomicUsize, counters: &Arc<Vec<Mutex<Slice>>>) {
    let runtime = Handle::current();
    let under_way = Arc::new(Semaphore::new(UNDER_WAY as usize));
    let between = Exp::new(rate.max(1.0)).expect("a rate is positive");
    let mut rng = SmallRng::seed_from_u64(7);
    let begin = Instant::now();
    let mut due = begin;
    while due - begin < duration {
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        }
        let place = loop {
            if let Ok(place) = Arc::clone(&under_way).try_acquire_owned() {
                break place;
            }
            thread::sleep(Duration::from_micros(50));
        };
        let (load, counters, number) =
            (load.clone(), Arc::clone(counters), next.fetch_add(1, Ordering::Relaxed));
        runtime.spawn(async move {
            let outcome = load.operate(number).await;
            let latency = due.elapsed();
            counters[number % COUNTERS].lock().record(latency, outcome);
            drop(place);
        });
        due += Duration::from_secs_f64(between.sample(&mut rng));
    }
    // Waits for the operations in flight.
    drop(runtime.block_on(under_way.acquire_many(UNDER_WAY)));
}
