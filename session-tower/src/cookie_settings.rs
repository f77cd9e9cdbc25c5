use std::{borrow::Cow, error::Error, fmt, time::Duration};

use cookie::Cookie;
pub use cookie::SameSite;
use http::{HeaderValue, header::HOST as HOST_HEADER, request::Parts, uri::Authority};
use session_manager::session_core::SessionId;

use crate::cookie_names::{HOST, HTTP, SECURE, bare, domains_of, has_prefix, is_host_name};

/// How long a client keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieLifetime {
    /// Until the browser is closed. Many browsers reopen their windows with these cookies, though.
    BrowserSession,
    /// For this time, in whole seconds, even if the browser is closed.
    ///
    /// While the session is used, the cookie is renewed whenever a tenth of this time has passed,
    /// which costs one write of the session. The session's idle timeout should be at least as long.
    /// Its absolute timeout ends it in any case.
    Persistent(Duration),
}

impl CookieLifetime {
    /// Rounds up to whole seconds, at least one: browsers treat zero as the removal of the cookie.
    pub(crate) fn in_seconds(self) -> Self {
        match self {
            Self::BrowserSession => self,
            Self::Persistent(lifetime) => {
                let seconds = lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
                Self::Persistent(Duration::from_secs(seconds.max(1)))
            }
        }
    }

    /// The lifetime in seconds; `None` until the browser is closed.
    pub(crate) fn seconds(self) -> Option<u64> {
        match self.in_seconds() {
            Self::BrowserSession => None,
            Self::Persistent(lifetime) => Some(lifetime.as_secs()),
        }
    }
}

/// The longest path and domain that browsers accept, in bytes.
const LONGEST_ATTRIBUTE: usize = 1024;
const LONGEST_NAME: usize = 4096 - SessionId::TEXT_LEN;

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
    /// The default settings with another name.
    ///
    /// Browsers enforce the whole policy for a name that begins with `__Host-`: `Secure`, `Path=/`,
    /// no domain, so that no other host can plant such a cookie. For `__Secure-`, they enforce
    /// `Secure` only.
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

    /// Only requests below this path carry the cookie. Default: `/`.
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends the cookie to all hosts of this domain, not only to the one that set it. A leading dot
    /// is ignored, as in browsers.
    pub fn domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        let domain = domain.into();
        self.domain = Some(match domain.strip_prefix('.') {
            Some(rest) => rest.to_owned().into(),
            None => domain,
        });
        self
    }

    /// Whether browsers send the cookie over TLS only (and to `localhost`, where many make an
    /// exception). Default: yes.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Whether scripts are prevented from reading the cookie. Default: yes.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie. Default: `Lax`.
    ///
    /// With `Lax`, links to this site carry it; forms, images and scripts of other sites do not.
    /// `None` removes this protection against forged requests, and needs `Secure`.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// How long browsers keep the cookie. Default: until the browser is closed. Less than a second
    /// is refused, because browsers would remove the cookie.
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

    /// Whether this is the cookie's name, ignoring prefixes.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        bare(&self.name) == bare(name)
    }

    pub(crate) fn default_lifetime(&self) -> CookieLifetime {
        self.lifetime.in_seconds()
    }

    /// Returns an error if browsers, or this crate, would not accept the settings.
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

    /// The same settings without those that do not work over plain HTTP.
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

    /// The header that makes the client remove the cookie.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header("", Some(0))
    }

    /// The headers that make the client remove other cookies of this name, as far as the settings
    /// and the host tell which ones can exist: without a domain, with the configured domain, or
    /// with a domain that the host is part of; at the configured path and at `/`.
    pub(crate) fn remove_twins(&self, request: &Parts) -> Vec<HeaderValue> {
        if has_prefix(&self.name, HOST) {
            // Browsers accept only one such cookie.
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
        // All parts are already validated.
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
mod tests;
