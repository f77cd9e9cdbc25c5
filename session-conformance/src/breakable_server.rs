use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use session_core::{SessionStore, async_trait};
use session_servers::{Engine, LaunchError, Proxy, Server};

use crate::{Breakable, Fault, FaultControl, Unavailable};

impl Fault {
    /// Breaks this server, or the network before it, which is `proxy`: for a [`FaultControl`] over several servers. One server has a
    /// [`BreakableServer`].
    ///
    /// # Panics
    /// When the server does not run, or the kernel does not freeze or kill it.
    pub async fn inject<E: Engine>(self, server: &Server<E>, proxy: &Proxy) {
        match self {
            Self::Freeze => server.freeze().await.expect("the server can be frozen"),
            Self::Kill => drop(server.kill().await.expect("the server can be killed")),
            Self::LoseReplies => proxy.swallow_replies(true),
            Self::Cut => proxy.cut_after_next_request(),
        }
    }

    /// Mends what [`inject`](Self::inject) has broken.
    ///
    /// # Panics
    /// When the server cannot be thawed or started again.
    pub async fn heal<E: Engine>(self, server: &Server<E>, proxy: &Proxy) {
        match self {
            Self::Freeze => server.thaw().expect("the server can be thawed"),
            Self::Kill => server.restart().await.expect("the server starts again"),
            Self::LoseReplies => proxy.swallow_replies(false),
            Self::Cut => proxy.spare(),
        }
    }
}

/// A launched server of its own behind a proxy of its own, and all [faults](Fault::ALL) of both.
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
    // Above the server: a connection to the proxy must not outlive it.
    proxy: Proxy,
    server: Server<E>,
}

impl<E: Engine> BreakableServer<E> {
    /// Launches the server, and a proxy before it.
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

    /// The proxy, to whose address the store that is broken connects.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Opens a store through the proxy and another handle past it, each by `open`, which is given the address.
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
