use std::{
    mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{runtime, time};

use crate::{
    Case, Context, Namespace, Target, context::soak_factor, pace::Pace, rounds::Shortfall,
    target::Unavailable,
};

/// The result of running one case on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target does what the case requires.
    Kept,
    /// The target does not. The text names the promise, the expected and the observed behaviour.
    Broken(String),
    /// The target lacks a hook or an ability that the case needs. The text is the reason.
    NotProven(String),
    /// The target could not be opened here. The text is the reason.
    Unavailable(String),
    /// The target does what the case requires, but is too slow here for enough rounds to show it.
    /// The text says how many were done.
    TooSlow(String),
}

impl Case {
    /// Runs the case in its own runtime and namespace. Blocks the thread.
    ///
    /// # Panics
    /// If the operating system cannot start the threads of a runtime.
    pub fn check(&self, target: &Target) -> Verdict {
        if let Some(reason) = self.not_proven_by(target) {
            return Verdict::NotProven(reason);
        }
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .expect("the operating system gives the threads of a runtime");
        let verdict = runtime.block_on(self.run_on(target));
        runtime.shutdown_timeout(Duration::from_secs(1));
        verdict
    }

    async fn run_on(&self, target: &Target) -> Verdict {
        let usual = target.case_limit * soak_factor();
        let namespace = Namespace::random();
        let opening = async {
            let store = (target.open)(namespace.clone()).await?;
            let pace = Pace::of(&*store).await;
            Ok((store, pace))
        };
        let (store, pace) = match time::timeout(usual, opening).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(Unavailable(reason))) => return Verdict::Unavailable(reason),
            Err(_) => return self.hangs(usual),
        };
        let limit = usual * pace.patience();
        let case = async {
            let (shortfall, opened) = (Shortfall::default(), Arc::default());
            let context = Context::new(
                target.clone(),
                namespace.clone(),
                store.clone(),
                pace,
                shortfall.clone(),
                Arc::clone(&opened),
            );
            let found = tokio::spawn((self.run)(context)).await;
            let verdict = match found {
                Ok(Ok(())) => shortfall.reason().map_or(Verdict::Kept, Verdict::TooSlow),
                Ok(Err(failure)) => self.broken(&failure),
                Err(stopped) => self.broken(&match stopped.try_into_panic() {
                    Ok(payload) => format!("it panicked: {}", panic_message(&*payload)),
                    Err(error) => error.to_string(),
                }),
            };
            // After a case has broken its own server, or has failed, the result of the close is
            // irrelevant.
            let _ = store.close().await;
            if let Some(clean_up) = &target.clean_up {
                let opened = mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
                for namespace in opened.into_iter().chain([namespace.clone()]) {
                    clean_up(namespace).await;
                }
            }
            verdict
        };
        time::timeout(limit, case).await.unwrap_or_else(|_| self.hangs(limit))
    }

    fn hangs(&self, limit: Duration) -> Verdict {
        self.broken(&format!("it was not done after {limit:?}: something hangs"))
    }

    fn broken(&self, found: &dyn std::fmt::Display) -> Verdict {
        let promise = self.promise();
        Verdict::Broken(format!(
            "promise {} ({}) is broken: {}\n    {found}",
            promise.number(),
            promise.title(),
            self.shows()
        ))
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)")
}
