//! Ctrl-C: the results so far are kept.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

/// Whether the run is to end. All clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<(AtomicBool, Notify)>);

impl Interrupt {
    /// Listens for Ctrl-C (SIGINT) and SIGTERM. The second signal ends the program at once.
    ///
    /// # Errors
    ///
    /// If the signal handlers cannot be installed.
    pub fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let told = interrupt.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
                if told.has_come() {
                    std::process::exit(130);
                }
                told.0.0.store(true, Ordering::SeqCst);
                told.0.1.notify_waiters();
            }
        });
        Ok(interrupt)
    }

    /// Whether a signal has arrived.
    pub fn has_come(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Returns the output of `work`, or `None` after dropping it at an interrupt.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let come = self.0.1.notified();
        tokio::pin!(come);
        // Registered from here on, so that a signal between the check and the wait is not missed.
        come.as_mut().enable();
        if self.has_come() {
            return None;
        }
        tokio::select! {
            () = come => None,
            done = work => Some(done),
        }
    }
}
