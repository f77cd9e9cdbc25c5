//! The store against the map that it is built on.

use benches::keys::Spread;
use benches::rounds;
use benches::summary::Summary;
use benches::table::Table;

use crate::kind::Kind;
use crate::raw_map::RawMap;
use crate::session;
use crate::sessions::Sessions as _;
use crate::the_store::TheStore;
use crate::workload::Workload;

#[derive(Clone, Copy)]
enum Which {
    Map,
    Store,
}

/// Measures all operations on both, and prints a table for each number of threads.
///
/// A time of the store includes the call through `dyn SessionStore`, the future's allocation and
/// its one poll, the lock, the clock, and the copy of the record or the outcome and its drop. It
/// does not include the key and the data, which are made before. Unless stated, it includes drawing
/// the version of a write.
///
/// The map has no clock. In a loop like this one, the processor begins the next operation before
/// the last one has ended. It cannot do that across a reading of the clock.
pub(crate) fn report(sessions: u32, rounds: usize, ops: usize) {
    let keys: Vec<_> = (0..u64::from(sessions)).map(session::key).collect();
    let (map, store) = (RawMap::new(), TheStore::new());
    for (number, key) in (0..).zip(&keys) {
        assert!(map.create(key, session::creation(key, number)), "every key is a new one");
        assert!(store.create(key, session::creation(key, number)), "every key is a new one");
    }
    for threads in [1, 2] {
        let title = format!(
            "MemoryStore against its bare map: ns/op of one thread, {threads} at work, {sessions} sessions of {} \
             bytes, {rounds} rounds",
            session::DATA_LEN,
        );
        let headings =
            ["operation", "keys", "map", "quartiles", "store", "quartiles", "ratio", "quartiles", "bar", ""];
        let mut table = Table::new(title, &headings);
        for (kind, spread) in cases() {
            let workload = Workload::draw(kind, spread, &keys, threads, ops / threads);
            let series = rounds::series(rounds, &[Which::Map, Which::Store], |which| match which {
                Which::Map => workload.measure(&map),
                Which::Store => workload.measure(&store),
            });
            table.row(row(kind, spread, &series));
        }
        table.print();
    }
}

fn cases() -> impl Iterator<Item = (Kind, Spread)> {
    let all = Kind::ALL.into_iter().flat_map(|kind| Spread::ALL.map(|spread| (kind, spread)));
    all.filter(|(kind, spread)| !kind.is_of_new_sessions() || *spread == Spread::Uniform)
}

fn row(kind: Kind, spread: Spread, series: &[Vec<f64>]) -> Vec<String> {
    let ratio = Summary::of_ratios(&series[1], &series[0]);
    let keys = if kind.is_of_new_sessions() { "new" } else { spread.name() };
    let mut row = vec![kind.name().to_owned(), keys.to_owned()];
    for series in series {
        let ns = Summary::of(series.clone());
        row.extend([format!("{:.0}", ns.median), ns.quartiles()]);
    }
    row.extend([format!("{:.2}", ratio.median), ratio.quartiles_to(2)]);
    if let Some(bar) = kind.bar() {
        let met = if ratio.median <= bar { "met" } else { "missed" };
        row.extend([format!("<= {bar}"), met.to_owned()]);
    }
    row
}
