//! Compares session stores: see `--help`, and the README.

use std::process::ExitCode;

use benches::{
    cli::Cli,
    probe::node::{self, NODE},
    program,
};
use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    // A process that the checks start; not for users.
    if std::env::args().nth(1).is_some_and(|argument| argument == NODE) {
        return ended(node::serve().await);
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
