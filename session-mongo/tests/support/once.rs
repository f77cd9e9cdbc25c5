//! Servers that are started when they are first needed, and ended at the end.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
};

use session_servers::LaunchError;
use tokio::runtime::Runtime;

type Starting<S> = Pin<Box<dyn Future<Output = Result<S, LaunchError>> + Send>>;

/// One server for all tests of a program.
pub(crate) struct Once<S> {
    runtime: &'static Runtime,
    starting: Mutex<Option<Starting<S>>>,
    started: OnceLock<Result<Mutex<Option<Arc<S>>>, String>>,
}

impl<S: Send + Sync + 'static> Once<S> {
    pub(crate) fn new(
        runtime: &'static Runtime,
        start: impl Future<Output = Result<S, LaunchError>> + Send + 'static,
    ) -> Self {
        Self { runtime, starting: Mutex::new(Some(Box::pin(start))), started: OnceLock::new() }
    }

    /// The server, or why there is none. Blocks while it starts.
    pub(crate) fn get(&self) -> Result<Arc<S>, String> {
        let started = self.started.get_or_init(|| {
            let starting = self.starting.lock().expect("no panic").take().expect("the first time");
            let (sender, done) = std::sync::mpsc::channel();
            self.runtime.spawn(async move { drop(sender.send(starting.await)) });
            let started = done.recv().expect("the task ends");
            started.map(|server| Mutex::new(Some(Arc::new(server)))).map_err(|error| error.to_string())
        });
        let server = started.as_ref().map_err(Clone::clone)?;
        Ok(server.lock().expect("no panic").clone().expect("it has not ended"))
    }

    /// Ends the server, if it was started.
    pub(crate) fn end(&self) {
        if let Some(Ok(server)) = self.started.get() {
            server.lock().expect("no panic").take();
        }
    }
}
