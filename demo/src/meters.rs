use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SetRecorderError, SharedString, Unit,
};
use metrics_util::{
    registry::{AtomicStorage, Registry},
    storage::Summary,
};
use parking_lot::Mutex;

/// The metrics that the store has reported since the start, for the operators' page.
#[derive(Clone)]
pub(crate) struct Meters(Arc<Inner>);

struct Inner {
    registry: Registry<Key, AtomicStorage>,
    seen: Mutex<Seen>,
}

/// The values of the previous reading.
struct Seen {
    durations: BTreeMap<String, Summary>,
    at: Instant,
    operations: BTreeMap<String, u64>,
    rates: BTreeMap<String, f64>,
}

/// The metrics of one kind of operation.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) operation: String,
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) errors: u64,
    pub(crate) conflicts: u64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

/// The minimum interval of a rate, so that frequent readings do not show noise.
const SHORTEST: Duration = Duration::from_secs(1);

impl Meters {
    /// Installs these meters as the recorder of the process.
    pub(crate) fn install() -> Result<Self, SetRecorderError<Self>> {
        let seen = Seen {
            durations: BTreeMap::new(),
            at: Instant::now(),
            operations: BTreeMap::new(),
            rates: BTreeMap::new(),
        };
        let inner = Inner { registry: Registry::new(AtomicStorage), seen: Mutex::new(seen) };
        let meters = Self(Arc::new(inner));
        metrics::set_global_recorder(meters.clone())?;
        Ok(meters)
    }

    /// The value of a gauge, if it was ever set.
    pub(crate) fn gauge(&self, name: &str) -> Option<f64> {
        let gauges = self.0.registry.get_gauge_handles();
        let (_, value) = gauges.iter().find(|(key, _)| key.name() == name)?;
        Some(f64::from_bits(value.load(Ordering::Relaxed)))
    }

    /// The metrics of all operations that have happened, by name.
    pub(crate) fn operations(&self) -> Vec<Row> {
        let counters = self.0.registry.get_counter_handles();
        let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (key, value) in &counters {
            if let Some(operation) = label(key) {
                *sums.entry((key.name().to_owned(), operation)).or_default() += value.load(Ordering::Relaxed);
            }
        }
        let sum = |name: &str, operation: &str| {
            sums.get(&(name.to_owned(), operation.to_owned())).copied().unwrap_or_default()
        };
        let seen = &mut *self.0.seen.lock();
        for (key, bucket) in self.0.registry.get_histogram_handles() {
            if key.name() == "session_store_duration_seconds"
                && let Some(operation) = label(&key)
            {
                let summary = seen.durations.entry(operation).or_insert_with(Summary::with_defaults);
                bucket.clear_with(|values| values.iter().for_each(|value| summary.add(*value)));
            }
        }
        let elapsed = seen.at.elapsed();
        let counted: BTreeMap<String, u64> = sums
            .iter()
            .filter(|((name, _), count)| name == "session_store_operations_total" && **count > 0)
            .map(|((_, operation), count)| (operation.clone(), *count))
            .collect();
        if elapsed >= SHORTEST {
            let before = |operation: &str| seen.operations.get(operation).copied().unwrap_or_default();
            let rate = |(operation, count): (&String, &u64)| {
                let new = u32::try_from(count - before(operation)).unwrap_or(u32::MAX);
                (operation.clone(), f64::from(new) / elapsed.as_secs_f64())
            };
            seen.rates = counted.iter().map(rate).collect();
            seen.operations.clone_from(&counted);
            seen.at = Instant::now();
        }
        counted
            .into_iter()
            .map(|(operation, count)| {
                let durations = seen.durations.get(&operation);
                let quantile = |q| {
                    durations
                        .and_then(|all| all.quantile(q))
                        .and_then(|s| Duration::try_from_secs_f64(s).ok())
                };
                Row {
                    count,
                    per_second: seen.rates.get(&operation).copied().unwrap_or_default(),
                    errors: sum("session_store_errors_total", &operation),
                    conflicts: sum("session_store_conflicts_total", &operation),
                    p50: quantile(0.5),
                    p99: quantile(0.99),
                    operation,
                }
            })
            .collect()
    }
}

fn label(key: &Key) -> Option<String> {
    key.labels().find(|label| label.key() == "operation").map(|label| label.value().to_owned())
}

impl Recorder for Meters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.registry.get_or_create_counter(key, |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.registry.get_or_create_gauge(key, |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.registry.get_or_create_histogram(key, |histogram| Histogram::from_arc(Arc::clone(histogram)))
    }
}
