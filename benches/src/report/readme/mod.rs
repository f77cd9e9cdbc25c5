//! The figures in the READMEs, which are always generated.

mod tables;

use std::{fmt::Write as _, fs, path::Path};

use super::Report;
use crate::{
    candidate::{Description, Kind, Result},
    engine::Engine,
};

const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- end of figures -->";

/// The files that may contain blocks, relative to the root of the workspace.
pub const FILES: [&str; 7] = [
    "README.md",
    "docs/comparison.md",
    "benches/README.md",
    "session-layers/README.md",
    "session-mongo/README.md",
    "session-redis/README.md",
    "session-sql/README.md",
];

/// Writes the figures of a report into the READMEs under `root`, between the markers. With `check`,
/// only compares.
///
/// # Errors
///
/// If a README has an unknown marker, or, with `check`, differs from what would be written.
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

/// Inserts the figures of this report between the markers of a text.
///
/// # Errors
///
/// If a block has no end, or its name is unknown.
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

/// The block of this name: that of an engine, `all` for our stores side by side, `cached` for them
/// behind a cache, `correct` for what is right store by store, or `libraries` for the same library
/// by library.
fn figures(what: &str, report: &Report) -> Result<String> {
    Ok(match what {
        "all" => tables::workloads(report, |candidate| candidate.kind == Kind::Ours),
        "cached" => tables::cached(report),
        "correct" => tables::correctness(report),
        "libraries" => tables::libraries(report),
        engine => {
            let engine: Engine = engine.parse()?;
            let is_shown =
                |candidate: &Description| candidate.engine == engine && !candidate.kind.is_cached();
            tables::workloads(report, is_shown) + &tables::callers(report, is_shown)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/report.json")).expect("a report")
    }

    #[test]
    fn only_what_is_between_the_markers_is_written() {
        let text = "before\n<!-- figures: all -->\nold\n<!-- end of figures -->\nafter\n";
        let new = rewritten(text, &report()).expect("it is known");
        assert!(
            new.starts_with("before\n<!-- figures: all -->\n")
                && new.ends_with("<!-- end of figures -->\nafter\n")
        );
        assert!(new.contains("`RedisStore`") && !new.contains("old"), "{new}");
        assert_eq!(rewritten(&new, &report()).expect("it is known"), new);
    }

    #[test]
    fn what_is_unknown_or_has_no_end_is_refused() {
        let unknown = rewritten("<!-- figures: oracle -->\n<!-- end of figures -->\n", &report());
        assert!(unknown.expect_err("there is none").to_string().contains("oracle"));
        let endless = rewritten("<!-- figures: all -->\n", &report()).expect_err("it has no end");
        assert!(endless.to_string().contains("has no"), "{endless}");
    }
}
