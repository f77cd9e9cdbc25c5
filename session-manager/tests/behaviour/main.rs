//! The promises of the manager, on every engine of `session_servers::deployments`.

mod cases;
mod support;

use std::{process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::{Candidate, Context, candidates};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn trial(candidate: Candidate, case: cases::Case) -> Trial {
    let file = case.file.rsplit("::").next().unwrap_or_default();
    Trial::ignorable_test(format!("{}::{file}::{}", candidate.name(), case.name), move || {
        let opened = RUNTIME.block_on(candidate.open());
        let store = match opened {
            Ok(store) => store,
            Err(reason) if candidate.is_required() => return Err(Failed::from(reason)),
            Err(reason) => return Ok(Completion::ignored_with(reason)),
        };
        let case = (case.run)(Context::new(store, candidate.tells_expiry()));
        match RUNTIME.block_on(async { tokio::time::timeout(support::LIMIT, case).await }) {
            Ok(()) => Ok(Completion::Completed),
            Err(_) => Err(Failed::from("it hangs")),
        }
    })
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Many cases wait for an expiry or a deadline.
    arguments.test_threads.get_or_insert(4);
    let trials = candidates()
        .into_iter()
        .flat_map(|candidate| cases::all().into_iter().map(move |case| trial(candidate, case)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
