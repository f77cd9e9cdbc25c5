//! What the manager promises, on every store of the workspace. A store joins with a line in `support/backends.rs`.

mod cases;
mod support;

use std::{process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::{Backend, Context, backends};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn trial(backend: Backend, case: cases::Case) -> Trial {
    Trial::ignorable_test(format!("{}::{}", backend.name, case.name), move || {
        let opened = RUNTIME.block_on((backend.open)());
        let store = match opened {
            Ok(store) => store,
            Err(reason) if session_servers::required(backend.name) => return Err(Failed::from(reason)),
            Err(reason) => return Ok(Completion::ignored_with(reason)),
        };
        // A task of the runtime, not its main future, which would share a thread with nobody.
        let run = RUNTIME.spawn((case.run)(Context::new(store)));
        match RUNTIME.block_on(async { tokio::time::timeout(support::LIMIT, run).await }) {
            Ok(Ok(())) => Ok(Completion::Completed),
            Ok(Err(panic)) => match panic.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Failed::from(error.to_string())),
            },
            Err(_) => Err(Failed::from("it hangs")),
        }
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = backends()
        .into_iter()
        .flat_map(|backend| cases::all().into_iter().map(move |case| trial(backend, case)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
