//! Helpers for steps and checks that many cases share.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_core::{
    Bytes, Error, ErrorKind, Operation, Owner, OwnerChange, Record, SessionId, SessionKey, SessionStore, Ttl,
    Version, When, Write, WriteOutcome,
};

use crate::Breakable;
use crate::failure::{Checked, Failure, ensure, ensure_eq, ensure_let};

/// A ttl that no case outlives.
pub(crate) fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("an hour is a ttl")
}

pub(crate) fn millis(millis: u64) -> Ttl {
    Ttl::new(Duration::from_millis(millis)).expect("the cases use ttls within the range")
}

pub(crate) fn owner(text: &str) -> Owner {
    Owner::new(text).expect("the cases use valid owners")
}

/// A write that outlives the case.
pub(crate) fn write(data: impl Into<Bytes>) -> Write {
    Write::new(data, hour())
}

/// A write that outlives the case and sets this owner.
pub(crate) fn owned(data: impl Into<Bytes>, text: &str) -> Write {
    write(data).owner(OwnerChange::Set(owner(text)))
}

/// Makes a write that must take effect, and returns its version.
pub(crate) async fn put(
    store: &dyn SessionStore,
    key: &SessionKey,
    write: Write,
    when: When,
) -> Checked<Version> {
    let version = write.version;
    ensure_eq!(
        store.write(key, write, when).await?,
        WriteOutcome::Written,
        "a write whose condition ({when:?}) holds must take effect"
    );
    Ok(version)
}

/// Creates a record that outlives the case, and returns its version.
pub(crate) async fn create(store: &dyn SessionStore, key: &SessionKey, data: &str) -> Checked<Version> {
    put(store, key, write(data.to_owned()), When::Absent).await
}

/// Returns the record under a key, which must be live.
pub(crate) async fn live(store: &dyn SessionStore, key: &SessionKey) -> Checked<Record> {
    store.read(key).await?.ok_or_else(|| Failure::new("a record that should be live is not there"))
}

/// Checks that a record is live with this data and version.
pub(crate) async fn ensure_live(
    store: &dyn SessionStore,
    key: &SessionKey,
    data: &str,
    version: Version,
) -> Checked<Record> {
    let record = live(store, key).await?;
    ensure_eq!(record.data, data.as_bytes(), "the record has other data than it should");
    ensure_eq!(record.version, version, "the record has another version than it should");
    Ok(record)
}

/// Checks that no record is live under a key, by a single and a batched read.
pub(crate) async fn ensure_absent(store: &dyn SessionStore, key: &SessionKey) -> Checked {
    ensure_eq!(store.read(key).await?, None, "nothing should be live under this key (read)");
    for result in store.read_many(&[*key]).await {
        ensure_eq!(result?, None, "nothing should be live under this key (read_many)");
    }
    Ok(())
}

/// Checks that a write met a conflict, and returns the record that the conflict carries.
pub(crate) fn ensure_conflict(outcome: WriteOutcome) -> Checked<Option<Record>> {
    ensure_let!(
        WriteOutcome::Conflict(current) = outcome,
        "a write whose condition does not hold must be a conflict"
    );
    Ok(current)
}

/// Checks that an operation failed with this kind, and that its error names the operation.
pub(crate) fn ensure_error<T: std::fmt::Debug>(
    result: Result<T, Error>,
    kind: ErrorKind,
    operation: Operation,
) -> Checked {
    ensure_let!(Err(error) = result, "this should have failed as {kind:?}");
    ensure_eq!(error.kind(), kind, "the error should be of another kind ({error})");
    ensure_eq!(error.operation(), operation, "what the error names ({error})");
    Ok(())
}

/// Returns the result of a batch of one item.
pub(crate) fn only<T>(results: Vec<session_core::Result<T>>) -> Checked<T> {
    let count = results.len();
    match <[_; 1]>::try_from(results) {
        Ok([result]) => Ok(result?),
        Err(_) => Err(Failure::new(format!("{count} results for a batch of one"))),
    }
}

/// Reads, changes and conditionally writes until there is no conflict, as an application does.
pub(crate) async fn modify(
    store: &dyn SessionStore,
    key: &SessionKey,
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> Checked<Version> {
    let mut current = live(store, key).await?;
    loop {
        let next = write(change(&current.data));
        let version = next.version;
        match store.write(key, next, When::Version(current.version)).await? {
            WriteOutcome::Written => return Ok(version),
            WriteOutcome::Conflict(Some(record)) => current = record,
            WriteOutcome::Conflict(None) => return Err(Failure::new("a record that nobody deleted is gone")),
        }
    }
}

/// Adds one to the decimal number that the record holds.
pub(crate) async fn increment(store: &dyn SessionStore, key: &SessionKey) -> Checked<Version> {
    modify(store, key, |data| {
        let number: u64 = std::str::from_utf8(data).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        (number + 1).to_string().into_bytes()
    })
    .await
}

/// Runs futures as separate tasks, all at once, and returns their outputs in their order.
pub(crate) async fn all<T, F>(futures: impl IntoIterator<Item = F>) -> Checked<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in join_all(tasks).await {
        results.push(task?);
    }
    Ok(results)
}

/// Yields to other tasks for this long. More precise than a timer, which counts milliseconds.
pub(crate) async fn spin(moment: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        tokio::task::yield_now().await;
    }
}

/// How much later than a deadline a call may return on a busy machine.
pub(crate) const GRACE: Duration = Duration::from_millis(750);

/// Waits until a store whose server is back serves again: changes and reads, several at a time,
/// over all of its connections.
pub(crate) async fn await_service(mended: &Breakable) -> Checked {
    let limit = mended.recovery + mended.deadline + GRACE;
    let begun = Instant::now();
    loop {
        let calls = (0..8).map(|_| async {
            let key = SessionId::generate().key();
            let _ = mended.store.write(&key, write("x"), When::Any).await?;
            mended.store.read(&key).await
        });
        let failed = join_all(calls).await.into_iter().find_map(Result::err);
        let Some(error) = failed else { return Ok(()) };
        ensure!(error.is_transient(), "after the outage, calls must succeed or be Unavailable, not: {error}");
        ensure!(
            begun.elapsed() < limit,
            "{:?} after the server is back, the store is not: {error}",
            begun.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ttls to try one after another, until one is long enough for the work that must be done within
/// half of it. Stores differ in speed, and machines in load.
pub(crate) fn patient_ttls(first: u64) -> impl Iterator<Item = Ttl> {
    (0..8).map(move |doublings| millis(first << doublings))
}

/// Checks that `expires_in` is at most `ttl`, and at least `ttl` less the time since `written`, the
/// moment before the write.
///
/// It may be less by the duration of the reads, the first of which began at `asked`: a layer that
/// keeps a record counts from before it sent its request.
pub(crate) fn ensure_expires_in(record: &Record, ttl: Ttl, written: Instant, asked: Instant) -> Checked {
    let tick = crate::context::TICK;
    let passed = written.elapsed() + asked.elapsed() + tick;
    let (most, least) = (ttl.as_duration(), ttl.as_duration().saturating_sub(passed));
    ensure!(
        record.expires_in <= most + tick && record.expires_in + tick >= least,
        "the record should expire in {least:?} to {most:?}, but says {:?}",
        record.expires_in
    );
    Ok(())
}
