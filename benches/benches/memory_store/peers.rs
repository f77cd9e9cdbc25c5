//! The store against the `MemoryStore` of `tower-sessions`.

use benches::keys::Spread;
use benches::summary::Summary;
use benches::table::Table;
use benches::{parallel, rounds};

use crate::tower::{Both, Names, Save};

/// The target ratio of our operations per second to theirs.
const BAR: f64 = 25.0;

/// The operations: reads or writes, of their store, of ours, and of ours with the encoding or
/// decoding that theirs avoids because it keeps decoded values.
#[derive(Clone, Copy)]
enum Contest {
    Reads([fn(&Both, &Names); 3]),
    Writes([fn(&Both, &mut Save); 3]),
}

const CONTESTS: [(&str, Contest); 2] = [
    ("load : read", Contest::Reads([Both::load_theirs, Both::read_ours, Both::read_ours_and_decode])),
    (
        "save : conditional write",
        Contest::Writes([Both::save_theirs, Both::write_ours, Both::encode_and_write_ours]),
    ),
];

/// Runs the comparisons and prints a table for each number of threads.
pub(crate) fn report(sessions: u32, rounds: usize, ops: usize) {
    let (both, names) = Both::with(sessions);
    for threads in [1, 2] {
        let title = format!(
            "tower-sessions' MemoryStore against ours: ns/op of one thread, {threads} at work, {sessions} sessions \
             of {} bytes as JSON, {rounds} rounds",
            both.mean_len(&names),
        );
        let headings = [
            "operation",
            "keys",
            "theirs",
            "quartiles",
            "ours",
            "quartiles",
            "times the ops/s",
            "quartiles",
            "bar",
            "",
        ];
        let mut table = Table::new(title, &headings);
        for (name, contest) in CONTESTS {
            for spread in Spread::ALL {
                let keys = draw(&names, spread, threads, ops / threads);
                let series =
                    rounds::series(rounds, &[0, 1, 2], |&candidate| contest.measure(candidate, &both, &keys));
                let what = format!("{name}, bytes");
                table.row(row(what, spread, &series[0], &series[1]).chain(judge(&series[0], &series[1])));
                let what = format!("{name}, JSON");
                table.row(row(what, spread, &series[0], &series[2]));
            }
        }
        table.print();
    }
    note();
}

/// The sessions of every thread's operations, in order. No two threads share a session, because a
/// conditional write must know what was written before.
fn draw(names: &[Names], spread: Spread, threads: usize, ops: usize) -> Vec<Vec<&Names>> {
    let count = u32::try_from(names.len() / threads).expect("far fewer sessions");
    let draw = |thread| {
        let drawn = spread.draw(count, ops, 1 + thread as u64).into_iter();
        drawn.map(|index| &names[index as usize * threads + thread]).collect()
    };
    (0..threads).map(draw).collect()
}

impl Contest {
    /// Nanoseconds per operation and thread, with all threads running at once.
    fn measure(self, candidate: usize, both: &Both, keys: &[Vec<&Names>]) -> f64 {
        let took = match self {
            Self::Reads(reads) => {
                let read = |names: &[&Names]| names.iter().for_each(|names| reads[candidate](both, names));
                let warm = |thread: usize| {
                    read(&keys[thread]);
                    keys[thread].as_slice()
                };
                parallel::time_slowest(keys.len(), warm, read)
            }
            Self::Writes(writes) => {
                let prepare = |thread: usize| both.saves(keys[thread].iter().copied());
                // The saves are returned, to be freed after the timing.
                let write = |mut saves: Vec<Save>| {
                    for save in &mut saves {
                        writes[candidate](both, save);
                    }
                    saves
                };
                parallel::time_slowest(keys.len(), prepare, write)
            }
        };
        took.as_secs_f64() * 1e9 / f64::from(u32::try_from(keys[0].len()).expect("far fewer operations"))
    }
}

fn row(what: String, spread: Spread, theirs: &[f64], ours: &[f64]) -> impl Iterator<Item = String> {
    let ratio = Summary::of_ratios(theirs, ours);
    let times = [theirs, ours].into_iter().flat_map(|series| {
        let ns = Summary::of(series.to_vec());
        [format!("{:.0}", ns.median), ns.quartiles()]
    });
    let ratio = [format!("{:.1}", ratio.median), ratio.quartiles_to(1)];
    [what, spread.name().to_owned()].into_iter().chain(times.collect::<Vec<_>>()).chain(ratio)
}

fn judge(theirs: &[f64], ours: &[f64]) -> [String; 2] {
    let met = Summary::of_ratios(theirs, ours).median >= BAR;
    [format!(">= {BAR}"), if met { "met" } else { "missed" }.to_owned()]
}

#[expect(clippy::print_stdout, reason = "it belongs to the tables")]
fn note() {
    println!(
        "The two are not the same service. Theirs hands out a HashMap<String, serde_json::Value> that the caller owns, \
         cloned under the one lock\nof the store; ours, in the rows with \"bytes\", hands out bytes that are shared and \
         not decoded, and takes bytes that are encoded. The rows\nwith \"JSON\" add the decoding and encoding of the same \
         HashMap, which an application does once per request with either kind of store\nunless it is written against \
         theirs. With two threads at work, a thread that waits for their lock sleeps and is woken; a runtime\nwith \
         other tasks would run those meanwhile.\n"
    );
}
