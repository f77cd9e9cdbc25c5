use std::{fmt, sync::Arc};

use http::Response;
use session_manager::{SessionError, SessionManager, session_core::SessionStore};
use tower_layer::Layer;

use crate::{
    CookieSettings, InvalidCookie, SessionService,
    failure::{CustomResponse, EmptyResponse},
};

/// Gives every request a [`Session`](crate::Session), and saves what has changed before the response is sent.
///
/// ```
/// use axum::{Router, routing::get};
/// use session_memory::MemoryStore;
/// use session_tower::{Session, SessionError, SessionLayer};
///
/// async fn visits(session: Session) -> Result<String, SessionError> {
///     let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit {n}"))
/// }
///
/// let app: Router = Router::new().route("/", get(visits)).layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// * A request that does not ask for its session costs no I/O, and a response to one that only reads sets no cookie.
/// * Changes are saved before the head of the response is sent, unless its status is 5xx. Commits of the handler itself, such as `update`, `login` and
///   `save`, are not taken back by that.
/// * If they cannot be saved, the response becomes what [`on_failure`](Self::on_failure) says. An outage is never an empty session.
/// * A response whose handler has asked for the session gets `Vary: Cookie`. If it sets or removes a cookie, it gets `Cache-Control: no-store`, unless
///   the handler has said `private` or `no-store`. If it was built from a session that has an owner, `private` is added to what the handler says, and
///   `public`, `s-maxage` and `proxy-revalidate` are taken away; from one without an owner, `private` is added where the handler says nothing.
/// * Once the response is on its way, or the client has gone, a task that still has the session can no longer begin one: that fails as
///   [`TooLate`](SessionError::TooLate).
///
/// Clones are cheap, and one layer serves any number of services.
///
/// # Several layers
/// An id is good for the cookie that it was made for, and for no other: two layers with cookies of different names may share a store, and neither opens the
/// other's sessions. Where both are around one handler, [`Session`](crate::Session) is that of the inner one;
/// [`Session::named`](crate::Session::named), and `NamedSession` for axum, reach both.
///
/// A layer inside another one whose cookie has the same name, such as the same layer around a nested router and around the whole, finds the session of
/// the outer one, which saves it; settings of the inner one do not count then.
#[derive(Clone)]
pub struct SessionLayer<R = EmptyResponse> {
    policy: Arc<Policy>,
    on_failure: R,
}

/// What all requests of a layer have in common.
#[derive(Clone)]
pub(crate) struct Policy {
    /// For ids of this cookie alone.
    pub(crate) manager: SessionManager,
    /// The cookie as it is sent.
    pub(crate) cookie: CookieSettings,
    /// The cookie as the application wants it where there is TLS.
    wanted: CookieSettings,
    is_insecure: bool,
    pub(crate) save_after_server_error: bool,
}

impl Policy {
    fn settle(&mut self) {
        let wanted = self.wanted.clone();
        self.cookie = if self.is_insecure { wanted.insecure() } else { wanted };
        self.manager = self.manager.for_purpose(self.cookie.name());
    }
}

impl SessionLayer {
    /// Sessions in this store, with the defaults of [`SessionManager`] and [`CookieSettings`].
    ///
    /// Takes every store. Over one without an index of owners, `logout_others`, `logout_everywhere`
    /// and `sessions_of` fail, which is a 500 unless the handler does something else about it: to
    /// refuse such a store at start-up, build the manager with
    /// [`require_owner_index`](session_manager::SessionManagerBuilder::require_owner_index), and
    /// use [`from_manager`](Self::from_manager).
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self::from_manager(SessionManager::new(store))
    }

    /// Sessions of this manager, whose timeouts, codec and limits count.
    #[expect(clippy::needless_pass_by_value, reason = "a layer owns its manager, and its clones are cheap")]
    pub fn from_manager(manager: SessionManager) -> Self {
        let cookie = CookieSettings::default();
        let policy = Policy {
            manager: manager.for_purpose(cookie.name()),
            wanted: cookie.clone(),
            cookie,
            is_insecure: false,
            save_after_server_error: false,
        };
        Self { policy: Arc::new(policy), on_failure: EmptyResponse }
    }

    /// The response to a request whose session could not be saved, or whose handler has returned a [`SessionError`](crate::SessionError) as its response. Unless set: 503
    /// with `Retry-After` for an outage; 409 if the session has ended meanwhile, or another request has changed the same key where that is forbidden; 429 for
    /// too many sessions; 500 for anything else. All of them are empty.
    ///
    /// ```
    /// use axum::{http::StatusCode, response::{IntoResponse, Redirect}};
    /// use session_memory::MemoryStore;
    /// use session_tower::SessionLayer;
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).on_failure(|error| match error {
    ///     error if error.is_gone() => Redirect::to("/login").into_response(),
    ///     _ => (StatusCode::SERVICE_UNAVAILABLE, "Please try again in a moment.").into_response(),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn on_failure<B, F>(self, respond: F) -> SessionLayer<CustomResponse<F>>
    where
        F: Fn(&SessionError) -> Response<B> + Clone + Send + Sync + 'static,
    {
        SessionLayer { policy: self.policy, on_failure: CustomResponse(respond) }
    }
}

impl<R> SessionLayer<R> {
    /// The cookie that carries the id.
    ///
    /// # Errors
    /// [`InvalidCookie`] if browsers would not accept it.
    pub fn with_cookie(mut self, cookie: CookieSettings) -> Result<Self, InvalidCookie> {
        cookie.check()?;
        let policy = Arc::make_mut(&mut self.policy);
        policy.wanted = cookie;
        policy.settle();
        Ok(self)
    }

    /// Makes the cookie work over plain HTTP: without `Secure`, and without the prefix of its name that needs it, whichever cookie is set before or
    /// after this. Anything on the way can then take over sessions.
    #[must_use]
    pub fn insecure_for_development(mut self) -> Self {
        let policy = Arc::make_mut(&mut self.policy);
        policy.is_insecure = true;
        policy.settle();
        self
    }

    /// Whether changes are also saved when the response says 5xx. No unless set: the handler has failed, and what it left half done is dropped.
    #[must_use]
    pub fn save_after_server_error(mut self, save: bool) -> Self {
        Arc::make_mut(&mut self.policy).save_after_server_error = save;
        self
    }

    /// The manager, for what is done outside of requests. It is [for](SessionManager::for_purpose) ids of this layer's cookie alone: another manager over
    /// the same store loads nothing by them.
    pub fn manager(&self) -> &SessionManager {
        &self.policy.manager
    }
}

impl<R> fmt::Debug for SessionLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.policy.cookie).finish_non_exhaustive()
    }
}

impl<S, R: Clone> Layer<S> for SessionLayer<R> {
    type Service = SessionService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.policy), self.on_failure.clone())
    }
}
