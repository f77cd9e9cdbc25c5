//! The demo as a person meets it: in Chromium, by way of `chromedriver`, on every store that this program has.
//!
//! Without these two programs the cases are ignored with that reason, unless `SESSION_REQUIRE` holds `chromium`. `DEMO_SCREENSHOTS=directory` keeps
//! pictures of all pages.

mod browser;
mod cases;
mod demo;
mod driver;
mod screenshots;

use std::{path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};
use session_servers::required;
use tokio::runtime::Builder;

use crate::{cases::Stage, driver::Driver};

/// A store that the cases run on: a word, and its URL in a directory of its own.
type Store = (&'static str, fn(&Path) -> String);

const STORES: [Store; 2] = [
    ("memory", |_| "memory:".to_owned()),
    ("sqlite", |directory| format!("sqlite:{}/sessions.db", directory.display())),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for (kind, url) in STORES {
        for (name, case) in cases::ALL {
            // What is in this process ends with it.
            if kind == "memory" && *name == "a_restart_keeps_the_session" {
                continue;
            }
            trials.push(Trial::ignorable_test(format!("{kind}::{name}"), move || {
                let missing = Driver::missing();
                match missing {
                    Some(reason) if required("chromium") => return Err(reason.into()),
                    Some(reason) => return Ok(Completion::ignored_with(reason)),
                    None => {}
                }
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                runtime.block_on(async {
                    let directory = tempfile::tempdir().expect("a directory");
                    let stage = Stage::set(url(directory.path())).await;
                    case(&stage).await;
                    stage.clear().await;
                });
                Ok(Completion::Completed)
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
    // Each case has a browser of its own.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(2).min(2));
    libtest_mimic::run(&arguments, trials).exit_code()
}
