//! The demo in a real browser: Chromium, controlled by `chromedriver`, on every store that the
//! program supports.
//!
//! Without these two programs, the cases are ignored with that reason, unless `SESSION_REQUIRE`
//! contains `chromium`. `DEMO_SCREENSHOTS=directory` saves screenshots of all pages.

mod browser;
mod cases;
mod demo;
mod driver;
mod screenshots;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_servers::{Deployment, deployments, required};
use tokio::runtime::Builder;

use crate::{cases::Stage, driver::Driver};

/// The URL of an empty store. Otherwise whether its absence is a failure, and what is missing: a
/// program, a server, or a feature of the demo.
async fn url(deployment: Deployment) -> Result<String, (bool, String)> {
    if let Some(reason) = Driver::missing() {
        return Err((required("chromium"), reason));
    }
    let compiled = match deployment.name {
        "redis" => cfg!(feature = "redis"),
        "postgres" => cfg!(feature = "postgres"),
        "mysql" => cfg!(feature = "mysql"),
        "mongo" => cfg!(feature = "mongo"),
        "sqlite" => cfg!(feature = "sqlite"),
        _ => true,
    };
    if !compiled {
        return Err((
            false,
            format!("the demo was compiled without it; --features demo/{}", deployment.name),
        ));
    }
    deployment.new_url().await.map_err(|reason| (deployment.is_required(), reason))
}

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for deployment in deployments() {
        for (name, case) in cases::ALL {
            // A store in memory does not survive a restart.
            if !deployment.is_durable && *name == "a_restart_keeps_the_session" {
                continue;
            }
            if deployment.name != "sqlite" && cases::OF_PAGES.contains(name) {
                continue;
            }
            let has_all = matches!(deployment.name, "sqlite" | "postgres");
            if !has_all && !cases::OF_EACH_STORE.contains(name) {
                continue;
            }
            trials.push(Trial::ignorable_test(format!("{}::{name}", deployment.name), move || {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                runtime.block_on(async {
                    let url = match url(deployment).await {
                        Ok(url) => url,
                        Err((true, reason)) => return Err(Failed::from(reason)),
                        Err((false, reason)) => return Ok(Completion::ignored_with(reason)),
                    };
                    let stage = Stage::set(url).await;
                    case(&stage).await;
                    stage.clear().await;
                    Ok(Completion::Completed)
                })
            }));
        }
    }
    if let Ok(directory) = std::env::var("DEMO_SCREENSHOTS") {
        trials.push(Trial::test("screenshots", move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(screenshots::take(directory.as_ref()));
            Ok(())
        }));
    }
    let mut arguments = Arguments::from_args();
    // Each case starts its own browser.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(2).min(2));
    libtest_mimic::run(&arguments, trials).exit_code()
}
