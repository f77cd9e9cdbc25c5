//! The cost of a session for an application, over `MemoryStore`.
//!
//! `cargo bench -p benches --bench session_manager -- [--quick] [--rounds N]`; with
//! `--features peers`, compared with `tower-sessions`. Every round runs all candidates, and a ratio is
//! the median of the ratios within the rounds.

mod alone;
mod payload;
#[cfg(feature = "peers")]
mod peers;

use benches::args::Args;

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 5 } else { 15 });
    let ops = if quick { 20_000 } else { 100_000 };
    alone::report(rounds, ops);
    #[cfg(feature = "peers")]
    for sessions in [1_000, 100_000] {
        peers::report(sessions, rounds, ops / 2);
    }
}
