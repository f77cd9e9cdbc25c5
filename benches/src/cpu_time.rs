//! The processor time of a thread. Other processes on the machine lengthen it far less than
//! wall-clock time.

use std::{fs, sync::LazyLock, time::Instant};

/// Seconds of processor time of the calling thread, accurate to about a timer tick.
///
/// Measure tens of milliseconds at least. On systems without `/proc/thread-self/schedstat`, the
/// seconds since the first call.
pub fn of_this_thread() -> f64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let begin = *BEGIN;
    let nanoseconds = || -> Option<f64> {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split_whitespace().next()?.parse().ok()
    };
    nanoseconds().map_or_else(|| begin.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
