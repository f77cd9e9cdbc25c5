use std::{fmt, sync::Arc, time::Duration};

use session_core::{SessionStore, async_trait};

use crate::Ability;

/// Ways in which a target can break its own server, for the outage cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The server stops answering and keeps its connections, as after SIGSTOP or a cable pulled.
    Freeze,
    /// The server dies at once, as after SIGKILL.
    Kill,
    /// Requests arrive and are carried out, and the replies vanish.
    LoseReplies,
    /// Each connection that is open when this is injected carries out its next request, and is then reset in place of the reply.
    /// Connections that are opened later work. Healing it spares the connections on which there was no request.
    Cut,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Freeze, Self::Kill, Self::LoseReplies, Self::Cut];

    pub(crate) const fn ability(self) -> Ability {
        match self {
            Self::Freeze => Ability::Freeze,
            Self::Kill => Ability::Kill,
            Self::LoseReplies => Ability::LoseReplies,
            Self::Cut => Ability::Cut,
        }
    }
}

/// The switch by which a case breaks the server behind one store, and mends it.
///
/// Only the faults that were declared in [`Target::faults`](crate::Target::faults) are ever asked for.
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

    /// Mends the server: thaws it, restarts it, lets replies through, spares what was to be cut. When this returns, the server accepts connections.
    async fn heal(&self, fault: Fault);
}

/// A store of its own, with a server (or a proxy before a server) that nobody else uses.
pub struct Breakable {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// Another handle on the same records, connected past the proxy: no fault that is injected into the network reaches it. `None` if
    /// there is none.
    pub beside: Option<Arc<dyn SessionStore>>,
    /// The switch.
    pub control: Arc<dyn FaultControl>,
    /// The deadline with which the store was configured: an operation may take this long and a little more.
    pub deadline: Duration,
    /// How long after its server is back the store may still answer `Unavailable`.
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
