//! Response headers for caches between the application and its clients.

use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, Entry, VARY},
};
use session_manager::Session;

/// The kind of session that a response may depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BuiltFrom {
    /// No session was loaded, or there was none.
    Nothing,
    /// A session without an owner.
    Guest,
    /// A session with an owner, or one that has ended, which may have had one.
    Owner,
}

impl BuiltFrom {
    fn of(session: &Session) -> Self {
        if !session.is_loaded() {
            return Self::Nothing;
        }
        // The session is loaded, so this does not wait.
        match session.owner().now_or_never() {
            Some(Ok(None)) if session.key().is_none() => Self::Nothing,
            Some(Ok(None)) => Self::Guest,
            _ => Self::Owner,
        }
    }
}

/// Keeps a response out of shared caches, as far as its session makes that necessary.
pub(crate) fn shield(headers: &mut HeaderMap, session: &Session, sets_cookie: bool) {
    vary(headers);
    if sets_cookie {
        if !is_private(headers) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        return;
    }
    match BuiltFrom::of(session) {
        BuiltFrom::Nothing => {}
        BuiltFrom::Guest if headers.contains_key(CACHE_CONTROL) => {}
        BuiltFrom::Guest | BuiltFrom::Owner => make_private(headers),
    }
}

/// Declares that the response may depend on the session's cookie.
fn vary(headers: &mut HeaderMap) {
    const COOKIE: HeaderValue = HeaderValue::from_static("cookie");
    let names = |value: &HeaderValue| {
        let mut names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        names.any(|name| name.eq_ignore_ascii_case("cookie") || name == "*")
    };
    match headers.entry(VARY) {
        Entry::Vacant(none) => {
            none.insert(COOKIE);
        }
        Entry::Occupied(mut some) => {
            if !some.iter().any(names) {
                some.append(COOKIE);
            }
        }
    }
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CACHE_CONTROL).into_iter();
    values.flat_map(|value| value.to_str().unwrap_or_default().split(',').map(str::trim))
}

fn is_private(headers: &HeaderMap) -> bool {
    directives(headers).any(|it| it.eq_ignore_ascii_case("private") || it.eq_ignore_ascii_case("no-store"))
}

/// Adds `private`, and removes the directives that would still allow a shared cache to store the
/// response. Directives for private caches stay.
fn make_private(headers: &mut HeaderMap) {
    if is_private(headers) {
        return;
    }
    let is_for_shared = |it: &str| {
        let name = it.split_once('=').map_or(it, |(name, _)| name.trim_end());
        ["public", "s-maxage", "proxy-revalidate"].iter().any(|shared| name.eq_ignore_ascii_case(shared))
    };
    let mut said = String::from("private");
    for directive in directives(headers).filter(|it| !it.is_empty() && !is_for_shared(it)) {
        said.push_str(", ");
        said.push_str(directive);
    }
    let value = HeaderValue::try_from(said).unwrap_or(HeaderValue::from_static("private"));
    headers.insert(CACHE_CONTROL, value);
}
