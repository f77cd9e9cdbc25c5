use std::{borrow::Cow, error::Error, fmt, net::Ipv4Addr, time::Duration};

use cookie::Cookie;
pub use cookie::SameSite;
use http::{HeaderValue, header::HOST as HOST_HEADER, request::Parts, uri::Authority};
use session_manager::session_core::SessionId;

/// How long a client keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieLifetime {
    /// Until the browser is closed; many reopen their windows with these cookies, though.
    BrowserSession,
    /// That long, also when the browser is closed, in whole seconds. While the session is used, the cookie is renewed whenever a tenth of this has
    /// passed, which costs one write of the session then: the session's idle timeout should be at least as long, and its absolute timeout
    /// ends it in any case.
    Persistent(Duration),
}

impl CookieLifetime {
    /// The same in whole seconds, of which there is at least one: browsers take none for the removal of the cookie.
    pub(crate) fn in_seconds(self) -> Self {
        match self {
            Self::BrowserSession => self,
            Self::Persistent(lifetime) => {
                let seconds = lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
                Self::Persistent(Duration::from_secs(seconds.max(1)))
            }
        }
    }

    /// For how many seconds, if not until the browser is closed.
    pub(crate) fn seconds(self) -> Option<u64> {
        match self.in_seconds() {
            Self::BrowserSession => None,
            Self::Persistent(lifetime) => Some(lifetime.as_secs()),
        }
    }
}

/// The prefixes of names that browsers hold to a policy, and compare without regard to case.
const HOST: &str = "__Host-";
const SECURE: &str = "__Secure-";
const HTTP: &str = "__Http-";

/// The longest path, domain and name that browsers keep with their value, in bytes.
const LONGEST_ATTRIBUTE: usize = 1024;
const LONGEST_NAME: usize = 4096 - SessionId::TEXT_LEN;

/// How many domains of the host a twin is removed from.
const MOST_DOMAINS: usize = 4;

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The name without the prefixes that stand for `Secure`.
fn bare(mut name: &str) -> &str {
    while let Some(prefix) = [HOST, SECURE, HTTP].iter().find(|prefix| has_prefix(name, prefix)) {
        name = &name[prefix.len()..];
    }
    name
}

/// Whether browsers can take this for the domain of a cookie: labels of letters, digits and hyphens.
fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

/// The cookie that carries a session's id, as the `Set-Cookie` header describes it (RFC 6265bis).
///
/// ```
/// use std::time::Duration;
/// use session_tower::{CookieLifetime, CookieSettings, SameSite};
///
/// let cookie = CookieSettings::new("__Secure-shop")
///     .domain("example.com")
///     .same_site(SameSite::Strict)
///     .lifetime(CookieLifetime::Persistent(Duration::from_secs(14 * 24 * 60 * 60)));
/// # let _ = cookie;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CookieSettings {
    name: Cow<'static, str>,
    path: Cow<'static, str>,
    domain: Option<Cow<'static, str>>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    lifetime: CookieLifetime,
    partitioned: bool,
}

impl Default for CookieSettings {
    /// `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax`, until the browser is closed.
    fn default() -> Self {
        Self::new("__Host-session")
    }
}

impl CookieSettings {
    /// The defaults under another name. Browsers hold a name that begins with `__Host-` to the whole policy: `Secure`, `Path=/`, no domain, so
    /// that no other host can plant such a cookie; `__Secure-` stands for `Secure` alone.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            lifetime: CookieLifetime::BrowserSession,
            partitioned: false,
        }
    }

    /// Only requests below this path carry the cookie. `/` unless set.
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// All hosts of this domain get the cookie, and not only the one that set it. A leading dot counts for nothing, as in browsers.
    pub fn domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        let domain = domain.into();
        self.domain = Some(match domain.strip_prefix('.') {
            Some(rest) => rest.to_owned().into(),
            None => domain,
        });
        self
    }

    /// Whether browsers send the cookie through TLS alone (and to `localhost`, where many make an exception). Yes unless set.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether scripts are kept from reading the cookie. Yes unless set.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie. `Lax` unless set: links to this site do, and forms, images and scripts of others do
    /// not. `None` takes that protection against forged requests away, and needs `Secure`.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// How long browsers keep the cookie. Until they are closed unless set. Less than a second is refused, as browsers would remove the cookie.
    pub fn lifetime(mut self, lifetime: CookieLifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Whether a page that is embedded by several sites has a session in each of them (CHIPS).
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is its name, prefixes apart.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        bare(&self.name) == bare(name)
    }

    pub(crate) fn default_lifetime(&self) -> CookieLifetime {
        self.lifetime.in_seconds()
    }

    /// What browsers, or this crate, would not accept.
    pub(crate) fn check(&self) -> Result<(), InvalidCookie> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Err(InvalidCookie::new(format!("the name {:?} is no token of HTTP", self.name)));
        }
        if bare(&self.name).is_empty() || self.name.len() > LONGEST_NAME {
            return Err(InvalidCookie::new("the name is a prefix and nothing else, or too long"));
        }
        let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';');
        if !self.path.starts_with('/') || !plain(&self.path) {
            return Err(InvalidCookie::new(format!("the path {:?} does not begin with /", self.path)));
        }
        if self.path.ends_with(' ') || self.path.len() > LONGEST_ATTRIBUTE {
            return Err(InvalidCookie::new("the path ends with a space or is longer than 1024 bytes"));
        }
        if let Some(domain) = &self.domain
            && !is_host_name(domain)
        {
            return Err(InvalidCookie::new(format!("the domain {domain:?} is not a name of a host")));
        }
        if let CookieLifetime::Persistent(lifetime) = self.lifetime
            && lifetime < Duration::from_secs(1)
        {
            return Err(InvalidCookie::new("a lifetime of less than a second would remove the cookie"));
        }
        if has_prefix(&self.name, HOST) && (!self.secure || self.path != "/" || self.domain.is_some()) {
            return Err(InvalidCookie::new(
                "a name with the prefix __Host- needs Secure, Path=/ and no domain; `__Secure-` allows the others",
            ));
        }
        if has_prefix(&self.name, SECURE) && !self.secure {
            return Err(InvalidCookie::new("a name with the prefix __Secure- needs Secure"));
        }
        if (has_prefix(&self.name, HTTP) || has_prefix(&self.name, "__Host-Http-"))
            && !(self.secure && self.http_only)
        {
            return Err(InvalidCookie::new("a name with the prefix __Http- needs Secure and HttpOnly"));
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(InvalidCookie::new("SameSite=None needs Secure"));
        }
        if self.partitioned && !self.secure {
            return Err(InvalidCookie::new("Partitioned needs Secure"));
        }
        Ok(())
    }

    /// The same without what plain HTTP cannot have.
    pub(crate) fn insecure(mut self) -> Self {
        let bare = bare(&self.name);
        if bare.len() < self.name.len() {
            self.name = bare.to_owned().into();
        }
        self.secure = false;
        self.partitioned = false;
        if self.same_site == SameSite::None {
            self.same_site = SameSite::Lax;
        }
        self
    }

    /// The header that gives the client this id.
    pub(crate) fn set(&self, id: &SessionId, lifetime: CookieLifetime) -> Option<HeaderValue> {
        self.header(id.expose().as_str(), lifetime.seconds())
    }

    /// The header that makes the client forget the cookie.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header("", Some(0))
    }

    /// The headers that make the client forget other cookies of this name, as far as these settings and the host tell which there can be: without a domain
    /// and with this one, or with one that the host is part of; at this path and at `/`.
    pub(crate) fn remove_twins(&self, request: &Parts) -> Vec<HeaderValue> {
        if has_prefix(&self.name, HOST) {
            // Browsers refuse all but one.
            return Vec::new();
        }
        let host = request.headers.get(HOST_HEADER).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri.authority().map(Authority::as_str)).unwrap_or_default();
        let mut domains = vec![None];
        domains.extend(self.domain.as_deref().into_iter().chain(domains_of(host)).map(Some));
        let mut headers = Vec::new();
        for (at, domain) in domains.iter().enumerate() {
            let is_first = !domains[..at].contains(domain);
            for path in [Some("/"), Some(&*self.path).filter(|path| *path != "/")].into_iter().flatten() {
                if is_first && (*domain, path) != (self.domain.as_deref(), &*self.path) {
                    let twin = Self {
                        path: path.to_owned().into(),
                        domain: domain.map(|domain| domain.to_owned().into()),
                        ..self.clone()
                    };
                    headers.extend(twin.remove());
                }
            }
        }
        headers
    }

    fn header(&self, value: &str, max_age: Option<u64>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((&*self.name, value))
            .path(&*self.path)
            .secure(self.secure)
            .http_only(self.http_only)
            .same_site(self.same_site)
            .partitioned(self.partitioned);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(&**domain);
        }
        if let Some(seconds) = max_age {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        // All parts were checked.
        let mut header = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

/// The domains of which a host is part, but for those of one label, to which browsers give no cookie.
fn domains_of(host: &str) -> impl Iterator<Item = &str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let is_name = is_host_name(name) && name.parse::<Ipv4Addr>().is_err();
    let names =
        std::iter::successors(is_name.then_some(name), |name| name.split_once('.').map(|(_, parent)| parent));
    names.filter(|name| name.contains('.')).take(MOST_DOMAINS)
}

/// Why a cookie with these settings would not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCookie(Cow<'static, str>);

impl InvalidCookie {
    fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for InvalidCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid cookie: {}", self.0)
    }
}

impl Error for InvalidCookie {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(settings: &CookieSettings) -> String {
        let id = "A".repeat(28).parse().expect("an id");
        settings.set(&id, settings.default_lifetime()).expect("a header").to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let header = text(&CookieSettings::default());
        assert_eq!(
            header,
            "__Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAA; HttpOnly; SameSite=Lax; Secure; Path=/"
        );
        CookieSettings::default().check().expect("the defaults are valid");
    }

    #[test]
    fn everything_can_be_set() {
        let settings = CookieSettings::new("__Secure-shop")
            .domain("example.com")
            .path("/shop")
            .same_site(SameSite::Strict)
            .http_only(false)
            .partitioned(true)
            .lifetime(CookieLifetime::Persistent(Duration::from_mins(1)));
        settings.check().expect("valid");
        let header = text(&settings);
        for part in [
            "__Secure-shop=",
            "Domain=example.com",
            "Path=/shop",
            "SameSite=Strict",
            "Max-Age=60",
            "Partitioned",
        ] {
            assert!(header.contains(part), "{header} has no {part}");
        }
        assert!(!header.contains("HttpOnly"));
        assert!(settings.remove().expect("a header").to_str().expect("ASCII").contains("Max-Age=0"));
    }

    #[test]
    fn what_no_browser_would_accept_is_refused() {
        for (settings, said) in [
            (CookieSettings::new(""), "no token"),
            (CookieSettings::new("a b"), "no token"),
            (CookieSettings::new("__Host-a").domain("example.com"), "__Host-"),
            (CookieSettings::new("__host-a").path("/a"), "__Host-"),
            (CookieSettings::new("__Host-a").secure(false), "__Host-"),
            (CookieSettings::new("__Secure-a").secure(false), "__Secure-"),
            (CookieSettings::new("a").secure(false).same_site(SameSite::None), "SameSite=None"),
            (CookieSettings::new("a").secure(false).partitioned(true), "Partitioned"),
            (CookieSettings::new("a").path("a"), "begin with /"),
            (CookieSettings::new("a").path("/;Domain=evil"), "begin with /"),
            (CookieSettings::new("__HOST-"), "prefix and nothing else"),
            (CookieSettings::new("__http-a").http_only(false), "__Http-"),
            (CookieSettings::new("__Host-Http-a").http_only(false), "__Http-"),
            (CookieSettings::new("a".repeat(4096)), "too long"),
            (CookieSettings::new("a").path("/a "), "space"),
            (CookieSettings::new("a").path("/".repeat(1025)), "1024"),
            (CookieSettings::new("a").domain("a;b"), "name of a host"),
            (CookieSettings::new("a").domain(""), "name of a host"),
            (CookieSettings::new("a").domain("."), "name of a host"),
            (CookieSettings::new("a").domain(".."), "name of a host"),
            (CookieSettings::new("a").domain("a..b"), "name of a host"),
            (CookieSettings::new("a").domain("example.com."), "name of a host"),
            (CookieSettings::new("a").domain("-a.com"), "name of a host"),
            (CookieSettings::new("a").lifetime(CookieLifetime::Persistent(Duration::ZERO)), "a second"),
            (
                CookieSettings::new("a").lifetime(CookieLifetime::Persistent(Duration::from_millis(999))),
                "a second",
            ),
        ] {
            let error = settings.check().expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn for_development_the_prefix_goes_with_secure() {
        let settings = CookieSettings::default().same_site(SameSite::None).insecure();
        settings.check().expect("valid");
        assert_eq!(text(&settings), "session=AAAAAAAAAAAAAAAAAAAAAAAAAAAA; HttpOnly; SameSite=Lax; Path=/");
    }
    #[test]
    fn a_prefix_goes_in_any_case_and_all_of_them_go() {
        for name in ["__Host-x", "__host-x", "__SECURE-x", "__Http-x", "__Host-Http-x", "__Secure-__Host-x"] {
            let settings = CookieSettings::new(name).insecure();
            settings.check().expect("valid");
            let left = if name == "__Host-Http-x" { "Http-x" } else { "x" };
            assert_eq!(settings.name(), left, "{name}");
        }
    }

    #[test]
    fn a_leading_dot_and_a_fraction_of_a_second_are_what_browsers_make_of_them() {
        let settings = CookieSettings::new("a")
            .domain(".example.com")
            .lifetime(CookieLifetime::Persistent(Duration::from_millis(1_001)));
        settings.check().expect("valid");
        let header = text(&settings);
        assert!(header.contains("Domain=example.com") && header.contains("Max-Age=2"), "{header}");
        assert_eq!(CookieLifetime::Persistent(Duration::ZERO).seconds(), Some(1));
        assert_eq!(CookieLifetime::Persistent(Duration::MAX).seconds(), Some(u64::MAX));
    }

    fn twins(settings: &CookieSettings, host: &str) -> Vec<String> {
        let (request, ()) =
            http::Request::get("/").header(HOST_HEADER, host).body(()).expect("a request").into_parts();
        let headers = settings.remove_twins(&request);
        headers.iter().map(|header| header.to_str().expect("ASCII").to_owned()).collect()
    }

    #[test]
    fn twins_are_removed_where_they_can_be() {
        let settings = CookieSettings::new("a").domain("example.com").path("/shop");
        let headers = twins(&settings, "www.example.com:8080");
        let places: Vec<_> = headers
            .iter()
            .map(|header| {
                let of = |name| header.split("; ").find_map(|part| part.strip_prefix(name)).unwrap_or("-");
                assert!(header.starts_with("a=;") && header.contains("Max-Age=0"), "{header}");
                (of("Domain="), of("Path="))
            })
            .collect();
        assert_eq!(
            places,
            [
                ("-", "/"),
                ("-", "/shop"),
                ("example.com", "/"),
                ("www.example.com", "/"),
                ("www.example.com", "/shop"),
            ]
        );
        assert!(twins(&CookieSettings::default(), "www.example.com").is_empty(), "there can be none");
        for host in ["localhost:8080", "127.0.0.1", "[::1]:80", "a;b.c", ""] {
            assert!(twins(&CookieSettings::new("a"), host).is_empty(), "{host}");
        }
    }
}
