//! Compares session stores. See `--help` and the README.

use std::process::ExitCode;

use benches::{
    cli::Cli,
    measure::footprint::{self, FOOTPRINT},
    probe::node::{self, NODE},
    program,
};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    // Subprocesses that this program starts itself; not for users.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, _)) if first == NODE => return ended(node::serve().await),
        Some((first, others)) if first == FOOTPRINT => return ended(footprint::answer(others).await),
        _ => {}
    }
    ended(program::run(&Cli::parse()).await)
}

#[expect(clippy::print_stderr, reason = "an error is for who started the program")]
fn ended(done: benches::candidate::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error}");
            ExitCode::FAILURE
        }
    }
}
