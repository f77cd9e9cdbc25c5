//! What `RedisStore` achieves beside the plain driver and, with `--features peers`, beside tower-sessions' store.
//!
//! `cargo bench -p benches --bench redis_store -- [--quick] [--rounds N] [--sessions N] [--callers N]`
//!
//! All on one launched `redis-server` on loopback, each with its own sessions: 400 bytes of data that no two writes have in common. A write of
//! `RedisStore` is conditional on the version that is there; those of the others replace blindly. The plain driver is redis-rs with one
//! multiplexed connection: `GET` and `SET .. PX`. Processor time is the server's.

mod candidate;
mod plain;
#[path = "../sqlite_store/sessions.rs"]
mod sessions;
mod the_store;
#[cfg(feature = "peers")]
mod tower;

use std::fs;

use benches::{args::Args, callers::Run, rounds::series, summary::Summary, table::Table};
use session_servers::redis::RedisServer;
use tokio::runtime::{Builder, Runtime};

use crate::{candidate::Candidate, plain::Plain, sessions::Sessions, the_store::TheStore};

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![1, 64, 256], |callers| vec![callers]);
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(RedisServer::start()).expect("redis-server is installed");
    let candidates: Vec<Box<dyn Candidate>> = runtime.block_on(async {
        let few = Sessions::draw(sessions);
        #[allow(unused_mut)]
        let mut candidates: Vec<Box<dyn Candidate>> = vec![
            Box::new(TheStore::open(&server.url(), &few).await),
            Box::new(Plain::open(&server.url(), &few).await),
        ];
        #[cfg(feature = "peers")]
        candidates.push(Box::new(tower::Tower::open(&server.url(), &few).await));
        candidates
    });
    let pid = server.pid().expect("it runs");
    let scale = if quick { 20 } else { 1 };
    for callers in callers {
        let operations = if callers == 1 { 20_000 } else { 200_000 } / scale;
        report(&runtime, pid, ["reads", "read"], callers, rounds, &candidates, |candidate| {
            candidate.read(callers, operations.max(callers))
        });
        let operations = if callers == 1 { 20_000 } else { 100_000 } / scale;
        report(&runtime, pid, ["writes", "write"], callers, rounds, &candidates, |candidate| {
            candidate.write(callers, operations.max(callers))
        });
    }
}

/// Runs all candidates interleaved, and prints how often the first one beats each of the others.
fn report(
    runtime: &Runtime,
    pid: u32,
    [what, one]: [&str; 2],
    callers: usize,
    rounds: usize,
    candidates: &[Box<dyn Candidate>],
    run: impl Fn(&dyn Candidate) -> candidate::Running,
) {
    let mut runs: Vec<Vec<(Run, f64)>> = vec![Vec::new(); candidates.len()];
    let numbered: Vec<usize> = (0..candidates.len()).collect();
    let throughputs = series(rounds, &numbered, |&number| {
        let (before, begun) = (processor_time(pid), std::time::Instant::now());
        let measured = runtime.block_on(run(&*candidates[number]));
        let operations = measured.throughput * begun.elapsed().as_secs_f64();
        runs[number].push((measured, (processor_time(pid) - before) / operations));
        measured.throughput
    });
    let cost = format!("server µs/{one}");
    let headings = ["", "a second", "quartiles", "p50 µs", "p99 µs", &cost, "store : this", "quartiles"];
    let mut table = Table::new(format!("{what}, {callers} callers"), &headings);
    for number in numbered {
        let throughput = Summary::of(throughputs[number].clone());
        let median = |of: fn(&(Run, f64)) -> f64| Summary::of(runs[number].iter().map(of).collect()).median;
        let ratio = Summary::of_ratios(&throughputs[0], &throughputs[number]);
        table.row([
            candidates[number].name().to_owned(),
            format!("{:.0}", throughput.median),
            throughput.quartiles(),
            format!("{:.0}", median(|(run, _)| run.p50)),
            format!("{:.0}", median(|(run, _)| run.p99)),
            format!("{:.1}", median(|(_, cost)| *cost)),
            format!("{:.2}", ratio.median),
            ratio.quartiles_to(2),
        ]);
    }
    table.print();
}

/// How much processor time a process has used, in microseconds, to a hundredth of a second.
fn processor_time(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name, in parentheses, may hold blanks. After it, the twelfth and thirteenth field are the ticks in user and in kernel mode.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("ticks")).sum();
    ticks * 1e6 / 100.0
}
