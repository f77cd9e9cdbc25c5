//! How long a client keeps a session's cookie, as remembered after the response that set it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use session_manager::{CookieChange, Session};

use crate::{CookieLifetime, request_session::RequestSession};

/// The session key that holds the lifetime set with
/// [`Session::set_cookie_lifetime`](crate::Session::set_cookie_lifetime), and the time when the
/// persistent cookie was last renewed.
const KEY: &str = "session-tower:cookie";

/// The lifetime of the cookie in seconds (`None`: until the browser is closed), and the second
/// since 1970 in which the client got it.
type Kept = (Option<u64>, u64);

/// A cookie is renewed once this fraction (one tenth) of its lifetime has passed.
const RENEWED_AFTER: u32 = 10;

/// How long the client is to keep the cookie of this session: as set by this handler, otherwise as
/// stored in the session, otherwise the default of the settings.
pub(crate) fn of(session: &Session, slot: &RequestSession) -> CookieLifetime {
    let said = *slot.lifetime.lock();
    said.or_else(|| stored(session).map(lifetime)).unwrap_or(slot.policy.cookie.default_lifetime())
}

/// Whether [`keep`] would store anything. Costs no I/O.
pub(crate) fn is_to_be_kept(session: &Session, slot: &RequestSession) -> bool {
    to_be_kept(session, slot).is_some()
}

/// Stores what is needed to renew the cookie later, and returns whether the client must be sent the
/// cookie again now.
///
/// A failure does not change the response: if the session has ended meanwhile, or the store is
/// unreachable, the client keeps the cookie that it has.
pub(crate) async fn keep(session: &Session, slot: &RequestSession) -> bool {
    let Some(kept) = to_be_kept(session, slot) else { return false };
    match session.update(KEY, |_: Option<Kept>| kept).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "the lifetime of a session's cookie could not be stored");
            false
        }
    }
}

fn to_be_kept(session: &Session, slot: &RequestSession) -> Option<Kept> {
    session.key()?;
    let stored = stored(session);
    let before = stored.map_or(slot.policy.cookie.default_lifetime(), lifetime);
    let said = slot.lifetime.lock().unwrap_or(before);
    (said != before || is_due(session, stored, said)).then(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        (said.seconds(), now)
    })
}

/// Whether the client has a persistent cookie that is due for renewal.
fn is_due(session: &Session, stored: Option<Kept>, lifetime: CookieLifetime) -> bool {
    let CookieLifetime::Persistent(lifetime) = lifetime else { return false };
    // The session is loaded, so this does not wait.
    let Some(Ok(Some(began))) = session.created().now_or_never() else { return false };
    // With a login, the client got a new cookie.
    let since = stored.map_or(began, |(_, since)| {
        began.max(UNIX_EPOCH.checked_add(Duration::from_secs(since)).unwrap_or(began))
    });
    let used = since.elapsed().unwrap_or_default();
    used >= lifetime / RENEWED_AFTER && session.cookie_change() == CookieChange::Keep
}

fn stored(session: &Session) -> Option<Kept> {
    // A session that is not loaded is not loaded for this. If it is loaded, this does not wait.
    session.is_loaded().then(|| session.get(KEY).now_or_never())??.ok()?
}

fn lifetime((seconds, _): Kept) -> CookieLifetime {
    seconds.map_or(CookieLifetime::BrowserSession, |seconds| {
        CookieLifetime::Persistent(Duration::from_secs(seconds))
    })
}
