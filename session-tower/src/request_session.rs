use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use http::{Extensions, HeaderValue, request::Parts};
use parking_lot::Mutex;

use crate::{CookieLifetime, layer::Policy, presented::Presented};

/// A request's lazily opened session: nothing is parsed or created until a handler asks for it.
pub(crate) struct RequestSession {
    pub(crate) policy: Arc<Policy>,
    session: OnceLock<session_manager::Session>,
    /// How long the client is to keep the cookie of this session, if the handler has set it.
    pub(crate) lifetime: Mutex<Option<CookieLifetime>>,
    /// The headers that make the client remove other cookies of this name, if it presented several.
    twins: OnceLock<Vec<HeaderValue>>,
    /// The response is being sent, or there will be none.
    is_closed: AtomicBool,
}

impl RequestSession {
    fn new(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            session: OnceLock::new(),
            lifetime: Mutex::new(None),
            twins: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// The session of the request with this head. The first call creates the handle.
    pub(crate) fn session(&self, request: &Parts) -> &session_manager::Session {
        let session = self.session.get_or_init(|| {
            let Policy { manager, cookie, .. } = &*self.policy;
            let Presented { first, others, are_several } = Presented::of(&request.headers, cookie.name());
            if are_several {
                self.twins.get_or_init(|| cookie.remove_twins(request));
            }
            if others.is_empty() {
                manager.open(first)
            } else {
                manager.open_any(first.into_iter().chain(others))
            }
        });
        if self.is_closed.load(SeqCst) {
            session.response_sent();
        }
        session
    }

    /// The session, if any handler has asked for it.
    pub(crate) fn asked_for(&self) -> Option<&session_manager::Session> {
        self.session.get()
    }

    pub(crate) fn twins(&self) -> &[HeaderValue] {
        self.twins.get().map_or(&[], Vec::as_slice)
    }

    /// From now on, the client can get no new id.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, SeqCst);
        if let Some(session) = self.asked_for() {
            session.response_sent();
        }
    }
}

/// The sessions of a request, one for each cookie name among the layers around its handler.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The session of the innermost layer.
    current: Arc<RequestSession>,
    others: Vec<Arc<RequestSession>>,
}

impl Scope {
    /// Enters a layer, and returns its slot.
    ///
    /// Returns `None` if a layer further out has the same cookie: then its session is the session
    /// here, too, and that layer saves it.
    pub(crate) fn enter(extensions: &mut Extensions, policy: &Arc<Policy>) -> Option<Arc<RequestSession>> {
        let Some(scope) = extensions.get_mut::<Self>() else {
            let slot = Arc::new(RequestSession::new(Arc::clone(policy)));
            extensions.insert(Self { current: Arc::clone(&slot), others: Vec::new() });
            return Some(slot);
        };
        let has_same_cookie = |slot: &Arc<RequestSession>| slot.policy.cookie.name() == policy.cookie.name();
        if has_same_cookie(&scope.current) {
            return None;
        }
        if let Some(outer) = scope.others.iter_mut().find(|slot| has_same_cookie(slot)) {
            std::mem::swap(&mut scope.current, outer);
            return None;
        }
        let slot = Arc::new(RequestSession::new(Arc::clone(policy)));
        let outer = std::mem::replace(&mut scope.current, Arc::clone(&slot));
        scope.others.push(outer);
        Some(slot)
    }

    pub(crate) fn current(&self) -> &Arc<RequestSession> {
        &self.current
    }

    /// The slot of the layer with this cookie.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<RequestSession>> {
        std::iter::once(&self.current).chain(&self.others).find(|slot| slot.policy.cookie.is_named(name))
    }
}

/// A request that is being served. It is dropped when its response is being sent, or when there
/// will be none.
pub(crate) struct Serving(pub(crate) Arc<RequestSession>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.close();
    }
}
