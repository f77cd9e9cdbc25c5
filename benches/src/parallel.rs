//! Threads that begin at the same moment.

use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Runs `work` on `threads` threads and returns the time that the slowest one took.
///
/// First, every thread calls `prepare` with its number, which is not timed. All threads wait for
/// each other before they begin `work`. The result of `work` is dropped after the time was taken.
///
/// # Panics
///
/// When a thread panicked.
pub fn time_slowest<P, R>(
    threads: usize,
    prepare: impl Fn(usize) -> P + Sync,
    work: impl Fn(P) -> R + Sync,
) -> Duration {
    let barrier = Barrier::new(threads);
    let one = |thread| {
        let prepared = prepare(thread);
        barrier.wait();
        let start = Instant::now();
        let result = work(prepared);
        let took = start.elapsed();
        drop(result);
        took
    };
    std::thread::scope(|scope| {
        let one = &one;
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        let times = handles.into_iter().map(|handle| handle.join().expect("no thread panics"));
        times.max().unwrap_or_default()
    })
}
