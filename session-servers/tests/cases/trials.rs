//! From an async function to a trial.

use std::error::Error;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use session_servers::redis::Redis;
use session_servers::{Engine, Program, required};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// What a case returns.
pub(crate) type Verdict = Result<(), Box<dyn Error + Send + Sync>>;

/// Longer than any working case needs, so that a case which hangs fails instead.
const PATIENCE: Duration = Duration::from_mins(1);

/// A case that needs nothing but this machine.
pub(crate) fn case<F: Future<Output = Verdict> + 'static>(name: &str, run: fn() -> F) -> Trial {
    Trial::test(name, move || play(run))
}

/// A case that needs `redis-server`. Without it the case is ignored, or fails when `SESSION_REQUIRE` says so.
pub(crate) fn redis_case<F: Future<Output = Verdict> + 'static>(name: &str, run: fn() -> F) -> Trial {
    case_with(name, "redis", Redis::new().program(), run)
}

/// A case that needs one program, which `SESSION_REQUIRE` may demand under the name `server`.
pub(crate) fn case_with<F: Future<Output = Verdict> + 'static>(
    name: &str,
    server: &'static str,
    program: Program,
    run: fn() -> F,
) -> Trial {
    Trial::ignorable_test(name, move || match program.find() {
        Err(missing) if !required(server) => Ok(Completion::ignored_with(missing)),
        Err(missing) => Err(missing.into()),
        Ok(_) => play(run).map(|()| Completion::Completed),
    })
}

fn play<F: Future<Output = Verdict> + 'static>(run: fn() -> F) -> Result<(), Failed> {
    let runtime = Runtime::new()?;
    runtime
        .block_on(async { timeout(PATIENCE, run()).await? })
        .map_err(|error| Failed::from(format!("{error:?}")))
}
