//! The cost of `Cached` itself: a hit compared with a bare look-up in moka, and its memory. Its
//! gain is in the report of the program.
//!
//! `cargo bench -p benches --bench cached_store -- [--quick] [--rounds N] [--sessions N]`

mod footprint;
mod hit;
mod sessions;

use benches::args::Args;
use tokio::runtime::Builder;

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
}
