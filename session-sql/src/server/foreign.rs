//! Options that other clients of the same servers know, so that a URL which a provider hands out works as it is.

use std::path::PathBuf;

use session_backend::{Pem, TlsMode, TlsSettings, UrlOption};
use session_core::{Error, ErrorKind, Operation, Result};

/// What the names of the files of TLS are elsewhere.
pub(crate) fn set_tls_file(tls: &mut TlsSettings, option: &UrlOption) -> bool {
    let file = Some(Pem::File(PathBuf::from(option.value())));
    match option.name() {
        // Those of the operating system or the driver, and the host is verified, too.
        "sslrootcert" if option.value() == "system" => {
            tls.mode = Some(TlsMode::VerifyFull);
        }
        "sslrootcert" | "ssl-root-cert" | "sslca" | "ssl-ca" | "ssl_ca" | "serverSslCert" => tls.roots = file,
        "sslcert" | "ssl-cert" | "ssl_cert" => tls.certificate = file,
        "sslkey" | "ssl-key" | "ssl_key" => tls.key = file,
        _ => return false,
    }
    true
}

/// The other clients verify the authority if they are to encrypt and are told which it is.
pub(crate) fn verify_named_roots(tls: &mut TlsSettings) {
    if tls.roots.is_some() && tls.mode == Some(TlsMode::Require) {
        tls.mode = Some(TlsMode::VerifyCa);
    }
}

/// Switches whose *on* is this mode, and whose *off* is plain text.
pub(crate) fn on_is(option: &UrlOption, mode: TlsMode) -> Result<TlsMode> {
    Ok(if option.switch()? { mode } else { TlsMode::Disable })
}

/// The error for what would be less safe if it were ignored.
pub(crate) fn unsupported(name: &str, instead: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect)
        .because(format!("the option {name} of the URL cannot be kept by this store; {instead}"))
}
