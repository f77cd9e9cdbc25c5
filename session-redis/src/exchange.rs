use std::sync::Arc;

use redis::{Pipeline, Value};
use session_core::{Error, Operation};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    core::{Core, late},
    link::Link,
    node::Node,
    pending::{Disposition, Pending},
    request::Idempotency,
    topology::Topology,
};

/// Why a pipeline has no answer.
pub(crate) enum Unanswered {
    /// It was not sent, because the cluster map has changed.
    Unsent,
    /// The connection was lost.
    Lost(Error),
    /// There was no connection, or no answer, before the deadline.
    Final(Error),
}

impl Core {
    /// Sends a pipeline to a node, and waits for its answer.
    pub(crate) async fn exchange(
        &self,
        operation: Operation,
        node: &Node,
        again: Idempotency,
        commands: &Pipeline,
        until: Instant,
        changes: Option<watch::Receiver<u64>>,
    ) -> Result<(Arc<Link>, Vec<Value>), Unanswered> {
        let link = match node.link_now() {
            Some(link) => link,
            None => self.await_link(operation, node, until, changes).await?,
        };
        let change = again != Idempotency::Query;
        // A request that must not be retried waits for its answer even if the server seems frozen.
        let given_up = async {
            link.given_up().await;
            if again == Idempotency::Once {
                std::future::pending::<()>().await;
            }
        };
        let reply = tokio::select! {
            biased;
            reply = timeout_at(until, link.send(commands)) => reply,
            () = given_up => Ok(Err(no_sign_of_life())),
        };
        match reply {
            Ok(Ok(replies)) => Ok((link, replies)),
            Ok(Err(lost)) => {
                self.look_again();
                let error = Error::unavailable(operation, change)
                    .because(format!("the connection to {} was lost", node.name))
                    .with_source(lost);
                Err(Unanswered::Lost(error))
            }
            Err(_) => Err(Unanswered::Final(late(operation, change))),
        }
    }

    async fn await_link(
        &self,
        operation: Operation,
        node: &Node,
        until: Instant,
        changes: Option<watch::Receiver<u64>>,
    ) -> Result<Arc<Link>, Unanswered> {
        let link = tokio::select! {
            biased;
            link = timeout_at(until, node.link()) => link,
            () = self.map_changes(changes) => return Err(Unanswered::Unsent),
        };
        link.map_err(|_| {
            let why = node.trouble().map_or_else(String::new, |trouble| format!(": {trouble}"));
            let reason = format!("no connection to {}{why}", node.name);
            Unanswered::Final(Error::unavailable(operation, false).because(reason))
        })
    }

    /// Waits for a change of the cluster map.
    async fn map_changes(&self, changes: Option<watch::Receiver<u64>>) {
        if let Some(mut changes) = changes {
            self.look_again();
            if changes.changed().await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Requests a refresh of the cluster map.
    pub(crate) fn look_again(&self) {
        if let Topology::Cluster(cluster) = &self.topology {
            cluster.look_again();
        }
    }

    /// Decides what happens to a request whose pipeline got no answer.
    pub(crate) fn disposition_without_answer(
        &self,
        operation: Operation,
        mut pending: Pending,
        unanswered: &Unanswered,
    ) -> Disposition {
        match unanswered {
            Unanswered::Unsent => Disposition::Retry(pending),
            Unanswered::Final(error) => Disposition::Done(Err(pending.failed(operation, error))),
            Unanswered::Lost(error) => {
                let again = pending.request.again;
                pending.doubt |= again != Idempotency::Query;
                pending.lost += 1;
                pending.ask = None;
                if again == Idempotency::Once || pending.lost > self.max_retries {
                    Disposition::Done(Err(error.clone()))
                } else {
                    Disposition::RetryLater(pending, error.clone())
                }
            }
        }
    }
}

fn no_sign_of_life() -> redis::RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server gives no sign of life").into()
}
