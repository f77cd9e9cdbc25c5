//! Mistakes in batches, and the store as a whole.

use std::{collections::HashSet, sync::atomic::Ordering, task::Poll};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Event, EventStream, Expected, Maintenance, Operation,
    OwnerIndex, Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch,
    When, Write, WriteItem, WriteOutcome, async_trait,
};
use tokio::sync::{broadcast::error::RecvError, mpsc};

use super::{
    Kind, Op,
    layer::{Flawed, gap},
};

/// The number of items that a batch with a lost tail executes.
const HEAD: usize = 1_000;

impl Flawed {
    /// Makes the calls one after another, each for its key, and adds the mistakes of batches.
    /// `lost` is the answer for items that are not executed.
    async fn batch<T: Clone>(
        &self,
        op: Op,
        calls: Vec<(SessionKey, BoxFuture<'_, Result<T>>)>,
        lost: T,
    ) -> Vec<Result<T>> {
        let mut results: Vec<Result<T>> = Vec::with_capacity(calls.len());
        let mut later: HashSet<SessionKey> = HashSet::new();
        let mut superseded = vec![false; calls.len()];
        if self.has(Kind::KeepsTheLast, op) {
            for (at, (key, _)) in calls.iter().enumerate().rev() {
                superseded[at] = !later.insert(*key);
            }
        }
        let mut held = Vec::new();
        let distinct = calls.iter().map(|(key, _)| key).collect::<HashSet<_>>().len() == calls.len();
        if self.has(Kind::LocksInTurn, op) && distinct {
            let keys: Vec<SessionKey> = calls.iter().map(|(key, _)| *key).collect();
            for key in &keys {
                let lock = self.shared.memory().locks.entry(*key).or_default().clone();
                held.push(lock.lock_owned().await);
                gap().await;
            }
        }
        for (at, (_, call)) in calls.into_iter().enumerate() {
            let outage = match results.last() {
                // The next call would only wait, too.
                Some(Err(error)) if error.is_transient() && self.in_op(Kind::HidesTail).is_some() => {
                    Some(Error::unavailable(error.operation(), false))
                }
                _ => None,
            };
            if let Some(error) = outage {
                results.push(Err(error));
            } else if superseded[at] || at >= HEAD && self.has(Kind::LosesTail, op) {
                results.push(Ok(lost.clone()));
            } else {
                results.push(call.await);
            }
        }
        if self.has(Kind::HidesTail, op)
            && let Some(first) = results.iter().position(Result::is_err)
        {
            for result in &mut results[first..] {
                *result = Err(Error::unavailable(Operation::Write, false));
            }
        }
        if self.has(Kind::Reverses, op) {
            results.reverse();
        }
        if self.has(Kind::FailsAsOne, op)
            && let Some(Err(error)) = results.iter().find(|result| result.is_err())
        {
            let error = error.clone();
            for result in &mut results {
                *result = Err(error.clone());
            }
        }
        results
    }
}

#[async_trait]
impl SessionStore for Flawed {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.read_as(Op::Read, key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.write_as(Op::Write, key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.touch_as(Op::Touch, key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.delete_as(Op::Delete, key, expected).await
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.rename_as(old, new, write, expected).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let op = Op::ReadMany;
        let calls = keys.iter().map(|key| (*key, self.read_as(op, key).boxed()));
        self.batch(op, calls.collect(), None).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let op = Op::WriteMany;
        let calls = items
            .iter()
            .map(|item| (item.key, self.write_as(op, &item.key, item.write.clone(), item.when).boxed()));
        self.batch(op, calls.collect(), WriteOutcome::Written).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let op = Op::TouchMany;
        let calls = items.iter().map(|item| (item.key, self.touch_as(op, &item.key, item.ttl).boxed()));
        self.batch(op, calls.collect(), true).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let op = Op::DeleteMany;
        let calls = items.iter().map(|item| (item.key, self.delete_as(op, &item.key, item.expected).boxed()));
        self.batch(op, calls.collect(), DeleteOutcome::Deleted).await
    }

    async fn ping(&self) -> Result<()> {
        self.guarded(Op::Ping, || (), self.inner.ping()).await
    }

    async fn close(&self) -> Result<()> {
        let closed = self.close_handle();
        if self.in_op(Kind::ClosesOthers).is_some() {
            self.shared.all_closed.store(true, Ordering::SeqCst);
        }
        self.inner.close().await?;
        closed
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}

#[async_trait]
impl Watch for Flawed {
    async fn subscribe(&self) -> Result<EventStream> {
        let op = Op::Subscribe;
        let inner = self.inner.watch().expect("the reference store has one").subscribe();
        let events = self.guarded(op, || stream::empty().boxed(), inner).await;
        let events = match events {
            Err(error) if error.kind() == ErrorKind::Closed && self.has(Kind::BeginsWhenClosed, op) => {
                return Ok(stream::pending().boxed());
            }
            events => events?,
        };
        if self.has(Kind::IsNotWoken, op) {
            let closed = self.closed.clone();
            let (forward, mut forwarded) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let mut events = events;
                while let Some(event) = events.next().await {
                    // The listener may have gone.
                    let _ = forward.send(event);
                }
                std::future::pending::<()>().await;
            });
            return Ok(stream::poll_fn(move |task| {
                if closed.load(Ordering::SeqCst) { Poll::Ready(None) } else { forwarded.poll_recv(task) }
            })
            .boxed());
        }
        let shared = self.shared.clone();
        let heard = events.filter(move |event| {
            let is_muted = match event {
                Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => {
                    shared.memory().muted.contains(key)
                }
                _ => false,
            };
            std::future::ready(!is_muted)
        });
        let early = stream::unfold(self.shared.early.subscribe(), |mut early| async move {
            match early.recv().await {
                Ok(event) => Some((event, early)),
                Err(RecvError::Lagged(_)) => Some((Event::Missed, early)),
                Err(RecvError::Closed) => None,
            }
        });
        // The stream ends when the stream of the store does.
        let ended = heard.map(Some).chain(stream::iter([None]));
        Ok(stream::select(ended, early.map(Some))
            .take_while(|event| std::future::ready(event.is_some()))
            .filter_map(std::future::ready)
            .boxed())
    }
}
