//! URL options of other clients of the same servers, so that a provider's URL works unchanged.

use std::path::PathBuf;

use session_backend::{Pem, TlsMode, TlsSettings, UrlOption};
use session_core::{Error, ErrorKind, Operation, Result};

/// Applies an option that names a TLS file, by the names of other clients; returns false if it is
/// not one.
pub(crate) fn set_tls_file(tls: &mut TlsSettings, option: &UrlOption) -> bool {
    let file = Some(Pem::File(PathBuf::from(option.value())));
    match option.name() {
        // Trusts the roots of the operating system or the driver, and verifies the host as well.
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

/// Raises `require` to `verify-ca` if roots are named, as other clients do.
pub(crate) fn verify_named_roots(tls: &mut TlsSettings) {
    if tls.roots.is_some() && tls.mode == Some(TlsMode::Require) {
        tls.mode = Some(TlsMode::VerifyCa);
    }
}

/// Reads a switch whose *on* means this mode, and whose *off* means plain text.
pub(crate) fn on_is(option: &UrlOption, mode: TlsMode) -> Result<TlsMode> {
    Ok(if option.switch()? { mode } else { TlsMode::Disable })
}

/// The error for an option that would be less safe if it were ignored.
pub(crate) fn unsupported(name: &str, instead: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect)
        .because(format!("the option {name} of the URL cannot be kept by this store; {instead}"))
}
