use std::{sync::Arc, time::Duration};

use session_core::{Owner, SessionId, SessionStore};
use session_manager::{Session, SessionManager, SessionManagerBuilder};

use super::tap::Tap;

/// How long one case may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// What a case works with: a store of its own.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) tap: Arc<Tap>,
    /// Whether the store's watch tells an expiry from other changes.
    pub(crate) tells_expiry: bool,
}

impl Context {
    pub(crate) fn new(store: Arc<dyn SessionStore>, tells_expiry: bool) -> Self {
        Self { tap: Arc::new(Tap::new(store)), tells_expiry }
    }

    /// Settings of another manager over the store, as another node would have it.
    pub(crate) fn builder(&self) -> SessionManagerBuilder {
        SessionManager::builder_shared(Arc::clone(&self.tap) as _)
    }

    pub(crate) fn manager(&self) -> SessionManager {
        self.builder().build().expect("the default settings")
    }

    /// A session that is stored, with "greeting" in it.
    pub(crate) async fn stored(&self, manager: &SessionManager) -> (Session, SessionId) {
        let session = manager.create();
        session.insert("greeting", "hello").expect("text");
        session.save().await.expect("it is created");
        let id = session.id().expect("it is stored");
        (session, id)
    }

    /// The session with this id, as another request gets it, which must be live.
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

/// So many rounds, or more in a long campaign.
pub(crate) fn rounds(usual: usize) -> usize {
    let factor = std::env::var("SESSION_SOAK").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    usual * factor
}

/// Waits until the condition holds, which it must at some time.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
