//! How long a client keeps a session's cookie, beyond the response that has said so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use session_manager::{CookieChange, Session};

use crate::{CookieLifetime, slot::Slot};

/// Under which key a session keeps what it was told with [`Session::set_cookie_lifetime`](crate::Session::set_cookie_lifetime), and when its
/// persistent cookie was renewed.
const KEY: &str = "session-tower:cookie";

/// For how many seconds the client keeps the cookie, if it outlives the browser, and in which second since 1970 it was told so.
type Kept = (Option<u64>, u64);

/// Which part of its lifetime a cookie has used up when it is renewed.
const RENEWED_AFTER: u32 = 10;

/// How long the client is to keep the cookie of this session: what the handler has said, what was said before, or else the settings.
pub(crate) fn of(session: &Session, slot: &Slot) -> CookieLifetime {
    let said = *slot.lifetime.lock();
    said.or_else(|| stored(session).map(lifetime)).unwrap_or(slot.policy.cookie.default_lifetime())
}

/// Whether [`keep`] would store anything. Costs no I/O.
pub(crate) fn is_to_be_kept(session: &Session, slot: &Slot) -> bool {
    to_be_kept(session, slot).is_some()
}

/// Stores what has to be known of the cookie later, and says whether the client is to be told the lifetime now.
///
/// The response does not depend on it: if the session has ended meanwhile, or the store is not to be reached, the client keeps what it has.
pub(crate) async fn keep(session: &Session, slot: &Slot) -> bool {
    let Some(kept) = to_be_kept(session, slot) else { return false };
    match session.update(KEY, |_: Option<Kept>| kept).await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "the lifetime of a session's cookie could not be stored");
            false
        }
    }
}

fn to_be_kept(session: &Session, slot: &Slot) -> Option<Kept> {
    session.key()?;
    let stored = stored(session);
    let before = stored.map_or(slot.policy.cookie.default_lifetime(), lifetime);
    let said = slot.lifetime.lock().unwrap_or(before);
    (said != before || is_due(session, stored, said)).then(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        (said.seconds(), now)
    })
}

/// Whether the client has a persistent cookie that is to be renewed.
fn is_due(session: &Session, stored: Option<Kept>, lifetime: CookieLifetime) -> bool {
    let CookieLifetime::Persistent(lifetime) = lifetime else { return false };
    // It is loaded, so that nothing is waited for.
    let Some(Ok(Some(began))) = session.created().now_or_never() else { return false };
    // With a login, the client has got a new cookie.
    let since = stored.map_or(began, |(_, since)| {
        began.max(UNIX_EPOCH.checked_add(Duration::from_secs(since)).unwrap_or(began))
    });
    let used = since.elapsed().unwrap_or_default();
    used >= lifetime / RENEWED_AFTER && session.cookie_change() == CookieChange::Keep
}

fn stored(session: &Session) -> Option<Kept> {
    // What is not loaded is not asked for, and what is loaded is not waited for.
    session.is_loaded().then(|| session.get(KEY).now_or_never())??.ok()?
}

fn lifetime((seconds, _): Kept) -> CookieLifetime {
    seconds.map_or(CookieLifetime::BrowserSession, |seconds| {
        CookieLifetime::Persistent(Duration::from_secs(seconds))
    })
}
