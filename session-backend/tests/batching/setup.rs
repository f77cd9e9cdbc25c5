use std::{future::Future, pin::Pin, time::Duration};

use futures_util::future::poll_immediate;
use session_backend::{BatchSettings, Batched};
use session_core::{Record, Result, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome};
use tokio::task::{JoinHandle, coop::unconstrained};

use crate::gate::{Gate, Keeper};

/// A batched store behind a shut gate, with one batch at a time.
pub(crate) fn one_at_a_time() -> (Batched<Gate>, Keeper) {
    batched(BatchSettings::default().max_in_flight(1))
}

pub(crate) fn batched(settings: BatchSettings) -> (Batched<Gate>, Keeper) {
    let (gate, keeper) = Gate::new();
    (Batched::new(gate, settings).expect("a runtime"), keeper)
}

/// Key number `n`.
pub(crate) fn key(n: u16) -> SessionKey {
    let mut bytes = [0; SessionKey::LEN];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    SessionKey::from_bytes(bytes)
}

pub(crate) fn ttl() -> Ttl {
    Ttl::new(Duration::from_mins(10)).expect("in range")
}

pub(crate) fn content(data: impl Into<String>) -> Write {
    Write::new(data.into(), ttl())
}

/// Begins an operation. On return it was sent, is in the queue, or waits for room there.
pub(crate) async fn begin<T: Send + 'static>(
    operation: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let mut operation = Box::pin(operation);
    // Unconstrained: otherwise the work of the test itself could use up the task's tokio budget.
    match poll_immediate(unconstrained(&mut operation)).await {
        Some(output) => tokio::spawn(async { output }),
        None => tokio::spawn(operation),
    }
}

/// Begins a read of key number `n`.
pub(crate) async fn begin_read(store: &Batched<Gate>, n: u16) -> JoinHandle<Result<Option<Record>>> {
    let store = store.clone();
    begin(async move { store.read(&key(n)).await }).await
}

/// Begins an unconditional write of key number `n`.
pub(crate) async fn begin_write(
    store: &Batched<Gate>,
    n: u16,
    data: &str,
) -> JoinHandle<Result<WriteOutcome>> {
    let (store, write) = (store.clone(), content(data));
    begin(async move { store.write(&key(n), write, When::Any).await }).await
}

/// The data of key number `n` in the wrapped store.
pub(crate) async fn data(store: &Batched<Gate>, n: u16) -> Option<String> {
    let record = store.get_ref().read(&key(n)).await.expect("a read");
    record.map(|record| String::from_utf8(record.data.to_vec()).expect("text"))
}

/// Begins a write that is sent immediately, and returns its future, which is not polled again.
pub(crate) async fn keep_unpolled(store: &Batched<Gate>, n: u16) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let store = store.clone();
    let mut kept: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let _ = store.write(&key(n), content("kept"), When::Any).await;
    });
    assert!(poll_immediate(&mut kept).await.is_none());
    kept
}

/// Waits for a write, which must have succeeded.
pub(crate) async fn written(write: JoinHandle<Result<WriteOutcome>>) {
    assert!(write.await.expect("no panic").expect("a write").is_written());
}
