use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, mpsc},
};

use tokio::runtime::Runtime;

use crate::LaunchError;

type Starting<S> = Pin<Box<dyn Future<Output = Result<S, LaunchError>> + Send>>;

/// One server for all tests of a program: started on first use, and ended by [`end`](Self::end).
///
/// Each test has its own runtime, which the server outlives. The server therefore runs on a runtime
/// of the program.
pub struct Once<S> {
    runtime: &'static Runtime,
    starting: Mutex<Option<Starting<S>>>,
    started: OnceLock<Result<Mutex<Option<Arc<S>>>, String>>,
}

impl<S> fmt::Debug for Once<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("started", &self.started.get().is_some()).finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Once<S> {
    /// A server that is not started yet. `start` runs once, on `runtime`.
    pub fn new(
        runtime: &'static Runtime,
        start: impl Future<Output = Result<S, LaunchError>> + Send + 'static,
    ) -> Self {
        Self { runtime, starting: Mutex::new(Some(Box::pin(start))), started: OnceLock::new() }
    }

    /// Returns the server, or the reason why there is none.
    ///
    /// Blocks the thread while the server starts, so it must not be called on a thread of a
    /// runtime.
    ///
    /// # Errors
    /// The text of the [`LaunchError`], for each call.
    ///
    /// # Panics
    /// After [`end`](Self::end), and if the start panics.
    pub fn get(&self) -> Result<Arc<S>, String> {
        let started = self.started.get_or_init(|| {
            let starting = self.starting.lock().expect("no panic").take().expect("the first time");
            let (sender, done) = mpsc::channel();
            self.runtime.spawn(async move { drop(sender.send(starting.await)) });
            let started = done.recv().expect("the task ends");
            started.map(|server| Mutex::new(Some(Arc::new(server)))).map_err(|error| error.to_string())
        });
        let server = started.as_ref().map_err(Clone::clone)?;
        Ok(server.lock().expect("no panic").clone().expect("it has not ended"))
    }

    /// Drops this handle of the server, if it was started. The server stops when no other handle is
    /// left.
    ///
    /// # Panics
    /// If another thread has panicked while it used this.
    pub fn end(&self) {
        if let Some(Ok(server)) = self.started.get() {
            server.lock().expect("no panic").take();
        }
    }
}
