use std::{convert::Infallible, sync::Arc};

use ::axum::{
    body::Body,
    http::{
        Request as HttpRequest, Response,
        header::{COOKIE, SET_COOKIE},
    },
};
use ::axum_session::{SessionAnyPool, SessionAnySession, SessionConfig, SessionLayer, SessionStore};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::JoinHandle};
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};

use crate::{
    candidate::{Error, Place, Result, TTL},
    peers::{Browser, USER},
    probe::{Probe, Request},
};

type Service = BoxCloneSyncService<HttpRequest<Body>, Response<Body>, Infallible>;

/// An application behind its middleware, with the defaults.
///
/// A request goes through the middleware as a server would pass it on. The handler hands its
/// session to the check and waits for the end of the request.
pub(super) struct App {
    service: Service,
    cookie: String,
    browser: Arc<Browser>,
}

/// The handler: sends its session to the check, and waits until the request is to end.
#[derive(Clone)]
struct Handler(Arc<Mutex<Option<Ends>>>);

/// The channels that pass the session to the check and signal the end of the request.
type Ends = (oneshot::Sender<SessionAnySession>, oneshot::Receiver<()>);

async fn handle(request: HttpRequest<Body>) -> Result<Response<Body>, Infallible> {
    let session = request.extensions().get::<SessionAnySession>().cloned();
    let handler = request.extensions().get::<Handler>().and_then(|handler| handler.0.lock().take());
    if let (Some(session), Some((begun, end))) = (session, handler) {
        // The receiver is dropped if the check has failed.
        let _ = begun.send(session);
        let _ = end.await;
    }
    Ok(Response::new(Body::empty()))
}

impl App {
    /// Uses this pool.
    pub(super) async fn over(pool: SessionAnyPool, place: &Place) -> Result<Self> {
        let config =
            SessionConfig::default().with_table_name(place.name.clone()).with_lifetime(TTL.try_into()?);
        let cookie = config.get_session_name();
        let store = SessionStore::new(Some(pool), config).await?;
        let service = SessionLayer::new(store).layer(service_fn(handle));
        Ok(Self { service: BoxCloneSyncService::new(service), cookie, browser: Arc::default() })
    }

    async fn request(&self, id: Option<&str>) -> Result<AppRequest> {
        let mut request = HttpRequest::new(Body::empty());
        if let Some(id) = id {
            let cookie = format!("{}={}", self.cookie, self.browser.cookie(id));
            request.headers_mut().insert(COOKIE, cookie.parse()?);
        }
        let (begun, session) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        request.extensions_mut().insert(Handler(Arc::new(Mutex::new(Some((begun, ended))))));
        let answer = tokio::spawn(self.service.clone().oneshot(request));
        let Ok(session) = session.await else {
            return Err(format!("the middleware answered {} by itself", answer.await??.status()).into());
        };
        Ok(AppRequest { session, end, answer, cookie: self.cookie.clone(), browser: self.browser.clone() })
    }
}

struct AppRequest {
    session: SessionAnySession,
    end: oneshot::Sender<()>,
    answer: JoinHandle<Result<Response<Body>, Infallible>>,
    cookie: String,
    browser: Arc<Browser>,
}

impl AppRequest {
    /// Ends the request, and returns the id that the answer set.
    async fn answer(self) -> Result<Option<String>> {
        self.end.send(()).map_err(|()| Error::from("the request has ended before"))?;
        let answer = self.answer.await??;
        if !answer.status().is_success() {
            return Err(format!("the middleware answered {}", answer.status()).into());
        }
        let cookies = answer.headers().get_all(SET_COOKIE).into_iter();
        let beginning = format!("{}=", self.cookie);
        let id = cookies
            .filter_map(|cookie| cookie.to_str().ok()?.strip_prefix(&*beginning)?.split(';').next())
            .find(|id| !id.is_empty());
        Ok(id.map(str::to_owned))
    }
}

#[async_trait]
impl Probe for App {
    async fn login(&self, user: &str) -> Result<String> {
        let request = self.request(None).await?;
        request.session.set(USER, user);
        Ok(request.answer().await?.ok_or("a login that gave no id")?)
    }

    async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
        Ok(Box::new(self.request(Some(id)).await?))
    }

    async fn logout(&self, id: &str) -> Result<()> {
        let request = self.request(Some(id)).await?;
        request.session.destroy();
        request.answer().await.map(drop)
    }

    async fn is_logged_in(&self, id: &str) -> Result<bool> {
        Ok(self.get(id, USER).await?.is_some())
    }

    async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
        let request = self.request(Some(id)).await?;
        let value = request.session.get(key);
        request.answer().await?;
        Ok(value)
    }
}

#[async_trait]
impl Request for AppRequest {
    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.session.set(key, value);
        Ok(())
    }

    async fn save(self: Box<Self>) -> Result<()> {
        let (old, browser) = (self.session.get_session_id(), self.browser.clone());
        if let Some(new) = self.answer().await? {
            browser.set_cookie(&old, &new);
        }
        Ok(())
    }
}
