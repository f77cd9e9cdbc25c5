use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{Pipeline, PushKind, RedisError, Value};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    address::Address,
    connection::Connection,
    connector::Connector,
    no_connection::NoConnection,
    role::{Role, ask_role, role},
};

/// One connection, shared by all requests in flight on it.
///
/// The driver detects neither a frozen server nor a network that drops everything, and no server
/// ends its clients' connections when it is made a replica. Therefore
/// [`watch_over`](Self::watch_over) sends keep-alive requests. A link that is given up takes no
/// more requests; those in flight on it can still be answered.
pub(crate) struct Link {
    connection: Connection,
    pub(crate) address: Address,
    usable: watch::Sender<bool>,
    answered: AtomicU64,
}

impl Link {
    pub(crate) async fn connect(connector: &Connector, address: &Address) -> Result<Self, NoConnection> {
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

    /// The same, but fails if the server reports another role than primary.
    pub(crate) async fn to_primary(connector: &Connector, address: &Address) -> Result<Self, NoConnection> {
        let link = Self::connect(connector, address).await?;
        link.must_be_primary(connector).await?;
        Ok(link)
    }

    pub(crate) async fn must_be_primary(&self, connector: &Connector) -> Result<(), NoConnection> {
        let asked = timeout(connector.timeout, self.send(&ask_role())).await;
        let replies = asked.map_err(|_| NoConnection::TimedOut)??;
        match role(replies.first()) {
            Role::Primary => Ok(()),
            Role::Other => Err(NoConnection::NotPrimary),
            Role::Unknown(said) => {
                connector.warnings.role_is_unknown(&self.address, &said);
                Ok(())
            }
        }
    }

    /// Sends all commands at once. An error means that there was no answer, and that it is unknown
    /// whether the server has carried them out.
    pub(crate) async fn send(&self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let outcome = self.connection.send(commands).await;
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
        // This link owns the sender, so the wait ends only when the link is given up.
        let _ = self.usable.subscribe().wait_for(|usable| !usable).await;
    }

    /// Returns when the link is broken, when nothing was received for about twice `keepalive`, or
    /// when the server reports that it is not a primary.
    pub(crate) async fn watch_over(&self, keepalive: Option<Duration>) {
        let Some(keepalive) = keepalive else { return self.given_up().await };
        let heard = || self.answered.load(Ordering::Relaxed);
        let question = ask_role();
        loop {
            tokio::select! {
                () = self.given_up() => return,
                () = sleep(keepalive) => {}
            }
            let before = heard();
            match timeout(keepalive, self.send(&question)).await {
                Ok(Ok(replies)) if role(replies.first()) == Role::Other => return self.give_up(),
                // No other request was answered in the meantime either.
                Err(_) if heard() == before => return self.give_up(),
                _ => {}
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
