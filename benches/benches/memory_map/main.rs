//! Chooses the concurrent map that the in-memory session store is built on.
//!
//! `cargo bench -p benches --bench memory_map -- [--quick] [--rounds N] [--sessions N]`
//!
//! Prints what other steps of a store cost, the memory of each candidate, and what one operation costs one
//! thread, with one and with two threads at work. Two threads that do not hinder each other have the costs of
//! one; `--sessions 1` shows them at their worst, all at one session.

mod building_blocks;
mod candidates;
mod footprint;
mod session;
mod sharded;
mod workload;

use benches::args::Args;
use benches::keys::Spread;
use benches::rounds;
use benches::summary::Summary;
use benches::table::Table;

use crate::candidates::CANDIDATES;
use crate::session::Key;
use crate::workload::{Kind, Workload};

fn main() {
    let args = Args::from_env();
    let sessions = args.value("--sessions");
    if let Some(name) = args.text("--footprint-of") {
        return footprint::measure(name, sessions.unwrap_or(100_000));
    }
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 3 } else { 7 });
    let ops = if quick { 20_000 } else { 100_000 };
    let sizes = match sessions {
        Some(sessions) => vec![sessions],
        None if quick => vec![100_000],
        None => vec![100_000, 1_000_000],
    };
    building_blocks::report(rounds, if quick { 10_000 } else { 200_000 });
    for sessions in sizes {
        footprint::report(sessions);
        report(sessions, rounds, ops);
    }
}

/// Measures all operations on maps of this many sessions; prints a table for each.
fn report(sessions: u32, rounds: usize, ops: usize) {
    let keys: Vec<_> = (0..u64::from(sessions)).map(Key::of).collect();
    let maps: Vec<_> = CANDIDATES.iter().map(|candidate| footprint::filled(candidate, sessions)).collect();
    for kind in Kind::ALL {
        for spread in Spread::ALL {
            if kind == Kind::Churn && spread != Spread::Uniform {
                continue; // Its sessions are new ones, all hit once.
            }
            let title =
                format!("{}, {sessions} sessions, {} keys, {rounds} rounds", kind.name(), spread.name());
            let measured = [1, 2].map(|threads| {
                let workload = Workload::draw(kind, spread, &keys, threads, ops / threads);
                rounds::interleave(rounds, &maps, |map| workload.measure(map.as_ref()))
            });
            print(title, &measured);
        }
    }
}

fn print(title: String, measured: &[Vec<Summary>; 2]) {
    let headings =
        ["map", "1 thread: ns/op", "quartiles", "to best", "2 threads: ns/op", "quartiles", "to best"];
    let mut table = Table::new(title, &headings);
    for (index, candidate) in CANDIDATES.iter().enumerate() {
        let mut row = vec![candidate.name.to_owned()];
        for results in measured {
            let best = results.iter().map(|result| result.median).fold(f64::INFINITY, f64::min);
            let ns = results[index];
            row.extend([format!("{:.0}", ns.median), ns.quartiles(), format!("{:.2}", ns.median / best)]);
        }
        table.row(row);
    }
    table.print();
}
