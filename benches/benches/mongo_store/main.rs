//! What `MongoStore` achieves beside the plain driver and, with `--features peers`, beside tower-sessions' store.
//!
//! `cargo bench -p benches --bench mongo_store -- [--quick] [--replica-set] [--rounds N] [--sessions N] [--callers N]`
//!
//! All on one launched `mongod` on loopback, standalone with the write concern `w: 1`, or the only member of a replica set with `w: majority`; each with
//! its own sessions: 400 bytes of data that no two writes have in common, and up to 64 connections. Writes of `MongoStore` and of the plain driver
//! (`find_one_and_update`) are conditional on the version that is there; tower-sessions' store replaces blindly. Processor time is the server's.

mod candidate;
mod plain;
#[path = "../sqlite_store/sessions.rs"]
mod sessions;
mod the_store;
#[cfg(feature = "peers")]
mod tower;

use std::{any::Any, fs, time::Duration};

use benches::{args::Args, callers::Run, rounds::series, summary::Summary, table::Table};
use mongodb::options::Acknowledgment;
use session_servers::mongo::{Mongo, MongoReplicaSet};
use tokio::runtime::{Builder, Runtime};

use crate::{candidate::Candidate, plain::Plain, sessions::Sessions, the_store::TheStore};

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![1, 64, 256], |callers| vec![callers]);
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let replicated = args.flag("--replica-set");
    let members = if replicated { MongoReplicaSet::member() } else { Mongo::new() };
    // So that all sessions of all candidates are in memory.
    let members = members.args(["--wiredTigerCacheSizeGB", "2"]);
    let server = runtime.block_on(members.start()).expect("mongod is installed");
    let pid = server.pid().expect("it runs");
    let (url, concern, _kept): (String, Acknowledgment, Box<dyn Any>) = if replicated {
        let addrs = vec![server.addr()];
        let set = runtime.block_on(MongoReplicaSet::initiate(vec![server], addrs, Duration::from_secs(10)));
        let set = set.expect("a replica set");
        (format!("{}&maxPoolSize=64", set.url()), Acknowledgment::Majority, Box::new(set))
    } else {
        (format!("{}&maxPoolSize=64", server.url()), Acknowledgment::Nodes(1), Box::new(server))
    };
    let candidates: Vec<Box<dyn Candidate>> = runtime.block_on(async {
        let few = Sessions::draw(sessions);
        #[allow(unused_mut)]
        let mut candidates: Vec<Box<dyn Candidate>> = vec![
            Box::new(TheStore::open(&url, concern.clone(), &few).await),
            Box::new(Plain::open(&url, concern, &few).await),
        ];
        #[cfg(feature = "peers")]
        candidates.push(Box::new(tower::Tower::open(&url, &few).await));
        if args.flag("--alone") {
            candidates.truncate(1);
        }
        candidates
    });
    let scale = if quick { 20 } else { 1 };
    for callers in callers {
        let operations = if callers == 1 { 5_000 } else { 60_000 } / scale;
        report(&runtime, pid, ["reads", "read"], callers, rounds, &candidates, |candidate| {
            candidate.read(callers, operations.max(callers))
        });
        let operations = if callers == 1 { 5_000 } else { 30_000 } / scale;
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
