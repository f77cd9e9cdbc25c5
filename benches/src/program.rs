//! The program, from arguments to output files.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    candidate::{self, Result, Spec},
    cli::{Cli, Command},
    engine::{Engine, Server},
    interrupt::Interrupt,
    measure::{self, Context, Options, Plan, Progress},
    report::{Comparison, EngineInfo, Machine, Report, SCHEMA, Settings, Skipped, html, readme, terminal},
};

/// Runs the selected task.
///
/// # Errors
///
/// If an argument is invalid, or a file cannot be read or written. Failures of candidates are in
/// the report instead.
pub async fn run(cli: &Cli) -> Result<()> {
    if cli.peers && !cfg!(feature = "peers") {
        return Err("--peers needs the stores of others compiled in: cargo run --release -p benches --features peers -- --peers".into());
    }
    match &cli.command {
        None => measure_and_write(cli).await,
        Some(Command::Readme { report, check }) => {
            readme::run(&Report::read(report)?, Path::new("."), *check)
        }
        Some(Command::Page { report }) => {
            let report = Report::read(report)?;
            let comparison = compared(cli, &report)?;
            write_page(cli, &report, comparison.as_ref())
        }
    }
}

/// The comparison with the older run, if one was given.
fn compared(cli: &Cli, report: &Report) -> Result<Option<Comparison>> {
    let older = cli.compare.as_deref().map(Report::read).transpose()?;
    Ok(older.map(|older| Comparison::of(report, &older)))
}

fn write_page(cli: &Cli, report: &Report, comparison: Option<&Comparison>) -> Result<()> {
    fs::create_dir_all(&cli.out)?;
    let page = cli.out.join("report.html");
    fs::write(&page, html::page(report, comparison))?;
    say(&page.display().to_string());
    Ok(())
}

async fn measure_and_write(cli: &Cli) -> Result<()> {
    let (options, interrupt) = (cli.options(), Interrupt::listen()?);
    // Before the measurements, so that a mistyped file name fails at once.
    cli.compare.as_deref().map(Report::read).transpose()?;
    let mut report = empty(&options)?;
    let servers = start(cli, &options, &interrupt, &mut report).await;
    let specs: Vec<Spec> =
        candidate::all().into_iter().filter(|spec| is_asked_for(cli, spec, &servers)).collect();
    if specs.is_empty() && !interrupt.has_come() {
        return Err("there is nothing to measure: no candidate is left of those that were asked for".into());
    }
    report.engines = servers.values().map(info).collect();
    report.candidates = specs.iter().map(|spec| spec.description.clone()).collect();
    let plan = Plan::of(&options);
    announce(&report, &options, plan.time(&options, specs.len()));
    let progress = Progress::new(plan.steps(&options, specs.len()));
    let mut context = Context { options, servers, specs, interrupt, progress, report };
    measure::run(&mut context, &plan).await;
    context.progress.finish();
    context.report.interrupted = context.interrupt.has_come();
    let Context { report, servers, .. } = context;
    drop(servers);
    terminal::print(&report);
    let comparison = compared(cli, &report)?;
    comparison.iter().for_each(terminal::print_comparison);
    fs::create_dir_all(&cli.out)?;
    let json = cli.out.join("report.json");
    fs::write(&json, serde_json::to_string_pretty(&report)? + "\n")?;
    say(&json.display().to_string());
    write_page(cli, &report, comparison.as_ref())
}

fn empty(options: &Options) -> Result<Report> {
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0)?;
    Ok(Report {
        schema: SCHEMA,
        date: now.format(&time::format_description::well_known::Rfc3339)?,
        interrupted: false,
        machine: Machine::this(),
        settings: Settings {
            quick: options.quick,
            rounds: options.rounds,
            slice_ms: u64::try_from(options.slice.as_millis())?,
            sessions: options.sessions,
            payload: options.payload,
            callers: options.callers.clone(),
            durable: options.durable,
        },
        engines: Vec::new(),
        candidates: Vec::new(),
        skipped: Vec::new(),
        measurements: Vec::new(),
        growth: Vec::new(),
        purges: Vec::new(),
        correctness: Vec::new(),
    })
}

/// Starts all selected and available servers concurrently.
async fn start(
    cli: &Cli,
    options: &Options,
    interrupt: &Interrupt,
    report: &mut Report,
) -> BTreeMap<Engine, Server> {
    let starting = cli
        .engines()
        .into_iter()
        .map(|engine| async move { (engine, Server::start(engine, options.durable).await) });
    let mut servers = BTreeMap::new();
    for (engine, started) in interrupt.or(futures_util::future::join_all(starting)).await.unwrap_or_default()
    {
        match started {
            Ok(server) => drop(servers.insert(engine, server)),
            Err(reason) => {
                let skipped = Skipped { what: engine.to_string(), reason };
                terminal::note(&skipped);
                report.skipped.push(skipped);
            }
        }
    }
    servers
}

fn is_asked_for(cli: &Cli, spec: &Spec, servers: &BTreeMap<Engine, Server>) -> bool {
    let description = &spec.description;
    servers.contains_key(&description.engine)
        && (cli.peers || !description.kind.is_peer())
        && (cli.only.is_empty() || cli.only.iter().any(|part| description.id.contains(part)))
}

fn info(server: &Server) -> EngineInfo {
    EngineInfo {
        engine: server.engine,
        version: server.version.clone(),
        tuning: server.tuning.clone(),
        launched: server.is_launched(),
    }
}

fn announce(report: &Report, options: &Options, time: std::time::Duration) {
    let candidates: Vec<String> = report
        .candidates
        .iter()
        .map(|candidate| format!("{} ({})", candidate.name, candidate.engine))
        .collect();
    let engines: Vec<&str> = report.engines.iter().map(|engine| engine.version.as_str()).collect();
    let workloads: Vec<&str> = options.workloads.iter().map(|workload| workload.name()).collect();
    say(&format!(
        "{} candidates: {}\non {}\nworkloads {}; {} sessions of {} bytes; {:?} callers; {} rounds of {:?}; growth to {} sessions",
        candidates.len(),
        candidates.join(", "),
        engines.join(", "),
        workloads.join(", "),
        options.sessions,
        options.payload,
        options.callers,
        options.rounds,
        options.slice,
        options.growth.last().unwrap_or(&0),
    ));
    let time = match time.as_secs().div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    say(&format!("This takes about {time}. Ctrl-C ends it and writes what was measured until then.\n"));
    if !report.machine.optimised {
        say(
            "This program was built without optimisation: no figure means anything. Build it with --release.\n",
        );
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is run for")]
fn say(what: &str) {
    println!("{what}");
}
