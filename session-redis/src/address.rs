use std::{fmt, path::PathBuf};

use session_core::Result;

use crate::errors::config;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Address {
    /// From `host:port`, `[::1]:port`, or a host alone, which then has the port `default`.
    pub(crate) fn parse(text: &str, default: u16) -> Result<Self> {
        let wrong = |reason: &str| Err(config(format!("the address {text:?} {reason}")));
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') && (!host.contains(':') || host.starts_with('[')) => {
                let Ok(port) = port.parse() else {
                    return wrong("has a port that is not a number up to 65535");
                };
                (host, port)
            }
            _ => (text, default),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return wrong("has no host");
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn hosts_ports_and_brackets() {
        for (text, shown) in [
            ("localhost", "localhost:6379"),
            ("db.example:7000", "db.example:7000"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("[::1]:7000", "[::1]:7000"),
            ("[::1]", "[::1]:6379"),
            ("::1", "[::1]:6379"),
        ] {
            assert_eq!(Address::parse(text, 6379).expect(text).to_string(), shown);
        }
        for text in ["", ":1", "a:", "a:66000", "a:x", "[]:1"] {
            Address::parse(text, 6379).expect_err(text);
        }
    }
}
