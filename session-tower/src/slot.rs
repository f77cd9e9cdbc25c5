use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderMap;
use parking_lot::Mutex;
use session_manager::SessionManager;

use crate::{layer::Policy, presented};

/// What a request carries for whoever asks for its session. Until then, nothing is parsed and nothing is made.
pub(crate) struct Slot {
    manager: SessionManager,
    pub(crate) policy: Arc<Policy>,
    session: OnceLock<session_manager::Session>,
    /// What the application wants of the cookie's `Max-Age` for this session, if anything.
    pub(crate) max_age: Mutex<Option<Option<Duration>>>,
}

impl Slot {
    pub(crate) fn new(manager: SessionManager, policy: Arc<Policy>) -> Self {
        Self { manager, policy, session: OnceLock::new(), max_age: Mutex::new(None) }
    }

    /// The session of the request with these headers. The first one to ask makes the handle.
    pub(crate) fn session(&self, headers: &HeaderMap) -> &session_manager::Session {
        self.session.get_or_init(|| self.manager.open(presented::id(headers, self.policy.cookie.name())))
    }

    /// The session, if anybody has asked for it.
    pub(crate) fn asked_for(&self) -> Option<&session_manager::Session> {
        self.session.get()
    }
}
