use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use session_core::SessionStore;
use session_servers::{Engine, Server};
use tokio::sync::OnceCell;

use crate::{BreakableServer, Fault, Namespace, Target, Unavailable};

/// One server for all cases of a test program.
///
/// It is launched when its address is first requested, and killed when its last handle is dropped.
///
/// ```
/// use session_conformance::{ChildServer, SharedServer};
///
/// let mydb = SharedServer::new(ChildServer::command("mydbd").args(["--port", ChildServer::PORT]));
/// ```
#[derive(Debug)]
pub struct SharedServer<E>(Arc<Shared<E>>);

#[derive(Debug)]
struct Shared<E> {
    engine: E,
    server: OnceCell<Server<E>>,
}

impl<E> Clone for SharedServer<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Engine + Clone> SharedServer<E> {
    /// A server that is not launched yet.
    pub fn new(engine: E) -> Self {
        Self(Arc::new(Shared { engine, server: OnceCell::new() }))
    }

    /// Returns the address of the server. The first call launches the server, and calls on other
    /// runtimes wait for that.
    ///
    /// # Errors
    /// The text of the [`LaunchError`](session_servers::LaunchError), after which the next call tries again.
    pub async fn addr(&self) -> Result<SocketAddr, Unavailable> {
        let launch = || Server::launch(self.0.engine.clone());
        let server = self.0.server.get_or_try_init(launch).await.map_err(Unavailable::because)?;
        Ok(server.addr())
    }
}

impl Target {
    /// A store on a server that this program launches, with a second handle and all [faults](Fault::ALL).
    ///
    /// `open` connects to the given address, and is called as by [`Target::new`]. Most cases share
    /// `server`. A case that breaks its server launches its own in the same way. `deadline` is the
    /// one that `open` configures. `recovery` is how long the store may still be unavailable after
    /// its server is back.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use session_conformance::{ChildServer, SharedServer, Target, Unavailable};
    /// use session_core::SessionStore;
    ///
    /// # async fn connect(_: String, _: Duration) -> session_core::Result<Arc<dyn SessionStore>> { unimplemented!() }
    /// let (deadline, recovery) = (Duration::from_secs(1), Duration::from_secs(2));
    /// let mydb = SharedServer::new(ChildServer::command("mydbd").args(["--port", ChildServer::PORT]));
    /// let target = Target::child_server("mydb", &mydb, deadline, recovery, move |addr, namespace| async move {
    ///     connect(format!("mydb://{addr}/{namespace}"), deadline).await.map_err(Unavailable::because)
    /// });
    /// ```
    pub fn child_server<E, O, F>(
        name: impl Into<String>,
        server: &SharedServer<E>,
        deadline: Duration,
        recovery: Duration,
        open: O,
    ) -> Self
    where
        E: Engine + Clone,
        O: Fn(SocketAddr, Namespace) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn SessionStore>, Unavailable>> + Send + 'static,
    {
        let (open, engine) = (Arc::new(open), server.0.engine.clone());
        let handle = {
            let (server, open) = (server.clone(), Arc::clone(&open));
            move |namespace| {
                let (server, open) = (server.clone(), Arc::clone(&open));
                async move { open(server.addr().await?, namespace).await }
            }
        };
        let second = handle.clone();
        Self::new(name, handle).second_handle(move |namespace, _first| second(namespace)).faults(
            Fault::ALL,
            move |namespace| {
                let (engine, open) = (engine.clone(), Arc::clone(&open));
                async move {
                    let server = BreakableServer::launch(engine).await.map_err(Unavailable::because)?;
                    server.breakable(deadline, recovery, |addr| open(addr, namespace.clone())).await
                }
            },
        )
    }
}
