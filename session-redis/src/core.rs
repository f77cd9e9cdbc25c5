use std::{slice, sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::Value;
use session_core::{Error, Operation, Result, Write};
use tokio::{
    sync::{RwLock, RwLockReadGuard, watch},
    time::{Instant, sleep},
};

use crate::{
    address::Address,
    errors::{Refusal, closed, refusal, refused, unexpected},
    namespace::Namespace,
    node::{Node, jittered},
    owners_seen::OwnersSeen,
    pending::{Disposition, Pending, all, pipeline},
    request::{Answer, Idempotency, Request, Route, SlotMigration},
    role::guard_refuses,
    topology::Topology,
    watch::Watching,
};

/// The maximum number of items in one round trip.
pub(crate) const MAX_ITEMS: usize = 512;

/// About the maximum number of bytes in one round trip. A single larger item is sent alone.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// The state that all handles on one store share. It sends requests to their servers.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) topology: Topology,
    pub(crate) namespace: Namespace,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    pub(crate) max_retries: u32,
    pub(crate) watching: Watching,
    pub(crate) owners_seen: OwnersSeen,
    pub(crate) closed: watch::Sender<bool>,
    /// Read-locked by the operations in flight.
    pub(crate) under_way: RwLock<()>,
}

/// The pauses between attempts: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

impl Core {
    /// Keeps the store open during an operation, or fails if it is closed.
    pub(crate) async fn begin(&self, operation: Operation) -> Result<RwLockReadGuard<'_, ()>> {
        if *self.closed.borrow() {
            return Err(closed(operation));
        }
        let guard = self.under_way.read().await;
        if *self.closed.borrow() { Err(closed(operation)) } else { Ok(guard) }
    }

    pub(crate) fn check_len(&self, operation: Operation, write: &Write) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }

    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.deadline
    }

    /// Carries out one request. With `clock`, the node is asked for its time first.
    pub(crate) async fn one(&self, operation: Operation, request: Request, clock: bool) -> Result<Answer> {
        let _open = self.begin(operation).await?;
        let mut patience = RetryBudget::until(self.until());
        let mut pending = Pending::new((0, request));
        loop {
            let (left, trouble) = match self.attempt_one(operation, pending, clock, patience.until).await {
                Disposition::Done(answer) => return answer,
                Disposition::Retry(again) => (again, None),
                Disposition::RetryLater(later, error) => (later, Some(error)),
            };
            if !patience.rest(trouble.is_some()).await {
                let error = trouble.unwrap_or_else(|| late(operation, false));
                return Err(left.failed(operation, &error));
            }
            pending = left;
        }
    }

    /// Like [`attempt`](Self::attempt), for one request, which needs no grouping.
    async fn attempt_one(
        &self,
        operation: Operation,
        pending: Pending,
        clock: bool,
        until: Instant,
    ) -> Disposition {
        let changes = self.map_news();
        let Some(node) = self.node_of(&pending) else { return self.without_node(operation, pending) };
        let (commands, skipped) = pipeline(slice::from_ref(&pending), clock);
        let again = pending.request.again;
        match self.exchange(operation, &node, again, &commands, until, changes).await {
            Ok((link, replies)) => {
                let (heard, mut replies) = Heard::from(&node, &link.address, replies, skipped, clock);
                self.disposition(operation, &heard, pending, &mut replies)
            }
            Err(unanswered) => self.disposition_without_answer(operation, pending, &unanswered),
        }
    }

    /// Carries out independent requests, in one round trip to each node unless some must be
    /// retried. With `clock`, each node is asked for its time first.
    pub(crate) async fn many(
        &self,
        operation: Operation,
        requests: Vec<Request>,
        clock: bool,
        until: Instant,
    ) -> Vec<Result<Answer>> {
        let count = requests.len();
        let _open = match self.begin(operation).await {
            Ok(open) => open,
            Err(error) => return (0..count).map(|_| Err(error.clone())).collect(),
        };
        let mut pending: Vec<Pending> = requests.into_iter().enumerate().map(Pending::new).collect();
        let mut answers: Vec<Option<Result<Answer>>> = Vec::new();
        answers.resize_with(count, || None);
        let mut patience = RetryBudget::until(until);
        while !pending.is_empty() {
            let (mut next, mut trouble) = (Vec::new(), None);
            for (place, disposition) in self.attempt(operation, pending, clock, until).await {
                match disposition {
                    Disposition::Done(answer) => answers[place] = Some(answer),
                    Disposition::Retry(again) => next.push(again),
                    Disposition::RetryLater(later, error) => {
                        next.push(later);
                        trouble = Some(error);
                    }
                }
            }
            pending = next;
            if !pending.is_empty() && !patience.rest(trouble.is_some()).await {
                for left in pending.drain(..) {
                    let error = trouble.clone().unwrap_or_else(|| late(operation, false));
                    answers[left.place] = Some(Err(left.failed(operation, &error)));
                }
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(unexpected(operation, "there"))))
            .collect()
    }

    /// Sends the pending requests to their nodes concurrently.
    async fn attempt(
        &self,
        operation: Operation,
        pending: Vec<Pending>,
        clock: bool,
        until: Instant,
    ) -> Vec<(usize, Disposition)> {
        let changes = self.map_news();
        let mut groups: Vec<(Arc<Node>, Idempotency, Vec<Pending>)> = Vec::with_capacity(1);
        let mut fates = Vec::with_capacity(pending.len());
        for pending in pending {
            let Some(node) = self.node_of(&pending) else {
                fates.push((pending.place, self.without_node(operation, pending)));
                continue;
            };
            let again = pending.request.again;
            // There are few groups: at most one for each node and kind of request.
            match groups.iter_mut().find(|(other, kind, _)| Arc::ptr_eq(other, &node) && *kind == again) {
                Some((_, _, group)) => group.push(pending),
                None => groups.push((node, again, vec![pending])),
            }
        }
        if let [_] = groups[..]
            && let Some((node, again, group)) = groups.pop()
        {
            fates.extend(self.send(operation, &node, again, group, clock, until, changes).await);
            return fates;
        }
        let sent = groups.into_iter().map(|(node, again, group)| {
            let changes = changes.clone();
            async move { self.send(operation, &node, again, group, clock, until, changes).await }
        });
        fates.extend(join_all(sent).await.into_iter().flatten());
        fates
    }

    /// Sends requests of one kind to one node, as one pipeline.
    #[allow(clippy::too_many_arguments)]
    async fn send(
        &self,
        operation: Operation,
        node: &Arc<Node>,
        again: Idempotency,
        group: Vec<Pending>,
        clock: bool,
        until: Instant,
        changes: Option<watch::Receiver<u64>>,
    ) -> Vec<(usize, Disposition)> {
        let (commands, skipped) = pipeline(&group, clock);
        match self.exchange(operation, node, again, &commands, until, changes).await {
            Ok((link, replies)) => {
                let (heard, mut replies) = Heard::from(node, &link.address, replies, skipped, clock);
                all(group, |pending| self.disposition(operation, &heard, pending, &mut replies))
            }
            Err(unanswered) => {
                all(group, |pending| self.disposition_without_answer(operation, pending, &unanswered))
            }
        }
    }

    /// Decides by the next reply what happens to a request.
    fn disposition(
        &self,
        operation: Operation,
        heard: &Heard<'_>,
        mut pending: Pending,
        replies: &mut impl Iterator<Item = Value>,
    ) -> Disposition {
        if pending.ask.is_some() {
            replies.next();
        }
        let reply = replies.next();
        if heard.from_replica {
            return self.told_by_replica(operation, heard.node, pending, reply.as_ref());
        }
        let disposition = match reply {
            None => Disposition::Done(Err(unexpected(operation, "complete"))),
            Some(Value::ServerError(error)) => match refusal(&error) {
                Refusal::NoScript if pending.request.script.is_some() => {
                    pending.load = true;
                    Disposition::Retry(pending)
                }
                Refusal::Moved(target) => self.moved(pending, operation, heard.address, &target),
                Refusal::Ask(target) => self.asked(pending, heard.address, &target),
                Refusal::Name(owner) if pending.moving != SlotMigration::Owner(owner.clone()) => {
                    if let Some(key) = &pending.request.about {
                        self.owners_seen.note_named(key, &owner);
                    }
                    pending.moving = SlotMigration::Owner(owner);
                    pending.rebuild();
                    Disposition::Retry(pending)
                }
                Refusal::Final => {
                    Disposition::Done(Err(pending.failed(operation, &refused(operation, &error))))
                }
                refusal => {
                    if refusal == Refusal::Elsewhere {
                        heard.node.distrust();
                    }
                    self.look_again();
                    pending.settle();
                    Disposition::RetryLater(pending, refused(operation, &error))
                }
            },
            Some(value) => Disposition::Done(match heard.now {
                Some(now) => Ok(Answer { value, now, doubt: pending.doubt }),
                None => Err(unexpected(operation, "the time")),
            }),
        };
        disposition.patiently(operation)
    }

    /// Decides what happens to a request that a replica has answered. The answer may be stale.
    fn told_by_replica(
        &self,
        operation: Operation,
        node: &Node,
        mut pending: Pending,
        reply: Option<&Value>,
    ) -> Disposition {
        node.distrust();
        self.look_again();
        pending.settle();
        let error = |may_have_applied| {
            Error::unavailable(operation, may_have_applied).because(format!(
                "{} is a replica now, and sessions are read from primaries alone",
                node.name
            ))
        };
        // A replica that is configured as writable has carried out the change, and loses it at its
        // next synchronization.
        if pending.request.again != Idempotency::Query && !matches!(reply, Some(Value::ServerError(_))) {
            pending.doubt = true;
            if pending.request.again == Idempotency::Once {
                return Disposition::Done(Err(error(true)));
            }
        }
        Disposition::RetryLater(pending, error(false))
    }

    /// A receiver of changes of the cluster map. It is created before the map is read, so that no
    /// change goes unnoticed.
    fn map_news(&self) -> Option<watch::Receiver<u64>> {
        match &self.topology {
            Topology::Cluster(cluster) => Some(cluster.changes()),
            Topology::One(_) => None,
        }
    }

    fn node_of(&self, pending: &Pending) -> Option<Arc<Node>> {
        pending.ask.clone().or_else(|| self.topology.node(&pending.request.to))
    }

    fn without_node(&self, operation: Operation, pending: Pending) -> Disposition {
        self.look_again();
        let error = Error::unavailable(operation, false).because("no node has the slot of this session");
        Disposition::RetryLater(pending, error)
    }

    fn moved(
        &self,
        mut pending: Pending,
        operation: Operation,
        asked: &Address,
        target: &str,
    ) -> Disposition {
        let Topology::Cluster(cluster) = &self.topology else {
            let reason = "the server is a node of a cluster; connect by redis+cluster://";
            return Disposition::Done(Err(
                Error::new(session_core::ErrorKind::Config, operation).because(reason)
            ));
        };
        pending.settle();
        if let (Route::Shard(shard), Some(address)) = (&pending.request.to, cluster.redirected(asked, target))
        {
            cluster.moved(*shard, &address);
            Disposition::Retry(pending)
        } else {
            cluster.look_again();
            Disposition::RetryLater(
                pending,
                Error::unavailable(operation, false).because("the slot has moved"),
            )
        }
    }

    fn asked(&self, mut pending: Pending, asked: &Address, target: &str) -> Disposition {
        if let Topology::Cluster(cluster) = &self.topology
            && let Some(address) = cluster.redirected(asked, target)
        {
            pending.ask = Some(cluster.at(&address));
            pending.moving = SlotMigration::Key;
            pending.rebuild();
        }
        Disposition::Retry(pending)
    }
}

/// What the replies to a pipeline have in common.
struct Heard<'a> {
    node: &'a Node,
    address: &'a Address,
    from_replica: bool,
    /// The server's time, or zero if it was not asked for; `None` if the reply is malformed.
    now: Option<u64>,
}

impl<'a> Heard<'a> {
    /// Splits the replies to a [`pipeline`] into what they have in common and the replies to the
    /// requests.
    fn from(
        node: &'a Node,
        address: &'a Address,
        replies: Vec<Value>,
        skipped: usize,
        clock: bool,
    ) -> (Self, impl Iterator<Item = Value>) {
        let mut replies = replies.into_iter();
        let from_replica = guard_refuses(replies.next().as_ref());
        let mut replies = replies.skip(skipped);
        let now = now(&mut replies, clock);
        (Self { node, address, from_replica, now }, replies)
    }
}

/// How long a request is retried: until when, and the next pause.
struct RetryBudget {
    until: Instant,
    pause: Duration,
}

impl RetryBudget {
    fn until(until: Instant) -> Self {
        Self { until, pause: PAUSES.0 }
    }

    /// Pauses before the next attempt if there was trouble. Returns `false` if there is no time for
    /// another attempt.
    async fn rest(&mut self, trouble: bool) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if trouble {
            sleep(jittered(self.pause).min(left)).await;
            self.pause = (2 * self.pause).min(PAUSES.1);
        }
        // A request sent after the deadline could be carried out without its caller knowing.
        Instant::now() < self.until
    }
}

/// The server's time in microseconds, from the first reply if it was asked for, and otherwise zero.
fn now(replies: &mut impl Iterator<Item = Value>, clock: bool) -> Option<u64> {
    if clock { replies.next().as_ref().and_then(time) } else { Some(0) }
}

/// The server's time in microseconds.
fn time(reply: &Value) -> Option<u64> {
    let Value::Array(parts) = reply else { return None };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = &parts[..] else { return None };
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    number(seconds)?.checked_mul(1_000_000)?.checked_add(number(micros)?)
}

pub(crate) fn late(operation: Operation, may_have_applied: bool) -> Error {
    Error::unavailable(operation, may_have_applied).because("there was no answer within the deadline")
}
