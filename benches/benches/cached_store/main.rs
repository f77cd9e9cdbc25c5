//! What `Cached` costs and brings: a hit beside a bare look-up in moka, the memory that it takes, and a workload with and without it.
//!
//! `cargo bench -p benches --bench cached_store -- [--quick] [--rounds N] [--sessions N] [--callers N]`
//!
//! The workload is 95 % reads and 5 % conditional writes of 400-byte sessions by Zipf, on one launched `redis-server` on loopback. A write that meets a
//! conflict counts, too: the next one has the version that it was told. Both candidates have all settings at their defaults.

mod footprint;
mod hit;
mod sessions;
mod workload;

use std::sync::Arc;

use benches::{args::Args, rounds::series, summary::Summary, table::Table};
use session_core::SessionStore;
use session_redis::{CacheExt as _, CacheSettings, RedisStore};
use session_servers::redis::RedisServer;
use tokio::runtime::{Builder, Runtime};

use crate::workload::Workload;

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(bound) = args.value("--footprint-of") {
        return runtime.block_on(footprint::measure(bound));
    }
    footprint::report();
    hit::report(&runtime, sessions, rounds, if quick { 100_000 } else { 1_000_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![1, 64, 256], |callers| vec![callers]);
    let server = runtime.block_on(RedisServer::start()).expect("redis-server is installed");
    let (plain, cached) = runtime.block_on(async {
        let plain = RedisStore::connect(&server.url()).await.expect("it opens");
        let cached = RedisStore::connect(&server.url()).await.expect("it opens");
        let cached = cached.cached(CacheSettings::default().max_bytes(256 << 20)).expect("a cache");
        cached.until_whole().await;
        (plain, cached)
    });
    let candidates: [(&str, Arc<dyn SessionStore>); 2] =
        [("Cached<RedisStore>", Arc::new(cached.clone())), ("RedisStore", Arc::new(plain))];
    for callers in callers {
        let operations = if callers == 1 { 20_000 } else { 200_000 } / if quick { 20 } else { 1 };
        compare(&runtime, &candidates, sessions, callers, rounds, operations);
    }
    print_stats(&cached.stats());
}

/// Runs both interleaved, and prints how many times the operations of the other the cached one carries out.
fn compare(
    runtime: &Runtime,
    candidates: &[(&str, Arc<dyn SessionStore>); 2],
    sessions: u32,
    callers: usize,
    rounds: usize,
    operations: usize,
) {
    let prepared: Vec<_> = candidates
        .iter()
        .map(|(_, store)| runtime.block_on(Workload::prepare(Arc::clone(store), sessions)))
        .collect();
    // The first round fills the cache, and is not counted.
    for workload in &prepared {
        runtime.block_on(workload.run(callers, operations));
    }
    let mut runs = [Vec::new(), Vec::new()];
    let throughputs = series(rounds, &[0_usize, 1], |&number| {
        let run = runtime.block_on(prepared[number].run(callers, operations));
        runs[number].push(run);
        run.throughput
    });
    let headings = ["", "a second", "quartiles", "p50 µs", "p99 µs", "cached : this", "quartiles"];
    let mut table =
        Table::new(format!("95 % reads and 5 % conditional writes by Zipf, {callers} callers"), &headings);
    for number in 0..2 {
        let throughput = Summary::of(throughputs[number].clone());
        let ratio = Summary::of_ratios(&throughputs[0], &throughputs[number]);
        table.row([
            candidates[number].0.to_owned(),
            format!("{:.0}", throughput.median),
            throughput.quartiles(),
            format!("{:.1}", Summary::of(runs[number].iter().map(|run| run.p50).collect()).median),
            format!("{:.1}", Summary::of(runs[number].iter().map(|run| run.p99).collect()).median),
            format!("{:.2}", ratio.median),
            ratio.quartiles_to(2),
        ]);
    }
    table.print();
}

#[expect(clippy::print_stdout, reason = "this is what a benchmark is run for")]
fn print_stats(stats: &session_redis::CacheStats) {
    println!("{stats:#?}");
}
