//! Ctrl-C: what was measured so far is kept.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

/// Whether the run is to end. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<(AtomicBool, Notify)>);

impl Interrupt {
    /// Listens for Ctrl-C (SIGINT) and SIGTERM. The second time, the program ends at once.
    ///
    /// # Errors
    ///
    /// If signals cannot be heard.
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

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// What `work` returns, unless it is interrupted: then it is dropped.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let come = self.0.1.notified();
        tokio::pin!(come);
        // From here on it is heard, so what comes between the question and the wait is not missed.
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
