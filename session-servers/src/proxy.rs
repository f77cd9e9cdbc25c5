//! A TCP proxy that injects network faults on demand.

mod connection;
mod controls;
mod pump;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::ports::free_addr;
use connection::Connection;
pub use controls::ConnectionId;
use controls::Controls;

/// How many ports are tried.
const PORTS: usize = 10;
/// The pause after a failed accept, which means that the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(10);
/// The maximum delay. It is longer than any test, and keeps the sum with the current time in range.
const LONGEST_DELAY: Duration = Duration::from_hours(24);

/// A TCP proxy in front of one server, which simulates faults of the network.
///
/// Every control can be used at any time and takes effect immediately, on live connections too: the
/// new setting applies to each byte that is sent after the call has returned. The controls are
/// independent of each other. Without any, bytes pass in both directions, also on half-closed
/// connections. If the server cannot be reached, the client is reset.
///
/// Dropping the proxy closes the port and resets all connections. The proxy runs on the runtime on
/// which it was started.
///
/// ```
/// # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
/// use session_servers::Proxy;
///
/// let proxy = Proxy::start(server).await?;
/// // ... connect a client to proxy.addr(), send a write, then lose its reply:
/// proxy.swallow_replies(true);
/// proxy.swallowed().await; // the server has executed the write
/// proxy.cut_all();
/// proxy.swallow_replies(false);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    upstream: watch::Sender<SocketAddr>,
    controls: Arc<watch::Sender<Controls>>,
    /// The task that owns the listener, while the port is open.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Starts a proxy to `upstream` on a free port. Nothing needs to listen on `upstream` yet.
    ///
    /// # Errors
    ///
    /// If no port can be opened.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let mut attempt = 1;
        let (addr, listener) = loop {
            let addr = free_addr()?;
            match TcpListener::bind(addr).await {
                Ok(listener) => break (addr, listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };
        let controls = Arc::new(watch::Sender::new(Controls::default()));
        let upstream = watch::Sender::new(upstream);
        let accepting = tokio::spawn(accept(listener, upstream.subscribe(), Arc::clone(&controls)));
        Ok(Self { addr, upstream, controls, accepting: Mutex::new(Some(accepting)) })
    }

    /// The address that clients connect to. It never changes.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The live connections, in the order in which they were opened.
    ///
    /// A connection is listed as soon as the proxy has accepted it, before any byte passes. That
    /// can be shortly after the client's `connect` has returned.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.controls.borrow().live().collect()
    }

    /// Delays every byte by this much in each direction, so a round trip takes twice as long.
    ///
    /// The order is kept. So is the throughput, up to four megabytes in transit. Zero ends the
    /// delay, also for bytes that are being delayed.
    pub fn delay(&self, each_way: Duration) {
        self.controls.send_modify(|controls| controls.delay = each_way.min(LONGEST_DELAY));
    }

    /// Holds back all bytes, and the end of a stream too. Connections stay open and new ones are
    /// accepted, as with a server that hangs.
    pub fn freeze(&self) {
        self.controls.send_modify(|controls| controls.frozen = true);
    }

    /// Ends [`freeze`](Self::freeze) and releases what was held back. Individually frozen
    /// connections stay frozen.
    pub fn thaw(&self) {
        self.controls.send_modify(|controls| controls.frozen = false);
    }

    /// Like [`freeze`](Self::freeze), for one connection. Returns true if the connection is live.
    pub fn freeze_connection(&self, id: ConnectionId) -> bool {
        self.change(|controls| controls.set_frozen(id, true))
    }

    /// Ends [`freeze_connection`](Self::freeze_connection). Returns true if the connection is live.
    pub fn thaw_connection(&self, id: ConnectionId) -> bool {
        self.change(|controls| controls.set_frozen(id, false))
    }

    /// Resets a connection on both sides. Bytes in transit are lost. Returns true if it was live.
    pub fn cut(&self, id: ConnectionId) -> bool {
        self.change(|controls| controls.close(id))
    }

    /// Resets all connections. New ones are accepted; see [`refuse_new`](Self::refuse_new).
    pub fn cut_all(&self) {
        self.controls.send_modify(Controls::close_all);
    }

    /// Lets each live connection carry one more request to the server, and resets it on both sides
    /// in place of the reply.
    ///
    /// Connections that are opened later are not affected. [`spare`](Self::spare) undoes this.
    ///
    /// The proxy knows no protocol: the reset happens at the first byte that the server sends from
    /// now on. On a connection with several requests in flight, that byte may answer an earlier
    /// one, and replies in transit are lost as well.
    pub fn cut_after_next_request(&self) {
        self.controls.send_modify(|controls| controls.set_cut_at_reply(true));
    }

    /// Undoes [`cut_after_next_request`](Self::cut_after_next_request) for the connections that are
    /// still live.
    pub fn spare(&self) {
        self.controls.send_modify(|controls| controls.set_cut_at_reply(false));
    }

    /// Connects new clients to another server from now on, as a failover does. Live connections
    /// keep their server. To end them, see [`cut_all`](Self::cut_all).
    pub fn redirect(&self, upstream: SocketAddr) {
        self.upstream.send_replace(upstream);
    }

    /// Closes the port, so that the kernel refuses new connections, or opens the same port again.
    ///
    /// Live connections continue. The port is closed or open when this returns.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened again. Closing it cannot fail.
    pub async fn refuse_new(&self, refuse: bool) -> io::Result<()> {
        let mut accepting = self.accepting.lock().await;
        if !refuse && accepting.is_none() {
            let listener = TcpListener::bind(self.addr).await?;
            *accepting =
                Some(tokio::spawn(accept(listener, self.upstream.subscribe(), Arc::clone(&self.controls))));
        } else if refuse && let Some(task) = accepting.take() {
            task.abort();
            // The listener is closed when the task has ended, not when it is aborted.
            let _ = task.await;
        }
        Ok(())
    }

    /// Reads and discards what the server sends: requests are executed, but their replies are lost.
    /// The end of the server's stream is not a reply and still passes.
    ///
    /// Turning it off resets the connections on which bytes were discarded, because their clients
    /// would take the next reply for the missing one.
    pub fn swallow_replies(&self, swallow: bool) {
        self.controls.send_modify(|controls| controls.set_swallowing(swallow));
    }

    /// Waits until part of a reply has been discarded since
    /// [`swallow_replies`](Self::swallow_replies) was last turned on: the server has answered a
    /// request, and the client does not know.
    pub async fn swallowed(&self) {
        // Cannot fail: this proxy owns the sender.
        let _ = self.controls.subscribe().wait_for(Controls::has_swallowed).await;
    }

    fn change(&self, change: impl FnOnce(&mut Controls) -> bool) -> bool {
        self.controls.send_if_modified(change)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut().take() {
            task.abort();
        }
        self.controls.send_modify(Controls::end);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: watch::Receiver<SocketAddr>,
    controls: Arc<watch::Sender<Controls>>,
) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                if let Some(connection) = Connection::open(Arc::clone(&controls)) {
                    let upstream = *upstream.borrow();
                    tokio::spawn(connection.run(client, upstream));
                }
            }
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}
