//! What is done to a map while the clock runs.

use std::hint::black_box;

use benches::keys::Spread;
use benches::parallel;

use crate::candidates::SessionMap;
use crate::session::{Key, Value};

/// How many inserted sessions a thread keeps before it removes the oldest of them.
const CHURN_BACKLOG: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Look a session up and clone it.
    Read,
    /// Replace a session that has the expected version.
    Write,
    /// Nineteen reads to one write.
    Mixed,
    /// Insert a session and remove one inserted earlier.
    Churn,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Mixed, Self::Churn];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "conditional write",
            Self::Mixed => "95 reads : 5 conditional writes",
            Self::Churn => "insert + remove",
        }
    }

    fn writes(self, number: usize) -> bool {
        match self {
            Self::Read => false,
            Self::Write | Self::Churn => true,
            Self::Mixed => number.is_multiple_of(20),
        }
    }
}

/// The keys of every thread's operations, in order. The operations read them one after another, as a store
/// reads keys that it was just handed, so that fetching a key is not what is measured.
pub(crate) struct Workload {
    kind: Kind,
    keys: Vec<Vec<Key>>,
}

impl Workload {
    /// Draws the keys of `ops` operations for each of `threads` threads on a map of these sessions.
    pub(crate) fn draw(kind: Kind, spread: Spread, sessions: &[Key], threads: usize, ops: usize) -> Self {
        let count = u32::try_from(sessions.len()).expect("far fewer sessions");
        let draw = |thread| {
            let drawn = spread.draw(count, ops, 1 + thread);
            drawn.into_iter().map(|index| sessions[index as usize]).collect()
        };
        // Sessions that are in no map.
        let unused =
            |thread: u64| (0_u64..).take(ops).map(|number| Key::of(((1 + thread) << 32) + number)).collect();
        let threads = (0_u64..).take(threads);
        let keys = threads.map(|thread| if kind == Kind::Churn { unused(thread) } else { draw(thread) });
        Self { kind, keys: keys.collect() }
    }

    /// Nanoseconds that one thread spends on one operation, all threads running at once.
    pub(crate) fn measure(&self, map: &dyn SessionMap) -> f64 {
        let took = parallel::time_slowest(
            self.keys.len(),
            |thread| {
                let keys = &self.keys[thread];
                for key in keys {
                    // After the other maps' turns nothing of this one is cached.
                    black_box(map.read(key));
                }
                (keys, self.values(keys))
            },
            |(keys, values)| match self.kind {
                Kind::Churn => churn(map, keys, values),
                _ => read_and_write(self.kind, map, keys, values),
            },
        );
        took.as_secs_f64() * 1e9 / f64::from(u32::try_from(self.keys[0].len()).expect("far fewer operations"))
    }

    /// The values that the operations on these keys write.
    fn values(&self, keys: &[Key]) -> Vec<Value> {
        let written = (0_u64..).zip(keys).enumerate().filter(|(number, _)| self.kind.writes(*number));
        written.map(|(_, (number, key))| Value::new(key, number)).collect()
    }
}

/// Returns the values that are no longer in the map, to be freed when the clock has stopped.
fn read_and_write(kind: Kind, map: &dyn SessionMap, keys: &[Key], mut values: Vec<Value>) -> Vec<Value> {
    let mut next = values.iter_mut();
    for (number, key) in keys.iter().enumerate() {
        if kind.writes(number) {
            let value = next.next().expect("as many values as writes");
            assert!(map.write_if(key, &key.version(), value), "every version is the expected one");
        } else {
            assert!(black_box(map.read(key)).is_some(), "every session is there");
        }
    }
    values
}

/// Returns the values that are no longer in the map, to be freed when the clock has stopped.
fn churn(map: &dyn SessionMap, keys: &[Key], values: Vec<Value>) -> Vec<Value> {
    let mut removed = Vec::with_capacity(keys.len());
    for (number, (key, value)) in keys.iter().zip(values).enumerate() {
        map.insert(*key, value);
        if let Some(oldest) = number.checked_sub(CHURN_BACKLOG) {
            removed.extend(map.remove(&keys[oldest]));
        }
    }
    let kept = keys.len().saturating_sub(CHURN_BACKLOG);
    removed.extend(keys[kept..].iter().filter_map(|key| map.remove(key)));
    removed
}
