//! The costs of the in-memory session store.
//!
//! `cargo bench -p benches --bench memory_store -- [--quick] [--rounds N] [--sessions N] [--only PART]`
//!
//! Four parts: `map`, the store against the bare map that it is built on; `peers`, against the
//! in-memory store of `tower-sessions` (with `--features peers`); `purge`, the cost of freeing
//! expired sessions; `memory`, the bytes of a session beyond its data. Every round runs all
//! candidates, and a ratio is the median of the ratios within the rounds.

mod against_map;
mod footprint;
mod kind;
mod prepare;
mod purge;
mod raw_map;
mod run;
mod session;
mod sessions;
mod the_store;
mod workload;

#[cfg(feature = "peers")]
mod payload;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "peers")]
mod tower;

use benches::args::Args;

fn main() {
    let args = Args::from_env();
    let sessions = args.value("--sessions");
    if let Some(owner) = args.text("--footprint-of") {
        let read = args.text("--read").unwrap_or("never");
        return footprint::measure(owner, sessions.unwrap_or(100_000), read);
    }
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 3 } else { 9 });
    let ops = if quick { 20_000 } else { 40_000 };
    let wanted = |part| args.text("--only").is_none_or(|only| only == part);
    if wanted("map") {
        against_map::report(sessions.unwrap_or(100_000), rounds, ops);
    }
    #[cfg(feature = "peers")]
    if wanted("peers") {
        peers::report(sessions.unwrap_or(100_000), rounds, ops);
    }
    if wanted("purge") {
        purge::report(rounds, if quick { 10 } else { 1 });
    }
    if wanted("memory") {
        match sessions {
            Some(sessions) => footprint::report(&[sessions]),
            None if quick => footprint::report(&[100_000]),
            None => footprint::report(&[100_000, 1_000_000]),
        }
    }
}
