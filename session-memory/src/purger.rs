use std::{
    sync::{Arc, OnceLock, Weak},
    thread::{self, JoinHandle, Thread},
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
pub(crate) fn start(inner: &Arc<Inner>, interval: Duration) -> Option<JoinHandle<()>> {
    let weak = Arc::downgrade(inner);
    let spawned = thread::Builder::new().name("session-purge".to_owned()).spawn(move || run(&weak, interval));
    let handle = spawned.ok()?;
    let _ = inner.purger.0.set(handle.thread().clone());
    Some(handle)
}

fn run(store: &Weak<Inner>, interval: Duration) {
    loop {
        thread::park_timeout(interval);
        let Some(inner) = store.upgrade() else { return };
        inner.purge(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn the_thread_ends_with_the_store_and_not_with_its_interval() {
        let inner = Arc::new(Inner::new(&MemoryStore::builder()));
        let thread = start(&inner, Duration::from_secs(3600)).expect("a thread");
        drop(inner);
        thread.join().expect("no panic");
    }
}
