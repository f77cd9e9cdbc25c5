use session_backend::{Pem, TlsMode, TlsSettings};
use session_core::{Error, ErrorKind, Operation, Result};

/// The resolved TLS settings for one server.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    pub(crate) roots: Option<Pem>,
    /// The certificate that is shown to the server, and its key.
    pub(crate) client: Option<(Pem, Pem)>,
}

impl Tls {
    pub(crate) const DISABLED: Self = Self { mode: TlsMode::Disable, roots: None, client: None };

    /// Resolves the mode for a server that is, or is not, on this machine, and checks the files.
    pub(crate) fn resolve(settings: TlsSettings, is_local: bool) -> Result<Self> {
        let mode = settings.resolve(None, is_local)?;
        if mode == TlsMode::Disable {
            return Ok(Self::DISABLED);
        }
        if !cfg!(feature = "tls") {
            if mode == TlsMode::Prefer {
                return Ok(Self::DISABLED);
            }
            return Err(config(format!(
                "the connection is to be encrypted (tls={}), which takes the feature `tls` of session-sql: enable it, or set tls=disable if the \
                 network is trusted",
                mode.name()
            )));
        }
        if settings.roots.is_some() && matches!(mode, TlsMode::Prefer | TlsMode::Require) {
            return Err(config(format!(
                "authorities to trust are set, and tls={} verifies nothing; set tls=verify-full",
                mode.name()
            )));
        }
        if mode == TlsMode::VerifyCa && !has_provider() {
            return Err(config(
                "tls=verify-ca takes a cryptography of rustls that is installed for the process: call \
                 `rustls::crypto::ring::default_provider().install_default()` first, or set tls=verify-full, which takes none",
            ));
        }
        ensure_content(settings.roots.as_ref(), "tls_roots", "CERTIFICATE")?;
        ensure_content(settings.certificate.as_ref(), "tls_cert", "CERTIFICATE")?;
        ensure_content(settings.key.as_ref(), "tls_key", "PRIVATE KEY")?;
        Ok(Self { mode, roots: settings.roots, client: settings.certificate.zip(settings.key) })
    }
}

fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

/// Checks that a PEM holds what it should. The driver treats a file without any certificate as one
/// that trusts none.
fn ensure_content(pem: Option<&Pem>, name: &str, content: &str) -> Result<()> {
    let Some(pem) = pem else { return Ok(()) };
    let text = pem.read(name)?;
    let end = format!("{content}-----");
    if String::from_utf8_lossy(&text)
        .lines()
        .any(|line| line.starts_with("-----BEGIN ") && line.ends_with(&end))
    {
        return Ok(());
    }
    Err(config(format!("{name} holds no {} in PEM", content.to_lowercase())))
}

/// Returns true if a crypto provider is installed for the process.
///
/// For `verify-ca` alone, the driver uses that provider, and installs its own if there is none,
/// which would keep the application from installing one.
#[cfg(feature = "tls")]
fn has_provider() -> bool {
    rustls::crypto::CryptoProvider::get_default().is_some()
}

#[cfg(not(feature = "tls"))]
fn has_provider() -> bool {
    false
}

/// Why one side refuses the other's certificate, if that is what the error says.
#[cfg(feature = "tls")]
pub(crate) fn refusal(error: &sqlx::Error) -> Option<&'static str> {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error as Tls};

    let sqlx::Error::Io(error) = error else { return None };
    Some(match error.get_ref()?.downcast_ref::<Tls>()? {
        Tls::InvalidCertificate(certificate) => match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "the server's certificate is for another host; connect by the name that stands in it"
            }
            // A bad signature is that of another authority with the same name.
            Certificate::UnknownIssuer | Certificate::BadSignature => {
                "the server's certificate is of an authority that is not trusted; name that authority in tls_roots"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; is the clock of this machine right?"
            }
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                "the server's certificate is one of an authority (CA:TRUE, the default of `openssl req -x509`), which TLS does not accept for a \
                 server: make one with `-addext basicConstraints=critical,CA:FALSE`, which can then be its own tls_roots"
            }
            _ => "the server's certificate cannot be verified",
        },
        Tls::AlertReceived(
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
            | Alert::ProtocolVersion,
        ) => {
            "the server refuses the encryption: does it ask for a client's certificate (tls_cert and tls_key), or for another one?"
        }
        _ => return None,
    })
}

#[cfg(not(feature = "tls"))]
pub(crate) fn refusal(_: &sqlx::Error) -> Option<&'static str> {
    None
}
