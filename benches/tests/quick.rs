//! The program with `--quick`: every number is there, and no operation failed. Each engine has its
//! own test, so that a missing server is reported by name.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use benches::{
    engine::{Engine, cpu},
    report::{Mode, Report, Spread},
    workload::Workload,
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

type Done = Result<Completion, Failed>;

fn main() {
    let mut trials: Vec<Trial> = Engine::ALL
        .into_iter()
        .map(|engine| Trial::ignorable_test(format!("quick::{engine}"), move || quick(engine)))
        .collect();
    trials.push(Trial::test("interrupt::keeps_what_was_measured", || interrupted().map_err(Failed::from)));
    trials.push(Trial::test("readme::is_written_from_the_report", || readme().map_err(Failed::from)));
    trials.push(Trial::test("readme::figures_are_those_of_the_committed_report", || {
        committed().map_err(Failed::from)
    }));
    trials.push(Trial::test("arguments::that_mean_nothing_are_refused", || refused().map_err(Failed::from)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_benches"))
}

/// Runs the program with `--quick`, and returns its output and its report.
fn run(out: &Path, args: &[&str]) -> Result<(Output, Option<Report>), Box<dyn Error>> {
    let output = program().arg("--quick").arg("--out").arg(out).args(args).output()?;
    let json = out.join("report.json");
    let report =
        if json.exists() { Some(Report::read(&json).map_err(|error| error.to_string())?) } else { None };
    Ok((output, report))
}

fn quick(engine: Engine) -> Done {
    let out = tempfile::tempdir()?;
    let (output, report) = run(out.path(), &["--stores", engine.name()]).map_err(Failed::from)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A missing server is not an error of the program. The environment decides whether it fails the
    // test.
    if let Some(reason) = said.lines().find_map(|line| line.strip_prefix(&format!("skipped: {engine}: "))) {
        return if session_servers::required(engine.name()) {
            Err(reason.into())
        } else {
            Ok(Completion::ignored_with(reason))
        };
    }
    if !output.status.success() {
        return Err(format!("{}: {said}", output.status).into());
    }
    let report = report.ok_or("there is no report.json")?;
    check(&report).map_err(Failed::from)?;
    check_page(&out.path().join("report.html")).map_err(Failed::from)?;
    Ok(Completion::Completed)
}

/// Checks that everything was measured, and that nothing failed.
fn check(report: &Report) -> Result<(), Box<dyn Error>> {
    let mut wrong = Vec::new();
    if report.interrupted {
        wrong.push("it says that it was interrupted".to_owned());
    }
    for candidate in &report.candidates {
        let id = &candidate.id;
        for workload in Workload::ALL {
            let mut measured =
                report.measurements.iter().filter(|one| one.candidate == *id && one.workload == workload);
            // Only our stores can end all sessions of a user.
            let is_possible =
                workload != Workload::Logout || report.correctness.iter().any(|seen| seen.candidate == *id);
            if is_possible && measured.next().is_none() {
                wrong.push(format!("{id} was not measured under {workload}"));
            }
        }
        let is_open = |one: &&benches::report::Measurement| matches!(one.mode, Mode::Open { .. });
        if !report.measurements.iter().filter(is_open).any(|one| one.candidate == *id) {
            wrong.push(format!("{id} was not measured in the open loop"));
        }
    }
    for measured in &report.measurements {
        let name = format!("{} under {}", measured.candidate, measured.workload);
        let numbers = [
            ("throughput", measured.throughput),
            ("p50", measured.p50),
            ("p90", measured.p90),
            ("p99", measured.p99),
            ("p999", measured.p999),
            ("client_cpu", measured.client_cpu),
        ];
        wrong.extend(
            numbers
                .iter()
                .filter(|(_, spread)| !is_positive(spread))
                .map(|(what, _)| format!("{name}: no {what}")),
        );
        if measured.failed > 0 || measured.operations == 0 {
            wrong.push(format!(
                "{name}: {} failed of {}: {:?}",
                measured.failed, measured.operations, measured.first_failure
            ));
        }
        // A slice of the quick run is shorter than the kernel's clock tick, so zero is valid here.
        let is_server = report.engines.iter().any(|engine| engine.launched);
        if is_server && !measured.server_cpu.is_some_and(|cpu| cpu.median.is_finite()) {
            wrong.push(format!("{name}: no server_cpu"));
        }
    }
    for grown in &report.growth {
        if !is_positive(&grown.throughput) || !is_positive(&grown.p99) || grown.failed > 0 {
            wrong.push(format!("{} did not grow well: {grown:?}", grown.candidate));
        }
    }
    for purge in &report.purges {
        if purge.purged != Some(purge.expired as u64) {
            wrong.push(format!("{} purged {:?} of {}", purge.candidate, purge.purged, purge.expired));
        }
    }
    for seen in &report.correctness {
        for finding in [&seen.keeps_both_updates, &seen.stays_logged_out] {
            if finding.holds != Some(true) {
                wrong.push(format!("{}: {}", seen.candidate, finding.seen));
            }
        }
    }
    // For every run: no section may be empty.
    if report.growth.is_empty() || report.correctness.is_empty() || report.measurements.is_empty() {
        wrong.push("a section is empty".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn is_positive(spread: &Spread) -> bool {
    [spread.lower, spread.median, spread.upper].iter().all(|number| number.is_finite() && *number > 0.0)
}

/// Checks that the page is complete and self-contained.
fn check_page(page: &PathBuf) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(page)?;
    for part in [
        "</html>",
        "id=\"summary\"",
        "id=\"concurrency\"",
        "id=\"latency\"",
        "id=\"growth\"",
        "id=\"correct\"",
        "<svg",
    ] {
        if !text.contains(part) {
            return Err(format!("report.html has no {part}").into());
        }
    }
    for word in ["NaN", "inf ", "src=", "href="] {
        if text.contains(word) {
            return Err(format!("report.html contains {word}").into());
        }
    }
    Ok(())
}

/// Ctrl-C in the middle: the measurements so far are written, and marked as interrupted.
fn interrupted() -> Result<(), Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    // Endless unless it is interrupted.
    let args = [
        "--stores",
        "memory",
        "--rounds",
        "60000",
        "--growth",
        "0",
        "--workload",
        "c",
        "--callers",
        "1",
        "--quick",
    ];
    let mut running =
        program().arg("--out").arg(out.path()).args(args).stdout(std::process::Stdio::null()).spawn()?;
    // After a second of processor time it is measuring: nothing before that takes so long.
    let begun = Instant::now();
    while cpu::of_tree(running.id()) < Duration::from_secs(1) {
        if begun.elapsed() > Duration::from_mins(2) {
            running.kill()?;
            return Err("it does not begin to measure".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let status = running.wait()?;
    if !status.success() {
        return Err(format!("it ended with {status}").into());
    }
    let report = Report::read(&out.path().join("report.json")).map_err(|error| error.to_string())?;
    if !report.interrupted || report.measurements.is_empty() {
        return Err(format!(
            "interrupted: {}, measurements: {}",
            report.interrupted,
            report.measurements.len()
        )
        .into());
    }
    let page = std::fs::read_to_string(out.path().join("report.html"))?;
    if page.contains("was interrupted") { Ok(()) } else { Err("the page does not say so".into()) }
}

/// Invalid arguments are rejected with a reason before anything is measured.
fn refused() -> Result<(), Box<dyn Error>> {
    let out = tempfile::tempdir()?;
    let mut cases = vec![
        (vec!["--stores", "oracle"], "there is no store 'oracle'"),
        (vec!["--workload", "z"], "there is no workload 'z'"),
        (vec!["--compare", "/nowhere.json"], "/nowhere.json"),
        (vec!["--only", "nothing-of-that-name", "--stores", "memory"], "nothing to measure"),
    ];
    if !cfg!(feature = "peers") {
        cases.push((vec!["--peers"], "--features peers"));
    }
    for (args, words) in cases {
        let (output, report) = run(out.path(), &args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !said.contains(words) || report.is_some() {
            return Err(format!("{args:?}: {}: {said}", output.status).into());
        }
    }
    Ok(())
}

/// The figures between the markers are written, the text around them is kept, and `--check` detects
/// a figure that was changed by hand.
fn readme() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    for name in benches::report::readme::FILES {
        let file = root.path().join(name);
        std::fs::create_dir_all(file.parent().ok_or("a directory")?)?;
        std::fs::write(&file, "before\n\n<!-- figures: memory -->\nold\n<!-- end of figures -->\n\nafter\n")?;
    }
    let args = ["--stores", "memory", "--workload", "b", "--growth", "0"];
    let (output, _) = run(root.path(), &args)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let readme = |more: &[&str]| {
        program().current_dir(root.path()).args(["readme", "report.json"]).args(more).output()
    };
    if readme(&["--check"])?.status.success() {
        return Err("old figures were not noticed".into());
    }
    let written = readme(&[])?;
    if !written.status.success() || !readme(&["--check"])?.status.success() {
        return Err(format!("it was not written: {}", String::from_utf8_lossy(&written.stderr)).into());
    }
    let file = root.path().join("README.md");
    let text = std::fs::read_to_string(&file)?;
    if !text.starts_with("before\n\n<!-- figures: memory -->\n")
        || !text.ends_with("<!-- end of figures -->\n\nafter\n")
    {
        return Err(format!("what is around the figures was changed: {text}").into());
    }
    if !text.contains("`MemoryStore`") || text.contains("old") {
        return Err(format!("the figures are not there: {text}").into());
    }
    // A change by hand.
    std::fs::write(&file, text.replacen("callers", "clients", 1))?;
    let checked = readme(&["--check"])?;
    let said = String::from_utf8_lossy(&checked.stderr);
    if checked.status.success() || !said.contains("README.md") {
        return Err(format!("a change by hand was not noticed: {said}").into());
    }
    Ok(())
}

/// Checks the figures in the repository. Without a committed report, there are none.
fn committed() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("a workspace")?;
    if !root.join("benches/results/report.json").exists() {
        for name in benches::report::readme::FILES {
            if std::fs::read_to_string(root.join(name))?.contains("<!-- figures: ") {
                return Err(format!("{name} has figures, but there is no benches/results/report.json").into());
            }
        }
        return Ok(());
    }
    let checked = program().current_dir(root).args(["readme", "--check"]).output()?;
    if checked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&checked.stderr).into()) }
}
