//! The launcher on real servers, and the proxy between the two ends of real connections.

mod child;
mod databases;
mod dying;
mod helper;
mod launching;
mod lifecycle;
mod line;
mod mongo;
mod proxy;
mod trials;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    if let Some(role) = helper::role() {
        return helper::play(&role);
    }
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(child::trials());
    trials.extend(databases::trials());
    trials.extend(dying::trials());
    trials.extend(launching::trials());
    trials.extend(lifecycle::trials());
    trials.extend(mongo::trials());
    trials.extend(proxy::trials());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
