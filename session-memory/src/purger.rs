use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use crate::inner::Inner;

/// Ends the purging thread, when the store is dropped at the latest.
#[derive(Debug, Default)]
pub(crate) struct Purger {
    thread: OnceLock<Thread>,
    ended: AtomicBool,
}

impl Purger {
    /// Whether a thread purges the store.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.get().is_some() && !self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Purger {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a thread that frees expired records at each `interval` until the last handle is gone.
///
/// It is a thread and not a task, so that a store can be created and used without a runtime. If the
/// operating system refuses the thread, and after the store was closed, each write frees expired
/// records of its shard.
pub(crate) fn start(inner: &Arc<Inner>, interval: Duration) -> Option<JoinHandle<()>> {
    let weak = Arc::downgrade(inner);
    let spawned = thread::Builder::new().name("session-purge".to_owned()).spawn(move || run(&weak, interval));
    let handle = spawned.ok()?;
    let _ = inner.purger.thread.set(handle.thread().clone());
    Some(handle)
}

fn run(store: &Weak<Inner>, interval: Duration) {
    loop {
        thread::park_timeout(interval);
        let Some(inner) = store.upgrade() else { return };
        if inner.purger.ended.load(Ordering::Acquire) {
            return;
        }
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
        let thread = start(&inner, Duration::from_hours(1)).expect("a thread");
        drop(inner);
        thread.join().expect("no panic");
    }

    #[test]
    fn closing_ends_the_thread() {
        let inner = Arc::new(Inner::new(&MemoryStore::builder()));
        let thread = start(&inner, Duration::from_hours(1)).expect("a thread");
        inner.purger.end();
        thread.join().expect("no panic");
    }
}
