//! The time that a thread was on a processor, which other processes on the machine lengthen far less than what a clock on the wall shows.

use std::{fs, sync::LazyLock, time::Instant};

/// Seconds that the calling thread was on a processor, to about a timer tick: measure tens of milliseconds at least. On systems without
/// `/proc/thread-self/schedstat`, the seconds since this was first called.
pub fn of_this_thread() -> f64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let begin = *BEGIN;
    let nanoseconds = || -> Option<f64> {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split_whitespace().next()?.parse().ok()
    };
    nanoseconds().map_or_else(|| begin.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
