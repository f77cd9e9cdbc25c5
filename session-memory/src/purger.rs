use std::{
    sync::{Arc, OnceLock, Weak},
    thread::{self, Thread},
    time::Duration,
};

use crate::inner::Inner;

/// Wakes the purging thread when the store is dropped, so that it ends at once.
#[derive(Debug, Default)]
pub(crate) struct Wake(OnceLock<Thread>);

impl Drop for Wake {
    fn drop(&mut self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

/// Frees expired records now and then on a thread of its own, until the last handle is gone.
///
/// A thread and not a task, so that a store can be made and used without a runtime. If the operating system refuses
/// it, space is freed when a limit is reached and when `purge_expired` is called.
pub(crate) fn start(inner: &Arc<Inner>, interval: Duration) {
    let weak = Arc::downgrade(inner);
    let spawned = thread::Builder::new().name("session-purge".to_owned()).spawn(move || run(&weak, interval));
    if let Ok(handle) = spawned {
        let _ = inner.purger.0.set(handle.thread().clone());
    }
}

fn run(store: &Weak<Inner>, interval: Duration) {
    loop {
        thread::park_timeout(interval);
        let Some(inner) = store.upgrade() else { return };
        inner.purge(usize::MAX);
    }
}
