use std::{fmt, net::IpAddr, path::PathBuf};

use session_core::Result;

use crate::{UrlOption, config};

/// How a connection is encrypted, and how the server's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted if the server offers it. Protects against nothing, because an attacker can
    /// decline.
    Prefer,
    /// Encrypted, with any certificate. Protects against eavesdroppers, not against an impostor.
    Require,
    /// Encrypted, with a certificate from a trusted authority, for any host.
    VerifyCa,
    /// Encrypted, with a certificate from a trusted authority for this host.
    VerifyFull,
}

impl TlsMode {
    /// The names in URLs.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// The name in URLs.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// Certificates or a key, in PEM. Its `Debug` shows no contents.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// A file, which is read when the store is opened.
    File(PathBuf),
    /// The PEM itself.
    Content(Vec<u8>),
}

impl Pem {
    /// Returns the content. `what` names it in the error.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the file cannot be read.
    pub fn read(&self, what: &str) -> Result<Vec<u8>> {
        match self {
            Self::Content(content) => Ok(content.clone()),
            Self::File(path) => std::fs::read(path)
                .map_err(|error| config(format!("the file of {what} cannot be read")).with_source(error)),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Content(_) => f.write_str("Content(..)"),
        }
    }
}

/// TLS settings, from the URL or the builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The mode. Default: depends on the scheme and the host, see [`resolve`](Self::resolve).
    pub mode: Option<TlsMode>,
    /// The authorities to trust instead of those that the driver trusts.
    pub roots: Option<Pem>,
    /// The client's certificate, with its chain.
    pub certificate: Option<Pem>,
    /// The key of the client's certificate.
    pub key: Option<Pem>,
}

impl TlsSettings {
    /// The names of the options that [`set`](Self::set) accepts, for errors.
    pub const OPTIONS: &'static str = "tls, tls_roots, tls_cert, tls_key";

    /// Applies an option of a URL. Returns `false` if the option is not about TLS.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for an unknown mode.
    pub fn set(&mut self, option: &UrlOption) -> Result<bool> {
        let file = || Some(Pem::File(PathBuf::from(option.value())));
        match option.name() {
            "tls" => self.mode = Some(option.one_of(&TlsMode::NAMES)?),
            "tls_roots" => self.roots = file(),
            "tls_cert" => self.certificate = file(),
            "tls_key" => self.key = file(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Returns the mode to use.
    ///
    /// `scheme` is the mode that the URL's scheme implies. `this_machine` says whether all servers
    /// of the store are on this machine.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if certificates are set for a plain-text
    /// connection, or a certificate is set without its key or a key without its certificate.
    pub fn resolve(&self, scheme: Option<TlsMode>, this_machine: bool) -> Result<TlsMode> {
        let default = if this_machine { TlsMode::Disable } else { TlsMode::VerifyFull };
        let has_files = self.roots.is_some() || self.certificate.is_some() || self.key.is_some();
        let mode = match self.mode.or(scheme) {
            Some(mode) => mode,
            None if has_files => TlsMode::VerifyFull,
            None => default,
        };
        if mode == TlsMode::Disable && has_files {
            return Err(config("certificates are set for a connection without TLS; set tls=verify-full"));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(config("a client's certificate and its key are set together: tls_cert and tls_key"));
        }
        Ok(mode)
    }
}

impl TlsMode {
    /// Logs one warning if this mode leaves sessions and passwords unprotected on the network.
    ///
    /// Call it once for each store.
    pub fn warn(self, store: &'static str, this_machine: bool) {
        if this_machine {
            return;
        }
        match self {
            Self::Disable => tracing::warn!(
                store,
                "connections to the server are plain text: passwords and sessions can be read and changed on the way; \
                 set tls=verify-full, or tls=disable if the network is trusted"
            ),
            Self::Prefer | Self::Require => tracing::warn!(
                store,
                mode = self.name(),
                "the server's certificate is not verified: an impostor can read and change sessions; set tls=verify-full"
            ),
            Self::VerifyCa | Self::VerifyFull => {}
        }
    }
}

/// Whether a host is this machine: a socket path, a loopback address, or `localhost`.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.is_empty()
        || host.starts_with('/')
        || host.starts_with('@')
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Pem, TlsMode, TlsSettings, is_this_machine};

    #[test]
    fn off_this_machine_the_default_is_verified() {
        let unset = TlsSettings::default();
        assert_eq!(unset.resolve(None, true).expect("local"), TlsMode::Disable);
        assert_eq!(unset.resolve(None, false).expect("remote"), TlsMode::VerifyFull);
        assert_eq!(unset.resolve(Some(TlsMode::Disable), false).expect("by scheme"), TlsMode::Disable);
        let set = TlsSettings { mode: Some(TlsMode::Require), ..TlsSettings::default() };
        assert_eq!(set.resolve(Some(TlsMode::Disable), true).expect("set"), TlsMode::Require);
        let roots = TlsSettings { roots: Some(Pem::Content(Vec::new())), ..TlsSettings::default() };
        assert_eq!(roots.resolve(None, true).expect("roots"), TlsMode::VerifyFull);
        roots.resolve(Some(TlsMode::Disable), true).expect_err("roots without TLS");
        let half = TlsSettings { key: Some(Pem::Content(Vec::new())), ..TlsSettings::default() };
        half.resolve(None, false).expect_err("a key without a certificate");
    }

    #[test]
    fn this_machine() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            "/run/x",
            "",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["db", "10.0.0.1", "localhost.example", "::2", "127.0.0.1.example"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
