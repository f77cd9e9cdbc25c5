//! Turns async functions into trials.

use std::error::Error;
use std::time::Duration;

use libtest_mimic::{Completion, Failed, Trial};
use session_servers::redis::Redis;
use session_servers::{Engine, Program, required};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The result of a case.
pub(crate) type Verdict = Result<(), Box<dyn Error + Send + Sync>>;

/// The timeout of a case: longer than any working case needs, so that a hanging case fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A case that needs only this machine.
pub(crate) fn case<F: Future<Output = Verdict> + 'static>(name: &str, run: fn() -> F) -> Trial {
    Trial::test(name, move || play(run))
}

/// A case that needs `redis-server`. If it is missing, the case is ignored, or fails if
/// `SESSION_REQUIRE` names `redis`.
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
