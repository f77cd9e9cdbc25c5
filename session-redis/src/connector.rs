use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use session_backend::{Credentials, TlsMode, is_this_machine};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    address::{Address, AddressMap},
    connection::{Connection, PushHandler},
    handshake::hello,
    no_connection::NoConnection,
    settings::Login,
    tls::Tls,
};

/// Opens connections that are logged in, speak RESP3, and use the right database.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) login: Login,
    pub(crate) database: u32,
    pub(crate) client_name: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) mode: TlsMode,
    pub(crate) map: AddressMap,
    /// The timeout for all steps to a connection together.
    pub(crate) timeout: Duration,
    pub(crate) warnings: Arc<Warnings>,
}

/// The warnings that a store has logged already.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    tls: AtomicBool,
    role: AtomicBool,
}

impl Warnings {
    /// Warns once that a server does not report whether it is a primary.
    pub(crate) fn role_is_unknown(&self, address: &Address, said: &str) {
        if !self.role.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                server = %address,
                said,
                "the server does not answer ROLE, so that a replica cannot be told from a primary; \
                 permit it, as by ACL SETUSER <user> +role"
            );
        }
    }
}

impl Connector {
    pub(crate) async fn connect(
        &self,
        address: &Address,
        unasked: PushHandler,
    ) -> Result<Connection, NoConnection> {
        self.warn(address);
        // Not part of the timeout: the provider may have to fetch the credentials from far away.
        let credentials = self.login.credentials().await.map_err(NoConnection::Credentials)?;
        let opened = async {
            match address {
                Address::Unix(path) => {
                    let stream = UnixStream::connect(path).await.map_err(NoConnection::Unreachable)?;
                    self.log_in(stream, credentials, unasked).await
                }
                Address::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await;
                    let stream = stream.and_then(without_delay).map_err(NoConnection::Unreachable)?;
                    match &self.tls {
                        None => self.log_in(stream, credentials, unasked).await,
                        Some(tls) => {
                            self.log_in(self.secured(tls, host, stream).await?, credentials, unasked).await
                        }
                    }
                }
            }
        };
        timeout(self.timeout, opened).await.unwrap_or(Err(NoConnection::TimedOut))
    }

    /// Performs the TLS handshake, in half of the timeout, so that a server without TLS can be told
    /// from one that does not answer.
    async fn secured(
        &self,
        tls: &Tls,
        host: &str,
        stream: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, NoConnection> {
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "there is no answer");
        let secured = timeout(self.timeout / 2, tls.secure(host, stream)).await;
        secured.unwrap_or_else(|_| Err(silent())).map_err(NoConnection::Tls)
    }

    async fn log_in<S>(
        &self,
        mut stream: S,
        credentials: Option<Credentials>,
        unasked: PushHandler,
    ) -> Result<Connection, NoConnection>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        hello(&mut stream, credentials.as_ref(), self.client_name.as_deref()).await?;
        Connection::over(stream, self.database, unasked).await
    }

    /// Warns once if the traffic to this server leaves this machine unprotected, wherever its
    /// address came from.
    fn warn(&self, address: &Address) {
        let leaves = match address {
            Address::Unix(_) => false,
            Address::Tcp { host, .. } => !is_this_machine(host),
        };
        if leaves && !self.warnings.tls.swap(true, Ordering::Relaxed) {
            self.mode.warn("session-redis", false);
        }
    }
}

/// Sends small requests at once, and detects a dead peer by TCP keep-alive.
fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}
