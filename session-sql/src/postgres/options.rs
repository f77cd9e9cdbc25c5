use session_backend::{Credentials, Pem, TlsMode, is_this_machine};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};

use crate::server::{DriverOptions, Tls};

fn is_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

impl DriverOptions for PgConnectOptions {
    fn with_login(self, login: &Credentials) -> Self {
        let options = self.password(login.password.expose());
        match &login.user {
            Some(user) => options.username(user),
            None => options,
        }
    }

    fn with_tls(self, tls: &Tls) -> Self {
        let mut options = self.ssl_mode(match tls.mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            // A mode that this crate does not know yet must not fall back to plain text.
            _ => PgSslMode::VerifyFull,
        });
        // The driver reads the files for each connection, so renewed files take effect.
        options = match &tls.roots {
            Some(Pem::File(path)) => options.ssl_root_cert(path),
            Some(Pem::Content(pem)) => options.ssl_root_cert_from_pem(pem.clone()),
            None => options,
        };
        let Some((certificate, key)) = &tls.client else { return options };
        options = match certificate {
            Pem::File(path) => options.ssl_client_cert(path),
            Pem::Content(pem) => options.ssl_client_cert_from_pem(pem),
        };
        match key {
            Pem::File(path) => options.ssl_client_key(path),
            Pem::Content(pem) => options.ssl_client_key_from_pem(pem),
        }
    }

    fn tls_mode(&self) -> TlsMode {
        match self.get_ssl_mode() {
            // The driver does not request encryption in either mode.
            PgSslMode::Disable | PgSslMode::Allow => TlsMode::Disable,
            PgSslMode::Prefer => TlsMode::Prefer,
            PgSslMode::Require => TlsMode::Require,
            PgSslMode::VerifyCa => TlsMode::VerifyCa,
            PgSslMode::VerifyFull => TlsMode::VerifyFull,
        }
    }

    fn is_local(&self) -> bool {
        is_socket(self) || is_this_machine(self.get_host())
    }

    /// True for a socket: the server offers no TLS through one.
    fn is_without_tls(&self) -> bool {
        is_socket(self)
    }

    fn is_refused_login(error: &sqlx::Error) -> bool {
        let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        error.is_some_and(|error| matches!(error.code(), "28P01" | "28000"))
    }
}
