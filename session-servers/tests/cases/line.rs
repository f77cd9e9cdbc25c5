//! A connection through the proxy whose two ends are both held by the case, so its state is known.

use std::io;
use std::time::Duration;

use session_servers::{ConnectionId, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long to wait before concluding that nothing arrives, because no event reports that.
pub(crate) const SILENCE: Duration = Duration::from_millis(100);

/// A proxy, and the server behind it.
pub(crate) struct Net {
    pub(crate) proxy: Proxy,
    server: TcpListener,
}

/// Both ends of one connection through the proxy.
pub(crate) struct Line {
    pub(crate) id: ConnectionId,
    pub(crate) client: TcpStream,
    pub(crate) server: TcpStream,
}

impl Net {
    pub(crate) async fn new() -> io::Result<Self> {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self { proxy: Proxy::start(server.local_addr()?).await?, server })
    }

    pub(crate) async fn connect(&self) -> io::Result<Line> {
        let client = TcpStream::connect(self.proxy.addr()).await?;
        let (server, _) = self.server.accept().await?;
        // The proxy lists a connection before it connects to the server.
        let id = self.proxy.connections().pop().ok_or(io::ErrorKind::NotFound)?;
        Ok(Line { id, client, server })
    }
}

impl Line {
    /// Sends a request and its reply.
    pub(crate) async fn round_trip(&mut self) -> io::Result<()> {
        send(&mut self.client, &mut self.server).await?;
        send(&mut self.server, &mut self.client).await
    }
}

pub(crate) async fn send(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    from.write_all(b"hello").await?;
    receive(to).await
}

pub(crate) async fn receive(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"hello");
    Ok(())
}

pub(crate) async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

/// Waits for the reset. Returns true if it arrives before any byte.
pub(crate) async fn is_reset(stream: &mut TcpStream) -> bool {
    stream.read_u8().await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}
