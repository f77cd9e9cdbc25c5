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
    pending::{Fate, Pending},
    request::Again,
    topology::Topology,
};

/// Why a pipeline has no answer.
pub(crate) enum Unanswered {
    /// It was not sent, because the map of the cluster has changed.
    Unsent,
    /// The connection was lost.
    Lost(Error),
    /// The deadline has passed, or there was no connection up to then.
    Final(Error),
}

impl Core {
    /// Sends a pipeline to a node, and waits for its answer.
    pub(crate) async fn exchange(
        &self,
        operation: Operation,
        node: &Node,
        again: Again,
        commands: &Pipeline,
        until: Instant,
        changes: Option<watch::Receiver<u64>>,
    ) -> Result<(Arc<Link>, Vec<Value>), Unanswered> {
        let link = match node.link_now() {
            Some(link) => link,
            None => self.await_link(operation, node, until, changes).await?,
        };
        let change = again != Again::Question;
        // What must not be sent again waits for its answer, also from a server that seems to be frozen.
        let given_up = async {
            link.given_up().await;
            if again == Again::Never {
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

    /// Waits for news of who has which shard.
    async fn map_changes(&self, changes: Option<watch::Receiver<u64>>) {
        if let Some(mut changes) = changes {
            self.look_again();
            if changes.changed().await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Has the map of the cluster looked at again.
    pub(crate) fn look_again(&self) {
        if let Topology::Cluster(cluster) = &self.topology {
            cluster.look_again();
        }
    }

    /// What becomes of a request of a pipeline that has no answer.
    pub(crate) fn fate_without_answer(
        &self,
        operation: Operation,
        mut pending: Pending,
        unanswered: &Unanswered,
    ) -> Fate {
        match unanswered {
            Unanswered::Unsent => Fate::Again(pending),
            Unanswered::Final(error) => Fate::Done(Err(pending.failed(operation, error))),
            Unanswered::Lost(error) => {
                let again = pending.request.again;
                pending.doubt |= again != Again::Question;
                pending.lost += 1;
                pending.ask = None;
                if again == Again::Never || pending.lost > self.resends {
                    Fate::Done(Err(error.clone()))
                } else {
                    Fate::Later(pending, error.clone())
                }
            }
        }
    }
}

fn no_sign_of_life() -> redis::RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server gives no sign of life").into()
}
