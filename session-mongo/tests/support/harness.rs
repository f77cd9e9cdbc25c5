//! Cases that need `mongod`. Without it they are ignored, with the reason, unless `SESSION_REQUIRE`
//! demands it.

use std::{future::Future, pin::Pin, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_servers::{Engine, mongo::Mongo, required};

use super::runtime;

/// Runs a case in its own runtime. A panic is a failure.
pub(crate) type Case = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// Names a case after its function.
#[allow(unused_macros)]
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        &[$((stringify!($case), || Box::pin($case()))),*]
    };
}
#[allow(unused_imports)]
pub(crate) use cases;

pub(crate) fn main(cases: &[Case]) -> ExitCode {
    let missing =
        Mongo::new().program().find().err().filter(|_| !required("mongo")).map(|error| error.to_string());
    let trials = cases.iter().map(|(name, case)| {
        let (case, missing) = (*case, missing.clone());
        Trial::ignorable_test(*name, move || match missing {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => runtime()
                .block_on(async { tokio::spawn(case()).await })
                .map(|()| Completion::Completed)
                .map_err(Failed::from),
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
