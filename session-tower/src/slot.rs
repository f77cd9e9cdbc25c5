use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use parking_lot::Mutex;

use crate::{CookieLifetime, layer::Policy, presented};

/// What a request carries for whoever asks for its session. Until then, nothing is parsed and nothing is made.
pub(crate) struct Slot {
    pub(crate) policy: Arc<Policy>,
    session: OnceLock<session_manager::Session>,
    /// How long the client is to keep the cookie of this session, if that was said.
    pub(crate) lifetime: Mutex<Option<CookieLifetime>>,
}

impl Slot {
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, session: OnceLock::new(), lifetime: Mutex::new(None) }
    }

    /// The session of the request with these headers. The first one to ask makes the handle.
    pub(crate) fn session(&self, headers: &HeaderMap) -> &session_manager::Session {
        self.session
            .get_or_init(|| self.policy.manager.open(presented::id(headers, self.policy.cookie.name())))
    }

    /// The session, if anybody has asked for it.
    pub(crate) fn asked_for(&self) -> Option<&session_manager::Session> {
        self.session.get()
    }
}
