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
}

impl Fault {
    pub(crate) const fn ability(self) -> Ability {
        match self {
            Self::Freeze => Ability::Freeze,
            Self::Kill => Ability::Kill,
            Self::LoseReplies => Ability::LoseReplies,
        }
    }
}

/// The switch by which a case breaks the server behind one store, and mends it.
///
/// Only the faults that were declared in [`Target::faults`](crate::Target::faults) are ever asked for.
#[async_trait]
pub trait FaultControl: Send + Sync {
    /// Breaks the server. When this returns, the fault is in force.
    async fn inject(&self, fault: Fault);

    /// Mends the server: thaws it, restarts it, lets replies through. When this returns, the server accepts connections.
    async fn heal(&self, fault: Fault);
}

/// A store of its own, with a server (or a proxy before a server) that nobody else uses.
pub struct Breakable {
    /// The store.
    pub store: Arc<dyn SessionStore>,
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
            .field("deadline", &self.deadline)
            .field("recovery", &self.recovery)
            .finish_non_exhaustive()
    }
}
