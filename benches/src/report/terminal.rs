//! The terminal output of a run.

use std::collections::BTreeMap;

use super::{Comparison, Mode, Report, Skipped, Spread};
use crate::table::Table;

/// Reports at once what is left out.
#[expect(clippy::print_stderr, reason = "who runs it is to see why something is missing")]
pub fn note(skipped: &Skipped) {
    eprintln!("skipped: {}: {}", skipped.what, skipped.reason);
}

/// Prints the tables.
pub fn print(report: &Report) {
    for table in tables(report) {
        table.print();
    }
}

/// Prints the ratios to an older run.
pub fn print_comparison(comparison: &Comparison) {
    let title = format!("compared with the run of {}: new to old", comparison.older_date);
    let mut table = Table::new(title, &["", "measurement", "throughput", "range", "p99", "range"]);
    for line in &comparison.lines {
        let range = |spread: Spread| format!("{:.2}..{:.2}", spread.lower, spread.upper);
        table.row([
            line.candidate.clone(),
            line.measurement.clone(),
            format!("{:.2}", line.throughput.median),
            range(line.throughput),
            format!("{:.2}", line.p99.median),
            range(line.p99),
        ]);
    }
    table.print();
}

fn tables(report: &Report) -> Vec<Table> {
    let mut tables = BTreeMap::new();
    for measured in &report.measurements {
        let (order, mode) = match measured.mode {
            Mode::Closed { callers } => (callers, format!("{callers} callers")),
            Mode::Open { share } => {
                (usize::MAX, format!("open loop at {:.0} % of its throughput", share * 100.0))
            }
        };
        let workload = crate::workload::Workload::ALL.iter().position(|one| *one == measured.workload);
        let table = tables
            .entry((measured.payload, measured.sessions, workload, measured.keys.clone(), order))
            .or_insert_with(|| {
                let title = format!(
                    "{}; {mode}, {} keys, {} sessions of {} bytes",
                    measured.workload.title(),
                    measured.keys,
                    measured.sessions,
                    measured.payload
                );
                let headings = [
                    "",
                    "a second",
                    "quartiles",
                    "p50 µs",
                    "p99 µs",
                    "client µs",
                    "server µs",
                    "conflicts",
                    "failed",
                ];
                Table::new(title, &headings)
            });
        table.row([
            name(report, &measured.candidate),
            format!("{:.0}", measured.throughput.median),
            format!("{:.0}..{:.0}", measured.throughput.lower, measured.throughput.upper),
            format!("{:.1}", measured.p50.median),
            format!("{:.1}", measured.p99.median),
            format!("{:.1}", measured.client_cpu.median),
            measured.server_cpu.map_or_else(String::new, |cpu| format!("{:.1}", cpu.median)),
            measured.conflicts.to_string(),
            measured.failed.to_string(),
        ]);
    }
    let mut tables: Vec<Table> = tables.into_values().collect();
    tables.extend(growth(report));
    tables.extend(purges(report));
    tables.extend(correctness(report));
    tables.extend(failures(report));
    tables
}

/// The name with its engine, because several engines have a candidate of the same name.
fn name(report: &Report, id: &str) -> String {
    let found = report.candidates.iter().find(|candidate| candidate.id == id);
    found.map_or_else(|| id.to_owned(), |candidate| format!("{}: {}", candidate.engine, candidate.name))
}

fn growth(report: &Report) -> Option<Table> {
    let headings = ["", "sessions", "a second", "p99 µs", "bytes/session", "stored/s", "server MB"];
    let mut table = Table::new("as the store grows, workload B", &headings);
    for grown in &report.growth {
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        table.row([
            name(report, &grown.candidate),
            grown.sessions.to_string(),
            format!("{:.0}", grown.throughput.median),
            format!("{:.1}", grown.p99.median),
            grown.bytes_per_session.map_or_else(String::new, |bytes| format!("{bytes:.0}")),
            format!("{:.0}", grown.filled),
            grown.server_memory.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / 1e6)),
        ]);
    }
    (!report.growth.is_empty()).then_some(table)
}

fn purges(report: &Report) -> Option<Table> {
    let mut table = Table::new("a purge", &["", "live", "expired", "purged", "ms"]);
    for purge in &report.purges {
        table.row([
            name(report, &purge.candidate),
            purge.live.to_string(),
            purge.expired.to_string(),
            purge.purged.map_or_else(|| "?".to_owned(), |purged| purged.to_string()),
            format!("{:.1}", purge.milliseconds),
        ]);
    }
    (!report.purges.is_empty()).then_some(table)
}

fn correctness(report: &Report) -> Option<Table> {
    let headings =
        ["", "keeps both updates", "stays logged out", "logout reaches others", "logs out everywhere"];
    let mut table = Table::new("correct?", &headings);
    for seen in &report.correctness {
        let cell = |finding: &super::Finding| {
            let word = match finding.holds {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            };
            format!("{word}: {}", finding.seen)
        };
        table.row([
            name(report, &seen.candidate),
            cell(&seen.keeps_both_updates),
            cell(&seen.stays_logged_out),
            cell(&seen.logout_reaches_others),
            cell(&seen.logs_out_everywhere),
        ]);
    }
    (!report.correctness.is_empty()).then_some(table)
}

fn failures(report: &Report) -> Option<Table> {
    let mut table = Table::new("failures: what the first one said", &["", "workload", "failed", "said"]);
    let mut any = false;
    for measured in report.measurements.iter().filter(|measured| measured.failed > 0) {
        any = true;
        table.row([
            name(report, &measured.candidate),
            measured.workload.to_string(),
            measured.failed.to_string(),
            measured.first_failure.clone().unwrap_or_default(),
        ]);
    }
    any.then_some(table)
}
