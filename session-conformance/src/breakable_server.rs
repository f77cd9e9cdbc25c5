use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use session_core::{SessionStore, async_trait};
use session_servers::{Engine, LaunchError, Proxy, Server};

use crate::{Breakable, Fault, FaultControl, Unavailable};

impl Fault {
    /// Breaks `server`, or the network in front of it, which is `proxy`.
    ///
    /// For a [`FaultControl`] over several servers. For one server, use [`BreakableServer`].
    ///
    /// # Panics
    /// If the server does not run, or the kernel does not freeze or kill it.
    pub async fn inject<E: Engine>(self, server: &Server<E>, proxy: &Proxy) {
        match self {
            Self::Freeze => server.freeze().await.expect("the server can be frozen"),
            Self::Kill => drop(server.kill().await.expect("the server can be killed")),
            Self::LoseReplies => proxy.swallow_replies(true),
            Self::Cut => proxy.cut_after_next_request(),
        }
    }

    /// Undoes [`inject`](Self::inject).
    ///
    /// # Panics
    /// If the server cannot be thawed or restarted.
    pub async fn heal<E: Engine>(self, server: &Server<E>, proxy: &Proxy) {
        match self {
            Self::Freeze => server.thaw().expect("the server can be thawed"),
            Self::Kill => server.restart().await.expect("the server starts again"),
            Self::LoseReplies => proxy.swallow_replies(false),
            Self::Cut => proxy.spare(),
        }
    }
}

/// A launched server with its own proxy, and all [faults](Fault::ALL) of both.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use session_conformance::{BreakableServer, ChildServer, Fault, Target, Unavailable};
/// use session_core::SessionStore;
///
/// # async fn connect(_: String) -> session_core::Result<Arc<dyn SessionStore>> { unimplemented!() }
/// # let target = Target::in_process("mine", session_memory::MemoryStore::new);
/// let target = target.faults(Fault::ALL, |namespace| async move {
///     let engine = ChildServer::command("mydbd").args(["--port", ChildServer::PORT]);
///     let server = BreakableServer::launch(engine).await.map_err(Unavailable::because)?;
///     let (deadline, recovery) = (Duration::from_secs(1), Duration::from_secs(2)); // as the store is configured
///     let open = |addr| connect(format!("mydb://{addr}/{namespace}"));
///     server.breakable(deadline, recovery, async |addr| open(addr).await.map_err(Unavailable::because)).await
/// });
/// ```
#[derive(Debug)]
pub struct BreakableServer<E> {
    // Declared before the server, so that the proxy is dropped first.
    proxy: Proxy,
    server: Server<E>,
}

impl<E: Engine> BreakableServer<E> {
    /// Launches the server, and a proxy in front of it.
    ///
    /// # Errors
    /// Those of [`Server::launch`].
    pub async fn launch(engine: E) -> Result<Self, LaunchError> {
        let server = Server::launch(engine).await?;
        let started = Proxy::start(server.addr()).await;
        let proxy = started.map_err(|source| LaunchError::Io { attempt: "start a proxy", source })?;
        Ok(Self { proxy, server })
    }

    /// The server.
    pub fn server(&self) -> &Server<E> {
        &self.server
    }

    /// The proxy. The store under test connects to its address.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Opens a store through the proxy and another handle past it. `open` opens each of them at the
    /// given address.
    ///
    /// # Errors
    /// Those of `open`.
    pub async fn breakable<O, F>(
        self,
        deadline: Duration,
        recovery: Duration,
        open: O,
    ) -> Result<Breakable, Unavailable>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>>,
    {
        let store = open(self.proxy.addr()).await?;
        let beside = Some(open(self.server.addr()).await?);
        Ok(Breakable { store, beside, control: Arc::new(self), deadline, recovery })
    }
}

#[async_trait]
impl<E: Engine> FaultControl for BreakableServer<E> {
    async fn inject(&self, fault: Fault) {
        fault.inject(&self.server, &self.proxy).await;
    }

    async fn heal(&self, fault: Fault) {
        fault.heal(&self.server, &self.proxy).await;
    }
}
