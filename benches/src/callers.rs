//! Concurrent callers, each of whom waits for an answer before it asks again.

use std::{future::Future, sync::Arc, time::Instant};

/// What one run of some callers showed.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Operations in a second.
    pub throughput: f64,
    /// The time that half of the operations took at most, in microseconds.
    pub p50: f64,
    /// The time that 99 of 100 operations took at most, in microseconds.
    pub p99: f64,
}

/// Lets so many callers carry out `operations` operations together, numbered from zero: each its own share of the numbers, one after the other.
///
/// # Panics
///
/// When an operation does, or when there is none for a caller.
#[expect(clippy::cast_precision_loss, reason = "counts of operations are far below 2^52")]
pub async fn run<F, O>(callers: usize, operations: usize, operation: F) -> Run
where
    F: Fn(usize) -> O + Send + Sync + 'static,
    O: Future<Output = ()> + Send,
{
    let operation = Arc::new(operation);
    assert!(operations >= callers, "there is an operation for each caller");
    let begin = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let operation = Arc::clone(&operation);
            let share = caller * operations / callers..(caller + 1) * operations / callers;
            tokio::spawn(async move {
                let mut times = Vec::with_capacity(share.len());
                for number in share {
                    let begin = Instant::now();
                    operation(number).await;
                    times.push(begin.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::with_capacity(operations);
    for caller in callers {
        times.extend(caller.await.expect("no operation panics"));
    }
    let seconds = begin.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    Run { throughput: times.len() as f64 / seconds, p50: at(50), p99: at(99) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn every_number_comes_once() {
        static SEEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
        let run = run(7, 100, move |number| async move { SEEN.lock().expect("no panic").push(number) }).await;
        let mut seen = SEEN.lock().expect("no panic").clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert!(run.throughput > 0.0 && run.p50 <= run.p99);
    }
}
