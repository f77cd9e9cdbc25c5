use std::{
    future::Future,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{candidate::Error, engine::cpu};

/// What a run of a fraction of a second showed.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Latencies of the operations that succeeded, in nanoseconds, to one part in a hundred.
    pub latencies: Histogram<u64>,
    /// How many failed.
    pub failed: u64,
    /// What the first of those said.
    pub first_failure: Option<String>,
    /// How many conflicts were met, and overcome.
    pub conflicts: u64,
    /// How long it took, until the last operation had ended.
    pub took: Duration,
    /// The processor time of this process meanwhile.
    pub client_cpu: Duration,
    /// The processor time of the server meanwhile, if we launched it.
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
    /// Counts one operation.
    ///
    /// # Panics
    ///
    /// Never: an hour fits.
    pub fn record(&mut self, latency: Duration, outcome: Result<u32, Error>) {
        match outcome {
            Ok(conflicts) => {
                self.conflicts += u64::from(conflicts);
                // An hour is more than any takes. Zero is not in the range of a histogram.
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

    /// Adds what another caller has seen at the same time.
    ///
    /// # Panics
    ///
    /// Never: both grow as they must.
    pub fn add(&mut self, other: Self) {
        self.latencies.add(&other.latencies).expect("both grow as they must");
        self.failed += other.failed;
        self.conflicts += other.conflicts;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// How many operations succeeded.
    pub fn operations(&self) -> u64 {
        self.latencies.len()
    }

    /// Operations in a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn throughput(&self) -> f64 {
        self.operations() as f64 / self.took.as_secs_f64()
    }

    /// The latency that such a part of the operations had at most, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "an hour in nanoseconds is far below 2^52")]
    pub fn at(&self, part: f64) -> f64 {
        self.latencies.value_at_quantile(part) as f64 / 1e3
    }

    /// So much processor time for each operation, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.operations().max(1) as f64
    }
}

/// Runs `callers`, and adds how long they took and what it cost the machine.
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
