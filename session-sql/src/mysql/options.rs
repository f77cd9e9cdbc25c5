use session_backend::{Credentials, Pem, TlsMode, is_this_machine};
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlSslMode};

use crate::server::{DriverOptions, Tls};

impl DriverOptions for MySqlConnectOptions {
    fn with_login(self, login: &Credentials) -> Self {
        let options = self.password(login.password.expose());
        match &login.user {
            Some(user) => options.username(user),
            None => options,
        }
    }

    fn with_tls(self, tls: &Tls) -> Self {
        let mut options = self.ssl_mode(match tls.mode {
            TlsMode::Disable => MySqlSslMode::Disabled,
            TlsMode::Prefer => MySqlSslMode::Preferred,
            TlsMode::Require => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            // A mode that this crate does not know yet must not fall back to plain text.
            _ => MySqlSslMode::VerifyIdentity,
        });
        // The driver reads the files for each connection, so renewed files take effect.
        options = match &tls.roots {
            Some(Pem::File(path)) => options.ssl_ca(path),
            Some(Pem::Content(pem)) => options.ssl_ca_from_pem(pem.clone()),
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
            MySqlSslMode::Disabled => TlsMode::Disable,
            MySqlSslMode::Preferred => TlsMode::Prefer,
            MySqlSslMode::Required => TlsMode::Require,
            MySqlSslMode::VerifyCa => TlsMode::VerifyCa,
            MySqlSslMode::VerifyIdentity => TlsMode::VerifyFull,
        }
    }

    fn is_local(&self) -> bool {
        self.get_socket().is_some() || is_this_machine(self.get_host())
    }

    /// Always false: through a socket as well, the server takes some passwords over TLS alone.
    fn is_without_tls(&self) -> bool {
        false
    }

    fn is_refused_login(error: &sqlx::Error) -> bool {
        let error =
            error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        error.is_some_and(|error| matches!(error.number(), 1045 | 1698))
    }
}
