use std::{fmt, sync::Arc, time::Duration};

use session_core::{SessionStore, async_trait};

use crate::Capability;

/// Ways in which a target can break its own server, for the outage cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The server stops answering and keeps its connections, as after SIGSTOP or a pulled cable.
    Freeze,
    /// The server dies at once, as after SIGKILL.
    Kill,
    /// Requests arrive and are executed, but their replies are lost.
    LoseReplies,
    /// Each connection that is open when this fault is injected executes its next request, and is
    /// then reset in place of the reply. Connections that are opened later work. Healing spares the
    /// connections on which no request was sent.
    Cut,
}

impl Fault {
    /// All faults.
    pub const ALL: &'static [Self] = &[Self::Freeze, Self::Kill, Self::LoseReplies, Self::Cut];

    pub(crate) const fn ability(self) -> Capability {
        match self {
            Self::Freeze => Capability::Freeze,
            Self::Kill => Capability::Kill,
            Self::LoseReplies => Capability::LoseReplies,
            Self::Cut => Capability::Cut,
        }
    }
}

/// Breaks and restores the server behind one store.
///
/// A case injects only the faults that were declared in [`Target::faults`](crate::Target::faults).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use session_conformance::{Breakable, Fault, FaultControl, Target, Unavailable};
/// use session_core::{SessionStore, async_trait};
///
/// struct MyServer; // a child process, or a proxy before one
/// # impl MyServer { async fn start() -> std::io::Result<Self> { Ok(MyServer) } async fn stop(&self) {} async fn start_again(&self) {} }
/// # async fn connect(_: &MyServer, _: &str) -> session_core::Result<Arc<dyn SessionStore>> { unimplemented!() }
///
/// #[async_trait]
/// impl FaultControl for MyServer {
///     async fn inject(&self, fault: Fault) {
///         match fault {
///             Fault::Kill => self.stop().await,
///             other => panic!("{other:?} was not declared"),
///         }
///     }
///
///     async fn heal(&self, _: Fault) {
///         self.start_again().await;
///     }
/// }
///
/// # let target = Target::in_process("mine", session_memory::MemoryStore::new);
/// let target = target.faults(&[Fault::Kill], |namespace| async move {
///     let server = MyServer::start().await.map_err(Unavailable::because)?;
///     let store = connect(&server, namespace.as_str()).await.map_err(Unavailable::because)?;
///     let (deadline, recovery) = (Duration::from_secs(1), Duration::from_secs(2)); // as the store is configured
///     Ok(Breakable { store, beside: None, control: Arc::new(server), deadline, recovery })
/// });
/// ```
#[async_trait]
pub trait FaultControl: Send + Sync {
    /// Breaks the server. When this returns, the fault is in force.
    async fn inject(&self, fault: Fault);

    /// Restores the server: thaws it, restarts it, lets replies through, or spares the connections
    /// still to be cut. When this returns, the server accepts connections.
    async fn heal(&self, fault: Fault);
}

/// A store with a server (or a proxy in front of a server) that no other case uses.
pub struct Breakable {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// Another handle on the same records, connected past the proxy, so that injected network
    /// faults do not affect it. `None` if there is none.
    pub beside: Option<Arc<dyn SessionStore>>,
    /// Breaks and restores the server.
    pub control: Arc<dyn FaultControl>,
    /// The deadline with which the store was configured. An operation may take slightly longer.
    pub deadline: Duration,
    /// How long the store may still answer `Unavailable` after its server is back.
    pub recovery: Duration,
}

impl fmt::Debug for Breakable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breakable")
            .field("store", &self.store)
            .field("beside", &self.beside)
            .field("deadline", &self.deadline)
            .field("recovery", &self.recovery)
            .finish_non_exhaustive()
    }
}
