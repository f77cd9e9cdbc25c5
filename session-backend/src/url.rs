use std::fmt;

use session_core::{Error, Result};

use crate::{Credentials, Secret, UrlOption, config};

/// The parts of `scheme://user:password@host:port,host:port/path?name=value`, decoded.
///
/// An error about a URL says what is wrong and how to write it, and contains nothing of the URL
/// after its scheme. The `Debug` of this type shows neither the password nor the value of any
/// option.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The part before `://`.
    pub scheme: String,
    /// The user, if there is one.
    pub user: Option<String>,
    /// The password, if there is one.
    pub password: Option<Secret>,
    /// The servers, in order; empty if the URL names none.
    pub hosts: Vec<Host>,
    /// The part between the servers and the options, without the first `/`.
    pub path: String,
    /// The options, in order.
    pub options: Vec<UrlOption>,
}

/// A server in a URL: a host name, an IP address without brackets, or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// The name or address.
    pub name: String,
    /// The port, if the URL names one.
    pub port: Option<u16>,
}

impl ServerUrl {
    /// Parses a URL. `example` is a correct URL, for the errors.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config).
    pub fn parse(url: &str, example: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(config(format!("this is not a URL; one looks like `{example}`")));
        };
        if !is_scheme(scheme) {
            return Err(config(format!("the URL has no scheme; one looks like `{example}`")));
        }
        let wrong = |reason: &str| wrong(scheme, reason, example);
        if rest.contains('#') {
            return Err(wrong("it contains a `#`"));
        }
        let (front, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = front.split_once('/').unwrap_or((front, ""));
        if path.contains('@') || query.contains('@') {
            return Err(wrong("an `@` stands behind the first `/` or `?`"));
        }
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let decoded = |text: &str| decoded(text).map_err(wrong);
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => (None, None),
            Some((user, password)) => (
                (!user.is_empty()).then(|| decoded(user)).transpose()?,
                (!password.is_empty()).then(|| decoded(password)).transpose()?,
            ),
        };
        let hosts = if hosts.is_empty() { Vec::new() } else { hosts.split(',').collect() };
        let hosts = hosts.into_iter().map(|host| {
            let (name, port) = Host::split(host).map_err(wrong)?;
            Ok(Host { name: decoded(name)?, port })
        });
        Ok(Self {
            scheme: scheme.to_owned(),
            user,
            password: password.map(Secret::from),
            hosts: hosts.collect::<Result<_>>()?,
            path: decoded(path)?,
            options: options(query).map_err(wrong)?,
        })
    }

    /// Parses a URL that names a path and no server: `scheme:path?name=value`, or with `://`.
    ///
    /// In the path, only the first `?` and `%` have a special meaning.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config).
    pub fn parse_path(url: &str, example: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(config(format!("this is not a URL; one looks like `{example}`")));
        };
        let wrong = |reason: &str| {
            config(format!("the `{scheme}` URL cannot be read: {reason}; one looks like `{example}`"))
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Self {
            scheme: scheme.to_owned(),
            user: None,
            password: None,
            hosts: Vec::new(),
            path: decoded(path).map_err(wrong)?,
            options: options(query).map_err(wrong)?,
        })
    }

    /// The user and the password, if the URL has a password.
    pub fn credentials(&self) -> Option<Credentials> {
        let password = self.password.clone()?;
        Some(Credentials { user: self.user.clone(), password })
    }
}

impl Host {
    /// Splits a host and its port. An IPv6 address needs brackets if a port follows.
    fn split(text: &str) -> Result<(&str, Option<u16>), &'static str> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') && (!name.contains(':') || name.starts_with('[')) => {
                (name, Some(port.parse().map_err(|_| "a port is not a number up to 65535")?))
            }
            _ => (text, None),
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if name.contains(['[', ']']) {
            return Err("an IPv6 address has one bracket");
        }
        if name.is_empty() { Err("a server has no host") } else { Ok((name, port)) }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerUrl")
            .field("scheme", &self.scheme)
            .field("user", &self.user)
            .field("hosts", &self.hosts)
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn is_scheme(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !text.is_empty() && text.len() <= 32 && text.bytes().all(is_allowed)
}

fn wrong(scheme: &str, reason: &str, example: &str) -> Error {
    config(format!(
        "the `{scheme}` URL cannot be read: {reason}; one looks like `{example}`, and special characters of the user and the password are written as %XX (`/` is %2F, `?` is %3F, `#` is %23, `@` is %40)"
    ))
}

/// Parses the options after the `?`.
fn options(query: &str) -> Result<Vec<UrlOption>, &'static str> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let options = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok(UrlOption::new(decoded(name)?, decoded(value)?))
    });
    options.collect()
}

/// Decodes percent-encoded text.
fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(16 * high + low).unwrap_or_default());
                &after[2..]
            }
            (b'%', ..) => return Err("a `%` is not followed by two hexadecimal digits; %25 stands for it"),
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 when %XX is decoded")
}

#[cfg(test)]
mod tests {
    use super::{Host, ServerUrl};

    const EXAMPLE: &str = "redis://user:password@host:6379";

    #[test]
    fn all_parts_are_found_and_decoded() {
        let url = ServerUrl::parse("redis://us%40er:p%2Fw%3F@a:1,[::1]:2,b/db%201?x=%41&y", EXAMPLE)
            .expect("it is right");
        assert_eq!((&*url.scheme, url.user.as_deref()), ("redis", Some("us@er")));
        assert_eq!(url.password.as_ref().map(super::Secret::expose), Some("p/w?"));
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        assert_eq!(url.hosts, [host("a", Some(1)), host("::1", Some(2)), host("b", None)]);
        assert_eq!(url.path, "db 1");
        let options: Vec<_> = url.options.iter().map(|option| (option.name(), option.value())).collect();
        assert_eq!(options, [("x", "A"), ("y", "")]);
        assert!(!format!("{url:?}").contains("p/w"));
        for socket in ["postgres:///app?host=/run", "redis+unix:///run/redis.sock"] {
            assert_eq!(ServerUrl::parse(socket, EXAMPLE).expect(socket).hosts, []);
        }
        for (path, url) in [("app.db", "sqlite:app.db?mode=rw"), ("/a@b#c?", "sqlite:///a@b#c%3F?mode=rw")] {
            let url = ServerUrl::parse_path(url, EXAMPLE).expect("it is right");
            assert_eq!((&*url.path, url.options[0].value()), (path, "rw"));
        }
        let user_alone = ServerUrl::parse("mysql://app@h/db", EXAMPLE).expect("it is right");
        assert_eq!((user_alone.user.as_deref(), user_alone.password), (Some("app"), None));
    }

    #[test]
    fn errors_hold_nothing_after_the_scheme() {
        for url in [
            "redis://:aB3/xyzSECRET@h:6379",
            "redis://default:p?SECRET@h",
            "postgres://u:p?SECRET@h/app",
            "mysql://u:p#SECRET@h/app",
            "mysql://u:SECRET%zz@h/app",
            "mysql://u:%ffSECRET@h/app",
            "redis://default:SECRET",
            "redis://u:pw@h:SECRET",
            "redis://u:SE@CRET/@h",
            "redis://u:SECRET@",
            "redis://u:SECRET@:6379",
            "redis://u:SECRET@[::1/db",
        ] {
            let Err(error) = ServerUrl::parse(url, EXAMPLE) else {
                assert!(ServerUrl::parse(url, EXAMPLE).expect("parsed").hosts.is_empty(), "{url}");
                continue;
            };
            let text = format!("{error} {error:?}");
            assert!(!text.contains("SECRET") && !text.contains("CRET/"), "{text}");
            assert!(text.contains("%XX") && text.contains(EXAMPLE), "{text}");
        }
        for not_a_url in ["SECRET", "SEC@RET://h", "://SECRET"] {
            let text = format!("{:?}", ServerUrl::parse(not_a_url, EXAMPLE).expect_err("no scheme"));
            assert!(!text.contains("SECRET") && !text.contains("RET:"), "{text}");
        }
        for url in ["SECRET", "SEC@RET://h", "sqlite:SECRET%zz", "sqlite:app.db?SECRET=%ff"] {
            let text = format!("{:?}", ServerUrl::parse_path(url, EXAMPLE).expect_err("it is refused"));
            assert!(!text.contains("SECRET") && !text.contains("RET:"), "{text}");
        }
    }
}
