use benches::{callers::Run, rounds::series, summary::Summary, table::Table};
use tokio::runtime::Runtime;

use crate::candidate::{Candidate, Running};

/// Runs all candidates interleaved, and prints how often the first one beats each of the others.
pub(crate) fn report(
    runtime: &Runtime,
    what: &str,
    callers: usize,
    rounds: usize,
    candidates: &[&dyn Candidate],
    run: impl Fn(&dyn Candidate) -> Running,
) {
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); candidates.len()];
    let numbered: Vec<usize> = (0..candidates.len()).collect();
    let throughputs = series(rounds, &numbered, |&number| {
        let measured = runtime.block_on(run(candidates[number]));
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

/// What is run: for one caller fewer operations than for many.
pub(crate) fn all(
    runtime: &Runtime,
    quick: bool,
    rounds: usize,
    callers: &[usize],
    readers: &[&dyn Candidate],
    writers: &[&dyn Candidate],
) {
    let scale = if quick { 10 } else { 1 };
    for &callers in callers {
        let (to_read, to_write) = if callers == 1 { (5_000, 3_000) } else { (60_000, 30_000) };
        report(runtime, "reads", callers, rounds, readers, |candidate| {
            candidate.read(callers, (to_read / scale).max(callers))
        });
        report(runtime, "writes", callers, rounds, writers, |candidate| {
            candidate.write(callers, (to_write / scale).max(callers))
        });
    }
}
