use std::{fmt, sync::Arc};

use http::Response;
use session_manager::{SessionError, SessionManager, session_core::SessionStore};
use tower_layer::Layer;

use crate::{
    CookieSettings, InvalidCookie, SessionService,
    failure::{CustomResponse, EmptyResponse},
};

/// Gives every request a [`Session`](crate::Session), and saves its changes before the response is
/// sent.
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
/// * A request whose handler does not ask for the session costs no I/O. A response to a request
///   that only reads its session sets no cookie.
/// * Changes are saved before the head of the response is sent, unless its status is 5xx. Commits
///   of the handler itself, such as `update`, `login` and `save`, are not rolled back then.
/// * If the changes cannot be saved, the response is replaced by that of
///   [`on_failure`](Self::on_failure). An outage is never an empty session.
/// * A response whose handler has asked for the session gets `Vary: Cookie`. If it sets or removes
///   a cookie, it gets `Cache-Control: no-store`, unless the handler has set `private` or
///   `no-store`. If it was built from a session that has an owner, `private` is added to the
///   handler's `Cache-Control`, and `public`, `s-maxage` and `proxy-revalidate` are removed. If it
///   was built from a session without an owner, `private` is added if the handler has set no
///   `Cache-Control`.
/// * Once the response is being sent, or the client has gone, a task that still has the session can
///   no longer create one: that fails as [`TooLate`](SessionError::TooLate).
///
/// Clones are cheap. One layer serves any number of services.
///
/// # Several layers
/// An id is valid only for the cookie that it was made for. Two layers with cookies of different
/// names may share a store, and neither opens the other's sessions. Where both are around one
/// handler, [`Session`](crate::Session) is that of the inner layer;
/// [`Session::named`](crate::Session::named), and `NamedSession` for axum, reach both.
///
/// If a layer is inside another one whose cookie has the same name, such as the same layer around a
/// nested router and around the whole, it uses the session of the outer layer, which saves it. The
/// settings of the inner layer have no effect then.
#[derive(Clone)]
pub struct SessionLayer<R = EmptyResponse> {
    policy: Arc<Policy>,
    on_failure: R,
}

/// The settings that all requests of a layer share.
#[derive(Clone)]
pub(crate) struct Policy {
    /// Accepts only ids of this cookie.
    pub(crate) manager: SessionManager,
    /// The cookie as it is sent.
    pub(crate) cookie: CookieSettings,
    /// The cookie as the application has configured it, for TLS.
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
    /// A layer over this store, with the defaults of [`SessionManager`] and [`CookieSettings`].
    ///
    /// Accepts every store. Over a store without an index of owners, `logout_others`,
    /// `logout_everywhere` and `sessions_of` fail, which is a 500 unless the handler handles the
    /// error. To refuse such a store at start-up, build the manager with
    /// [`require_owner_index`](session_manager::SessionManagerBuilder::require_owner_index), and
    /// use [`from_manager`](Self::from_manager).
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self::from_manager(SessionManager::new(store))
    }

    /// A layer over this manager, with the manager's timeouts, codec and limits.
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

    /// The response to a request whose session could not be saved, or whose handler has returned a
    /// [`SessionError`](crate::SessionError) as its response.
    ///
    /// Default: an empty response. Its status is 503 with `Retry-After` for an outage; 409 if the
    /// session has ended meanwhile, or if another request has changed the same key where that is
    /// forbidden; 429 for too many sessions; 500 for anything else.
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
    /// Sets the cookie that carries the id.
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

    /// Makes the cookie work over plain HTTP: without `Secure`, and without the prefix of its name
    /// that requires `Secure`. This applies to every cookie that is set before or after.
    ///
    /// Anything on the network path can then take over sessions.
    #[must_use]
    pub fn insecure_for_development(mut self) -> Self {
        let policy = Arc::make_mut(&mut self.policy);
        policy.is_insecure = true;
        policy.settle();
        self
    }

    /// Whether changes are also saved when the status of the response is 5xx. Default: no, because
    /// the handler has failed, and its incomplete changes are discarded.
    #[must_use]
    pub fn save_after_server_error(mut self, save: bool) -> Self {
        Arc::make_mut(&mut self.policy).save_after_server_error = save;
        self
    }

    /// The manager, for work outside of requests.
    ///
    /// It is [restricted](SessionManager::for_purpose) to ids of this layer's cookie: another
    /// manager over the same store loads no session by them.
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
