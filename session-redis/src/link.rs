use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{Pipeline, PushKind, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{address::Address, connector::Connector};

/// One connection, shared by all requests that are under way on it.
///
/// The driver notices neither a frozen server nor a network that swallows everything, so [`watch_over`](Self::watch_over) asks for a sign of
/// life when nothing comes. A link that is given up takes no more requests; those under way on it can still be answered.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    pub(crate) address: Address,
    usable: watch::Sender<bool>,
    answered: AtomicU64,
}

impl Link {
    pub(crate) async fn connect(connector: &Connector, address: &Address) -> RedisResult<Self> {
        let usable = watch::Sender::new(true);
        let broken = usable.clone();
        let unasked = Arc::new(move |info: redis::PushInfo| {
            if info.kind == PushKind::Disconnection {
                broken.send_replace(false);
            }
        });
        let connection = connector.connect(address, unasked).await?;
        Ok(Self { connection, address: address.clone(), usable, answered: AtomicU64::new(0) })
    }

    /// Sends all commands at once. An error says that there was no answer: whether the server has carried them out is unknown.
    pub(crate) async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let mut connection = self.connection.clone();
        let outcome = connection.send_packed_commands(commands, 0, commands.len()).await;
        match &outcome {
            Ok(_) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            Err(_) => self.give_up(),
        }
        outcome
    }

    pub(crate) fn is_usable(&self) -> bool {
        *self.usable.borrow()
    }

    pub(crate) fn give_up(&self) {
        self.usable.send_replace(false);
    }

    /// Waits until this link was given up.
    pub(crate) async fn given_up(&self) {
        // We hold the sender, so that there is always an end to wait for.
        let _ = self.usable.subscribe().wait_for(|usable| !usable).await;
    }

    /// Returns when the link is broken, or when nothing was heard for about `silence` twice.
    pub(crate) async fn watch_over(&self, silence: Duration) {
        let heard = || self.answered.load(Ordering::Relaxed);
        let mut ping = redis::pipe();
        ping.cmd("PING");
        loop {
            let before = heard();
            tokio::select! {
                () = self.given_up() => return,
                () = sleep(silence) => {}
            }
            if heard() == before && timeout(silence, self.send(&ping)).await.is_err() && heard() == before {
                return self.give_up();
            }
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}
