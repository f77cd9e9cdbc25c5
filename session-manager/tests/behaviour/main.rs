//! What the manager promises, on every store of the workspace. A store joins with a line in `support/backends.rs`.

mod cases;
mod support;

use std::{process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use support::{Backend, Context, backends};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn trial(backend: Backend, case: cases::Case) -> Trial {
    let file = case.file.rsplit("::").next().unwrap_or_default();
    Trial::ignorable_test(format!("{}::{file}::{}", backend.name, case.name), move || {
        let opened = RUNTIME.block_on((backend.open)());
        let store = match opened {
            Ok(store) => store,
            Err(reason) if session_servers::required(backend.name) => return Err(Failed::from(reason)),
            Err(reason) => return Ok(Completion::ignored_with(reason)),
        };
        let case = (case.run)(Context::new(store));
        match RUNTIME.block_on(async { tokio::time::timeout(support::LIMIT, case).await }) {
            Ok(()) => Ok(Completion::Completed),
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
