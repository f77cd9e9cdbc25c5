//! One connection of a client, and the matching connection to the server.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::controls::{ConnectionId, Controls};
use super::pump::{Direction, Pump};

/// A listed connection. Dropping it removes it from the list.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    controls: Arc<watch::Sender<Controls>>,
}

impl Connection {
    /// Lists a new connection. Returns `None` if the proxy has ended.
    pub(super) fn open(controls: Arc<watch::Sender<Controls>>) -> Option<Self> {
        let mut id = None;
        controls.send_modify(|controls| id = controls.open());
        Some(Self { id: id?, controls })
    }

    /// Relays bytes until both sides have finished, one of them has failed, or the connection is
    /// cut.
    pub(super) async fn run(self, mut client: TcpStream, upstream: SocketAddr) {
        let mut connecting = pin!(TcpStream::connect(upstream));
        let Some(connected) = self.unless_cut(&mut connecting).await else {
            reset(client);
            // The server may already have accepted. It must see a reset, too, not an orderly close.
            if let Ok(server) = connecting.await {
                reset(server);
            }
            return;
        };
        let Ok(mut server) = connected else { return reset(client) };
        if !matches!(self.unless_cut(self.relay(&mut client, &mut server)).await, Some(Ok(()))) {
            reset(client);
            reset(server);
        }
    }

    async fn relay(&self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let requests = Pump::new(self.id, Direction::Request, &self.controls);
        let replies = Pump::new(self.id, Direction::Reply, &self.controls);
        tokio::try_join!(requests.run(from_client, to_server), replies.run(from_server, to_client))?;
        Ok(())
    }

    async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.controls.subscribe();
        tokio::select! {
            biased;
            _ = changes.wait_for(|controls| !controls.is_live(self.id)) => None,
            result = work => Some(result),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.controls.send_if_modified(|controls| controls.close(self.id));
    }
}

/// Closes the stream with a reset. If the option cannot be set any more, closes it anyway.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
