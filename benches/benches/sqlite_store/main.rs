//! What `SqliteStore` achieves beside the driver's pool, used one call at a time.
//!
//! `cargo bench -p benches --bench sqlite_store -- [--quick] [--rounds N] [--sessions N] [--callers N]`
//!
//! Both in write-ahead logging with `synchronous=normal`, each in a file of its own with the same sessions: 400 bytes of data that no two
//! writes have in common. A write of either is conditional on the version that is there. The pool has sqlx's defaults, and for writes once more
//! a single connection, for which no writer waits for another's lock.

mod candidate;
mod pool;
mod sessions;
mod the_store;

use benches::{args::Args, callers::Run, rounds::series, summary::Summary, table::Table};
use tokio::runtime::{Builder, Runtime};

use crate::{candidate::Candidate, pool::Pool, sessions::Sessions, the_store::TheStore};

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![64, 1], |callers| vec![callers]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let file = |name: &str| directory.path().join(name);
    let candidates: Vec<Box<dyn Candidate>> = runtime.block_on(async {
        let few = Sessions::draw(sessions);
        let pool = Pool::open("sqlx's pool", &file("pool.db"), None, &few).await;
        let pool_of_one = Pool::open("sqlx's pool of 1", &file("one.db"), Some(1), &few).await;
        let store = TheStore::open(&file("store.db"), &few).await;
        [Box::new(store) as Box<dyn Candidate>, Box::new(pool), Box::new(pool_of_one)].into()
    });
    let scale = if quick { 20 } else { 1 };
    for callers in callers {
        let (reads, writes) = if callers == 1 { (10_000, 5_000) } else { (128_000, 40_000) };
        report(&runtime, "reads", callers, rounds, &candidates, |candidate| {
            candidate.read(callers, (reads / scale).max(callers))
        });
        report(&runtime, "conditional writes", callers, rounds, &candidates, |candidate| {
            candidate.write(callers, (writes / scale).max(callers))
        });
    }
}

/// Runs all candidates interleaved, and prints how often the first one beats each of the others.
fn report(
    runtime: &Runtime,
    what: &str,
    callers: usize,
    rounds: usize,
    candidates: &[Box<dyn Candidate>],
    run: impl Fn(&dyn Candidate) -> candidate::Running,
) {
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); candidates.len()];
    let numbered: Vec<usize> = (0..candidates.len()).collect();
    let throughputs = series(rounds, &numbered, |&number| {
        let measured = runtime.block_on(run(&*candidates[number]));
        runs[number].push(measured);
        measured.throughput
    });
    let headings = ["", "a second", "quartiles", "p50 µs", "p99 µs", "store : this", "quartiles"];
    let mut table = Table::new(format!("{what}, {callers} callers"), &headings);
    for number in numbered {
        let throughput = Summary::of(throughputs[number].clone());
        let median = |of: fn(&Run) -> f64| Summary::of(runs[number].iter().map(of).collect()).median;
        let ratio = Summary::of_ratios(&throughputs[0], &throughputs[number]);
        table.row([
            candidates[number].name().to_owned(),
            format!("{:.0}", throughput.median),
            throughput.quartiles(),
            format!("{:.0}", median(|run| run.p50)),
            format!("{:.0}", median(|run| run.p99)),
            format!("{:.2}", ratio.median),
            ratio.quartiles_to(2),
        ]);
    }
    table.print();
}
