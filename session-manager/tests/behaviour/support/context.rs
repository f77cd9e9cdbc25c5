use std::{sync::Arc, time::Duration};

use session_core::{Owner, SessionId, SessionStore};
use session_manager::{Session, SessionManager, SessionManagerBuilder};

use super::tap::Tap;

/// The time limit of a case.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// The environment of a case, with its own store.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) tap: Arc<Tap>,
    /// Whether the store's watch distinguishes an expiry from other changes.
    pub(crate) tells_expiry: bool,
}

impl Context {
    pub(crate) fn new(store: Arc<dyn SessionStore>, tells_expiry: bool) -> Self {
        Self { tap: Arc::new(Tap::new(store)), tells_expiry }
    }

    /// The builder of another manager over the store, as on another node.
    pub(crate) fn builder(&self) -> SessionManagerBuilder {
        SessionManager::builder_shared(Arc::clone(&self.tap) as _)
    }

    pub(crate) fn manager(&self) -> SessionManager {
        self.builder().build().expect("the default settings")
    }

    /// A stored session that holds "greeting".
    pub(crate) async fn stored(&self, manager: &SessionManager) -> (Session, SessionId) {
        let session = manager.create();
        session.insert("greeting", "hello").expect("text");
        session.save().await.expect("it is created");
        let id = session.id().expect("it is stored");
        (session, id)
    }

    /// The live session with this id, as another request loads it.
    pub(crate) async fn load(&self, id: &SessionId) -> Session {
        self.manager().load(id).await.expect("a read").expect("it is live")
    }

    pub(crate) async fn is_live(&self, id: &SessionId) -> bool {
        self.tap.read(&id.key()).await.expect("a read").is_some()
    }
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::new(name).expect("an owner")
}

/// The number of rounds; `SESSION_SOAK` multiplies it.
pub(crate) fn rounds(usual: usize) -> usize {
    let factor = std::env::var("SESSION_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    usual * factor
}

/// Waits until the condition holds.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
