use http::{HeaderMap, HeaderValue, header::COOKIE};
use memchr::memchr_iter;
use session_manager::session_core::SessionId;

/// The maximum number of ids of one request that the store is asked for. Browsers send several
/// cookies of one name if these differ in their domain or path: after a change of the settings, or
/// if another host of the domain has planted one.
const MOST: usize = 4;

/// The ids in a request's cookies of one name.
#[derive(Debug, Default)]
pub(crate) struct Presented {
    pub(crate) first: Option<SessionId>,
    pub(crate) others: Vec<SessionId>,
    /// There is more than one cookie of this name, whatever its value.
    pub(crate) are_several: bool,
}

impl Presented {
    /// Collects the ids. A value that is malformed, too long, or not text counts as no id.
    pub(crate) fn of(headers: &HeaderMap, name: &str) -> Self {
        let mut presented = Self::default();
        let values = headers.get_all(COOKIE).iter().flat_map(|header| values(header, name));
        for (at, value) in values.enumerate() {
            presented.are_several = at > 0;
            let Some(id) = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) else {
                continue;
            };
            if presented.first.is_none() {
                presented.first = Some(id);
            } else if presented.first.as_ref() != Some(&id)
                && presented.others.len() + 1 < MOST
                && !presented.others.contains(&id)
            {
                presented.others.push(id);
            }
        }
        presented
    }
}

/// The values of the cookies of this name. Malformed other cookies are skipped.
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

    /// The ids, and whether there are several cookies.
    fn found(headers: &[&[u8]]) -> (Vec<String>, bool) {
        let headers = headers.iter().map(|bytes| (COOKIE, HeaderValue::from_bytes(bytes).expect("a header")));
        let Presented { first, others, are_several } = Presented::of(&headers.collect(), "session");
        let ids = first.iter().chain(&others).map(|id| id.expose().as_str().to_owned());
        (ids.collect(), are_several)
    }

    #[test]
    fn an_id_is_found_among_other_cookies() {
        let id = "A".repeat(28);
        let b = "B".repeat(28);
        for cookies in [
            format!("session={id}"),
            format!("theme=dark; session={id}; x"),
            format!("xsession={b};session={id} ;session2={b}"),
            format!("=;;; session={id}; \u{e4}=\u{f6}"),
        ] {
            assert_eq!(found(&[cookies.as_bytes()]), (vec![id.clone()], false), "{cookies}");
        }
        assert_eq!(found(&[b"theme=dark", format!("session={id}").as_bytes()]), (vec![id], false));
    }

    #[test]
    fn several_cookies_of_the_name_are_all_found() {
        let [a, b] = ["A", "B"].map(|letter| letter.repeat(28));
        for (cookies, ids) in [
            (format!("session={a}; session={b}"), vec![a.clone(), b.clone()]),
            (format!("session={b}; theme=dark; session={a}"), vec![b.clone(), a.clone()]),
            (format!("session={a}; session={a}"), vec![a.clone()]),
            (format!("session={a}; session="), vec![a.clone()]),
            (format!("session=broken; session={a}"), vec![a.clone()]),
        ] {
            assert_eq!(found(&[cookies.as_bytes()]), (ids, true), "{cookies}");
        }
        let [first, second] = [format!("session={a}"), format!("session={b}")];
        assert_eq!(found(&[first.as_bytes(), second.as_bytes()]), (vec![a, b], true));
    }

    #[test]
    fn no_more_than_a_few_are_asked_for() {
        let letters = ["A", "B", "C", "D", "E", "F"].map(|letter| letter.repeat(28));
        let cookies = letters.clone().map(|id| format!("session={id}")).join("; ");
        assert_eq!(found(&[cookies.as_bytes()]), (letters[..MOST].to_vec(), true));
    }

    #[test]
    fn nothing_else_is_an_id() {
        let a = "A".repeat(28);
        assert_eq!(found(&[]), (vec![], false));
        for cookies in [
            String::new(),
            "session=".to_owned(),
            "session".to_owned(),
            format!("Session={a}"),
            format!("session={a}="),
            format!("session=\"{a}\""),
            format!("session= {a}"),
            format!("session={}", "A".repeat(100_000)),
        ] {
            assert_eq!(
                found(&[cookies.as_bytes()]),
                (vec![], false),
                "{}",
                &cookies[..cookies.len().min(80)]
            );
        }
        assert_eq!(found(&[b"session=\xff\xfe"]), (vec![], false));
    }
}
