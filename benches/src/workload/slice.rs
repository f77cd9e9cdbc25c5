use std::{
    future::Future,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{candidate::Error, engine::cpu};

/// The results of one short run.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Latencies of the successful operations, in nanoseconds, accurate to 1 %.
    pub latencies: Histogram<u64>,
    /// The number of failed operations.
    pub failed: u64,
    /// The error of the first failure.
    pub first_failure: Option<String>,
    /// The number of conflicts that were met and resolved.
    pub conflicts: u64,
    /// The duration, until the last operation had ended.
    pub took: Duration,
    /// The processor time of this process during the run.
    pub client_cpu: Duration,
    /// The processor time of the server during the run, if this program launched it.
    pub server_cpu: Option<Duration>,
}

impl Default for Slice {
    fn default() -> Self {
        Self {
            latencies: Histogram::new(2).expect("two digits are possible"),
            failed: 0,
            first_failure: None,
            conflicts: 0,
            took: Duration::ZERO,
            client_cpu: Duration::ZERO,
            server_cpu: None,
        }
    }
}

impl Slice {
    /// Records one operation.
    ///
    /// # Panics
    ///
    /// Never: an hour fits.
    pub fn record(&mut self, latency: Duration, outcome: Result<u32, Error>) {
        match outcome {
            Ok(conflicts) => {
                self.conflicts += u64::from(conflicts);
                // No operation takes more than an hour. A histogram cannot record zero.
                let nanoseconds =
                    u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).clamp(1, 3_600_000_000_000);
                self.latencies.record(nanoseconds).expect("a histogram of two digits grows to an hour");
            }
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Adds the results of another concurrent caller.
    ///
    /// # Panics
    ///
    /// Never: both histograms grow as needed.
    pub fn add(&mut self, other: Self) {
        self.latencies.add(&other.latencies).expect("both grow as they must");
        self.failed += other.failed;
        self.conflicts += other.conflicts;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// The number of successful operations.
    pub fn operations(&self) -> u64 {
        self.latencies.len()
    }

    /// Successful operations per second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn throughput(&self) -> f64 {
        self.operations() as f64 / self.took.as_secs_f64()
    }

    /// The latency at this quantile, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "an hour in nanoseconds is far below 2^52")]
    pub fn at(&self, part: f64) -> f64 {
        self.latencies.value_at_quantile(part) as f64 / 1e3
    }

    /// This processor time per operation, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.operations().max(1) as f64
    }
}

/// Runs `callers`, and adds the duration and the processor time.
pub(super) async fn watched(server: Option<u32>, callers: impl Future<Output = Slice>) -> Slice {
    let before = (cpu::of_this_process(), server.map(cpu::of_tree));
    let begin = Instant::now();
    let mut slice = callers.await;
    slice.took = begin.elapsed();
    slice.client_cpu = cpu::of_this_process().saturating_sub(before.0);
    slice.server_cpu = server.zip(before.1).map(|(pid, before)| cpu::of_tree(pid).saturating_sub(before));
    slice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_callers() {
        let mut all = Slice::default();
        for caller in 0..4 {
            let mut slice = Slice::default();
            for operation in 0..25 {
                slice.record(Duration::from_micros(caller * 25 + operation + 1), Ok(1));
            }
            slice.record(Duration::from_secs(9), Err("refused".into()));
            all.add(slice);
        }
        assert_eq!((all.operations(), all.failed, all.conflicts), (100, 4, 100));
        assert_eq!(all.first_failure.as_deref(), Some("refused"));
        assert!((all.at(0.5) - 50.0).abs() <= 1.0, "{}", all.at(0.5));
        assert!((all.at(0.99) - 99.0).abs() <= 1.0, "{}", all.at(0.99));
    }
}
