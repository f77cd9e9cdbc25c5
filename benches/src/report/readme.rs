//! The figures in the READMEs, which are never written by hand.

use std::{fmt::Write as _, fs, path::Path};

use super::{Mode, Report};
use crate::{
    candidate::{Kind, Result},
    engine::Engine,
    workload::Workload,
};

const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- end of figures -->";

/// Where there may be blocks, from the root of the workspace.
pub const FILES: [&str; 6] = [
    "README.md",
    "benches/README.md",
    "session-memory/README.md",
    "session-mongo/README.md",
    "session-redis/README.md",
    "session-sql/README.md",
];

/// Writes the figures of a report into the READMEs under `root`, between the markers. With `check`, only compares.
///
/// # Errors
///
/// If a README has a marker that means nothing, or, with `check`, differs from what would be written.
pub fn run(report: &Report, root: &Path, check: bool) -> Result<()> {
    let mut differ = Vec::new();
    for name in FILES {
        let file = root.join(name);
        let old = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let new = rewritten(&old, report).map_err(|error| format!("{name}: {error}"))?;
        if old != new {
            differ.push(name);
            if !check {
                fs::write(&file, new)?;
            }
        }
    }
    if check && !differ.is_empty() {
        return Err(format!(
            "the figures in {} are not those of the report; write them with: cargo run --release -p benches -- readme",
            differ.join(", ")
        )
        .into());
    }
    Ok(())
}

/// The text with the figures of this report between the markers.
///
/// # Errors
///
/// If a block has no end, or what it is to show is unknown.
pub fn rewritten(text: &str, report: &Report) -> Result<String> {
    let mut new = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, block) = rest.split_at(at);
        let (marker, body) = block.split_once('\n').ok_or("a marker at the end of the file")?;
        let what = marker.strip_prefix(BEGIN).and_then(|what| what.strip_suffix(" -->"));
        let what = what.ok_or_else(|| format!("no marker: {marker}"))?;
        let (_, after) = body.split_once(END).ok_or_else(|| format!("{marker} has no {END}"))?;
        let _ = write!(new, "{before}{marker}\n{}{END}", figures(what, report)?);
        rest = after;
    }
    Ok(new + rest)
}

/// The block of this name: that of an engine, or `all` for our stores side by side.
fn figures(what: &str, report: &Report) -> Result<String> {
    if what == "all" {
        return Ok(table(report, |candidate| candidate == Kind::Ours, &Engine::ALL));
    }
    let engine: Engine = what.parse()?;
    Ok(table(report, |_| true, &[engine]))
}

fn table(report: &Report, is_shown: impl Fn(Kind) -> bool, engines: &[Engine]) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    let callers = settings.callers.iter().copied().min_by_key(|callers| callers.abs_diff(64)).unwrap_or(64);
    let mut text = format!(
        "\nOperations a second, and the latency of 99 of 100, with {callers} callers, by Zipf over {} sessions of {} bytes.\n{}, {} cores shared by clients and \
         server; medians of {} rounds; {}.\n\n| | A: half updates | B: 5 % updates | C: reads |\n| --- | ---: | ---: | ---: |\n",
        settings.sessions,
        settings.payload,
        machine.cpu,
        machine.cores,
        settings.rounds,
        report.date.get(..10).unwrap_or(&report.date),
    );
    for candidate in &report.candidates {
        if !engines.contains(&candidate.engine) || !is_shown(candidate.kind) {
            continue;
        }
        let cells = Workload::YCSB.map(|workload| {
            let found = report.measurements.iter().find(|measured| {
                measured.candidate == candidate.id
                    && measured.workload == workload
                    && measured.keys == "zipf"
                    && measured.sessions == settings.sessions
                    && measured.payload == settings.payload
                    && measured.mode == Mode::Closed { callers }
            });
            found.map_or_else(
                || "–".to_owned(),
                |found| format!("{:.0}, {:.2} ms", found.throughput.median, found.p99.median / 1e3),
            )
        });
        // Writing to a text does not fail.
        let _ = writeln!(text, "| `{}` {} | {} |", candidate.name, candidate.version, cells.join(" | "));
    }
    text + "\n"
}
