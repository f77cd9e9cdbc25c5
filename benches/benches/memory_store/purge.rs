//! The cost of freeing expired sessions.

use std::thread;
use std::time::{Duration, Instant};

use benches::executor::block_on;
use benches::rounds;
use benches::summary::Summary;
use benches::table::Table;
use session_core::{SessionKey, Ttl, When, Write};

use crate::session;
use crate::the_store::TheStore;

/// A store in which some sessions have expired.
struct Case {
    store: TheStore,
    stored: u32,
    expiring: Vec<SessionKey>,
}

/// Frees the same numbers of sessions from stores of different sizes, and prints a table.
///
/// The expired ones are scattered over all parts of the store. The time includes returning their
/// data to the allocator.
pub(crate) fn report(rounds: usize, scale: u32) {
    let cases = [(1_000_000, 1_000), (1_000_000, 10_000), (100_000, 1_000), (100_000, 10_000)]
        .map(|(stored, expired)| Case::new(stored / scale, expired / scale));
    let measured = rounds::interleave(rounds, &cases, Case::measure);
    let title = format!("purge: the time to free what has expired, {rounds} rounds");
    let mut table =
        Table::new(title, &["stored", "expired", "total: us", "quartiles", "per freed: ns", "quartiles"]);
    for (case, total) in cases.iter().zip(measured) {
        let count = case.expiring.len();
        let each = Summary::of_ratios(
            &[total.lower_quartile, total.median, total.upper_quartile].map(|us| us * 1e3),
            &[f64::from(u32::try_from(count).expect("it was a u32")); 3],
        );
        table.row([
            case.stored.to_string(),
            count.to_string(),
            format!("{:.0}", total.median),
            total.quartiles(),
            format!("{:.0}", each.median),
            format!("{:.0}..{:.0}", each.lowest, each.highest),
        ]);
    }
    table.print();
}

impl Case {
    /// Stores the sessions that will not expire.
    fn new(stored: u32, expired: u32) -> Self {
        let store = TheStore::new();
        let live = u64::from(stored - expired);
        for number in 0..live {
            let key = session::key(number);
            assert!(
                store.write(&key, session::creation(&key, number), When::Absent),
                "every key is a new one"
            );
        }
        let expiring = (live..u64::from(stored)).map(session::key).collect();
        Self { store, stored, expiring }
    }

    /// Stores the sessions that expire, waits for that, and returns the microseconds that freeing
    /// them takes.
    fn measure(&self) -> f64 {
        for (number, key) in (0..).zip(&self.expiring) {
            let write = Write { ttl: Ttl::MIN, ..session::creation(key, number) };
            assert!(self.store.write(key, write, When::Absent), "those of the last round were freed");
        }
        thread::sleep(Ttl::MIN.as_duration() + Duration::from_millis(1));
        let maintenance = self.store.0.maintenance().expect("the store can be maintained");
        let start = Instant::now();
        let freed = block_on(maintenance.purge_expired(usize::MAX)).expect("it cannot fail");
        let took = start.elapsed();
        assert_eq!(
            usize::try_from(freed),
            Ok(self.expiring.len()),
            "what has expired was freed, and nothing else"
        );
        took.as_secs_f64() * 1e6
    }
}
