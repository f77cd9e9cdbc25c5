use http::{HeaderMap, HeaderValue, header::COOKIE};
use memchr::memchr_iter;
use session_manager::session_core::SessionId;

/// The id in a request's cookies, if it is one.
///
/// What is malformed, too long, or no text counts as nothing, and so do two cookies of this name that differ: one of them may have been planted by another
/// host of the domain, and nobody can tell which.
pub(crate) fn id(headers: &HeaderMap, name: &str) -> Option<SessionId> {
    let mut found: Option<&[u8]> = None;
    for value in headers.get_all(COOKIE).iter().flat_map(|header| values(header, name)) {
        if found.is_some_and(|other| other != value) {
            return None;
        }
        found = Some(value);
    }
    std::str::from_utf8(found?).ok()?.parse().ok()
}

/// The values of the cookies of this name. Other cookies may be as broken as they like.
fn values<'a>(header: &'a HeaderValue, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let bytes = header.as_bytes();
    let ends = memchr_iter(b';', bytes).chain([bytes.len()]);
    let mut begin = 0;
    ends.filter_map(move |end| {
        let cookie = bytes.get(begin..end)?;
        begin = end + 1;
        let value = cookie.trim_ascii_start().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.trim_ascii_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[&[u8]]) -> Option<String> {
        let headers = headers.iter().map(|bytes| (COOKIE, HeaderValue::from_bytes(bytes).expect("a header")));
        id(&headers.collect(), "session").map(|id| id.expose().as_str().to_owned())
    }

    #[test]
    fn an_id_is_found_among_other_cookies() {
        let id = "A".repeat(28);
        let b = "B".repeat(28);
        for cookies in [
            format!("session={id}"),
            format!("theme=dark; session={id}; x"),
            format!("xsession={b};session={id} ;session2={b}"),
            format!("session={id}; session={id}"),
            format!("=;;; session={id}; \u{e4}=\u{f6}"),
        ] {
            assert_eq!(found(&[cookies.as_bytes()]).as_ref(), Some(&id), "{cookies}");
        }
        assert_eq!(found(&[b"theme=dark", format!("session={id}").as_bytes()]), Some(id));
    }

    #[test]
    fn nothing_else_is_an_id() {
        let (a, b) = ("A".repeat(28), "B".repeat(28));
        assert_eq!(found(&[]), None);
        for cookies in [
            String::new(),
            "session=".to_owned(),
            "session".to_owned(),
            format!("Session={a}"),
            format!("session={a}="),
            format!("session=\"{a}\""),
            format!("session= {a}"),
            format!("session={}", "A".repeat(100_000)),
            format!("session={a}; session={b}"),
            format!("session={a}; session="),
        ] {
            assert_eq!(found(&[cookies.as_bytes()]), None, "{}", &cookies[..cookies.len().min(80)]);
        }
        assert_eq!(found(&[b"session=\xff\xfe"]), None);
        assert_eq!(found(&[format!("session={a}").as_bytes(), format!("session={b}").as_bytes()]), None);
    }
}
