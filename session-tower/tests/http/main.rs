//! What a client receives, on every engine of `session_servers::deployments`.

mod app;
mod axum_login;
mod bad_cookies;
mod caching;
mod client;
mod cookies;
mod ending;
mod late;
mod lifetimes;
mod outages;
mod saving;
mod several_cookies;
mod several_layers;
mod store;
mod tower_sessions;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::SessionStore;
use session_servers::{Deployment, deployments};
use tokio::runtime::Builder;

use crate::store::Tap;

/// A case: its name, and the test of a store of its own.
type Case = (&'static str, fn(Arc<Tap>) -> std::pin::Pin<Box<dyn Future<Output = ()>>>);

/// Lists the cases of a file, named after their functions.
macro_rules! cases {
    ($file:literal: $($name:ident),+ $(,)?) => {
        pub(crate) fn cases() -> Vec<$crate::Case> {
            vec![$((concat!($file, "::", stringify!($name)), |tap| Box::pin($name(tap)))),+]
        }
    };
}
pub(crate) use cases;

/// An empty store, or the reason why there is none.
async fn open(deployment: Deployment) -> Result<Arc<dyn SessionStore>, String> {
    let url = deployment.new_url().await?;
    session_connect::connect(&url).await.map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    let cases = || {
        let mut all = Vec::new();
        all.extend(axum_login::cases());
        all.extend(bad_cookies::cases());
        all.extend(caching::cases());
        all.extend(cookies::cases());
        all.extend(ending::cases());
        all.extend(late::cases());
        all.extend(lifetimes::cases());
        all.extend(outages::cases());
        all.extend(saving::cases());
        all.extend(several_cookies::cases());
        all.extend(several_layers::cases());
        all.extend(tower_sessions::cases());
        all
    };
    let trial = |deployment: Deployment, (name, case): Case| {
        Trial::ignorable_test(format!("{}::{name}", deployment.name), move || {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async {
                let store = match open(deployment).await {
                    Ok(store) => store,
                    Err(reason) if deployment.is_required() => return Err(Failed::from(reason)),
                    Err(reason) => return Ok(Completion::ignored_with(reason)),
                };
                case(Arc::new(Tap::new(store))).await;
                Ok(Completion::Completed)
            })
        })
    };
    let trials = deployments()
        .into_iter()
        .flat_map(|deployment| cases().into_iter().map(move |case| trial(deployment, case)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
