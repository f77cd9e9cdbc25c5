use std::{borrow::Cow, error::Error, fmt, time::Duration};

use cookie::Cookie;
pub use cookie::SameSite;
use http::HeaderValue;
use session_manager::session_core::SessionId;

/// How long a client keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieLifetime {
    /// Until the browser is closed; many reopen their windows with these cookies, though.
    BrowserSession,
    /// That long, also when the browser is closed. Counted from the response that sets the cookie, and not renewed: take the session's
    /// absolute timeout.
    Persistent(Duration),
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

    /// All hosts of this domain get the cookie, and not only the one that set it.
    pub fn domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        self.domain = Some(domain.into());
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

    /// How long browsers keep the cookie. Until they are closed unless set.
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

    /// What browsers, or this crate, would not accept.
    pub(crate) fn check(&self) -> Result<(), InvalidCookie> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Err(InvalidCookie::new(format!("the name {:?} is no token of HTTP", self.name)));
        }
        let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';');
        if !self.path.starts_with('/') || !plain(&self.path) {
            return Err(InvalidCookie::new(format!("the path {:?} does not begin with /", self.path)));
        }
        if let Some(domain) = &self.domain
            && (domain.is_empty()
                || !domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))
        {
            return Err(InvalidCookie::new(format!("the domain {domain:?} is not a name of a host")));
        }
        // Browsers compare the prefixes without regard to case.
        let prefixed = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if prefixed("__Host-") && (!self.secure || self.path != "/" || self.domain.is_some()) {
            return Err(InvalidCookie::new(
                "a name with the prefix __Host- needs Secure, Path=/ and no domain; `__Secure-` allows the others",
            ));
        }
        if prefixed("__Secure-") && !self.secure {
            return Err(InvalidCookie::new("a name with the prefix __Secure- needs Secure"));
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
        for prefix in ["__Host-", "__Secure-"] {
            if let Some(rest) = self.name.strip_prefix(prefix) {
                self.name = rest.to_owned().into();
            }
        }
        self.secure = false;
        self.partitioned = false;
        if self.same_site == SameSite::None {
            self.same_site = SameSite::Lax;
        }
        self
    }

    /// The header that gives the client this id. `lifetime` overrules the setting.
    pub(crate) fn set(&self, id: &SessionId, lifetime: Option<CookieLifetime>) -> Option<HeaderValue> {
        let max_age = match lifetime.unwrap_or(self.lifetime) {
            CookieLifetime::BrowserSession => None,
            CookieLifetime::Persistent(max_age) => Some(max_age),
        };
        self.header(id.expose().as_str(), max_age)
    }

    /// The header that makes the client forget the cookie.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header("", Some(Duration::ZERO))
    }

    fn header(&self, value: &str, max_age: Option<Duration>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((&*self.name, value))
            .path(&*self.path)
            .secure(self.secure)
            .http_only(self.http_only)
            .same_site(self.same_site)
            .partitioned(self.partitioned);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(&**domain);
        }
        if let Some(max_age) = max_age {
            let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        // All parts were checked.
        let mut header = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
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
        settings.set(&id, None).expect("a header").to_str().expect("ASCII").to_owned()
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
            (CookieSettings::new("a").domain("a;b"), "name of a host"),
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
}
