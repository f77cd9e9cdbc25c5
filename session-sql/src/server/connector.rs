use std::{fmt, future::Future, io, time::Duration};

use session_backend::{Credentials, CredentialsProvider, SharedProvider, TlsMode, TlsSettings};
use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::ConnectOptions;
use tokio::time::timeout;

use super::{
    dialect::SqlResult,
    tls::{self, Tls},
};

/// What a connector needs from the options of a driver.
pub(crate) trait DriverOptions: ConnectOptions<Connection: Sized> + Clone {
    /// Replaces the login.
    fn with_login(self, login: &Credentials) -> Self;

    /// Applies the resolved TLS settings.
    fn with_tls(self, tls: &Tls) -> Self;

    /// The TLS mode of these options.
    fn tls_mode(&self) -> TlsMode;

    /// Whether the server is on this machine.
    fn is_local(&self) -> bool;

    /// Whether the connection to the server has no TLS and needs none.
    fn is_without_tls(&self) -> bool;

    /// Whether the server refused the login.
    fn is_refused_login(error: &sqlx::Error) -> bool;
}

/// A server and how to reach it, from a URL or from options of the driver.
pub(crate) struct Endpoint<O> {
    pub(crate) options: O,
    /// The TLS settings; `None` keeps what the options say.
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) connect_timeout: Option<Duration>,
}

/// Opens connections to one server. Its `Debug` shows nothing of the driver's options, whose own
/// `Debug` shows the password.
#[derive(Clone)]
pub(crate) struct Connector<O> {
    options: O,
    mode: TlsMode,
    connect_timeout: Option<Duration>,
    credentials: Option<SharedProvider>,
}

impl<O: DriverOptions> Endpoint<O> {
    pub(crate) fn connector(self, credentials: Option<SharedProvider>) -> Result<Connector<O>> {
        let Self { options, tls, connect_timeout } = self;
        let (options, mode) = match tls {
            Some(settings) if !options.is_without_tls() => {
                let tls = Tls::resolve(settings, options.is_local())?;
                let mode = tls.mode;
                (options.with_tls(&tls), mode)
            }
            Some(_) => (options.with_tls(&Tls::DISABLED), TlsMode::Disable),
            None => {
                let mode = options.tls_mode();
                (options, mode)
            }
        };
        Ok(Connector { options, mode, connect_timeout, credentials })
    }
}

impl<O: DriverOptions> Connector<O> {
    /// Describes the connections of a pool, which the pool itself opens.
    pub(crate) fn of_pool(options: O) -> Self {
        let mode = options.tls_mode();
        Self { options, mode, connect_timeout: None, credentials: None }
    }

    /// Logs one warning if sessions leave this machine unprotected on the way to any of these
    /// servers.
    pub(crate) fn warn<'a>(store: &'static str, servers: impl IntoIterator<Item = &'a Self>)
    where
        Self: 'a,
    {
        let verifies = |mode| matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
        let exposed = servers.into_iter().find(|server| !server.options.is_local() && !verifies(server.mode));
        if let Some(server) = exposed {
            server.mode.warn(store, false);
        }
    }

    /// The same server with changed options.
    #[cfg(feature = "postgres")]
    pub(crate) fn map(self, change: impl FnOnce(O) -> O) -> Self {
        Self { options: change(self.options), ..self }
    }

    /// The options, without the login of a provider.
    #[cfg(feature = "postgres")]
    pub(crate) fn base(&self) -> &O {
        &self.options
    }

    /// The options with the login that is valid now.
    #[cfg(feature = "postgres")]
    pub(crate) async fn options(&self) -> SqlResult<O> {
        Ok(match self.login().await? {
            Some(login) => self.options.clone().with_login(&login),
            None => self.options.clone(),
        })
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> SqlResult<O::Connection> {
        let login = self.login().await?;
        let first = match self.connect_as(login.as_ref()).await {
            Err(error) if login.is_some() && O::is_refused_login(&error) => error,
            opened => return opened,
        };
        // The login may have changed in the meantime. Retrying the same login would lock accounts
        // after some attempts.
        match self.login().await? {
            again if again != login => self.connect_as(again.as_ref()).await,
            _ => Err(first),
        }
    }

    async fn login(&self) -> SqlResult<Option<Credentials>> {
        let Some(provider) = &self.credentials else { return Ok(None) };
        // The driver's error carries the provider's error to `refusal`.
        provider.credentials().await.map(Some).map_err(|error| sqlx::Error::AnyDriverError(Box::new(error)))
    }

    async fn connect_as(&self, login: Option<&Credentials>) -> SqlResult<O::Connection> {
        match login {
            Some(login) => self.in_time(self.options.clone().with_login(login).connect()).await,
            None => self.in_time(self.options.connect()).await,
        }
    }

    async fn in_time<T>(&self, opening: impl Future<Output = SqlResult<T>>) -> SqlResult<T> {
        let Some(patience) = self.connect_timeout else { return opening.await };
        timeout(patience, opening)
            .await
            .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
    }
}

impl<O> fmt::Debug for Connector<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("tls", &self.mode)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Why no connection could be made, if the server is not the cause: the provider gave no
/// credentials, or one of the two sides does not trust the other's certificate.
pub(crate) fn refusal(operation: Operation, error: &sqlx::Error) -> Option<Error> {
    if let Some(reason) = tls::refusal(error) {
        return Some(Error::new(ErrorKind::Config, operation).because(reason));
    }
    let sqlx::Error::AnyDriverError(error) = error else { return None };
    let error = error.downcast_ref::<Error>()?;
    let kind = match error.kind() {
        ErrorKind::Unavailable { .. } => ErrorKind::Unavailable { may_have_applied: false },
        kind => kind,
    };
    Some(Error::new(kind, operation).because("the credentials provider gave none"))
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use session_backend::{TlsMode, TlsSettings};
    use sqlx::postgres::PgConnectOptions;

    use super::{Connector, Endpoint};

    /// Captures what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn server(host: &str, mode: Option<TlsMode>) -> Connector<PgConnectOptions> {
        let options = PgConnectOptions::new_without_pgpass().host(host).password("SECRET");
        let tls = mode.map(|mode| TlsSettings { mode: Some(mode), ..TlsSettings::default() });
        Endpoint { options, tls, connect_timeout: None }.connector(None).expect("it can be kept")
    }

    fn warned(servers: &[Connector<PgConnectOptions>]) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || Connector::warn("PostgresStore", servers));
        String::from_utf8(log.0.lock().expect("no panic").clone()).expect("UTF-8")
    }

    #[test]
    fn one_warning_for_what_leaves_this_machine_unprotected() {
        let plain = || server("db.example", Some(TlsMode::Disable));
        let log = warned(&[plain(), plain()]);
        assert!(log.lines().count() == 1 && log.contains("plain text"), "{log}");
        assert!(!log.contains("SECRET") && !log.contains("db.example"), "{log}");
        // The mode of the driver's options applies if the application sets none.
        let log = warned(&[server("localhost", None), server("db.example", None)]);
        assert!(log.lines().count() == 1 && log.contains("not verified"), "{log}");
        assert_eq!(warned(&[server("127.0.0.1", Some(TlsMode::Disable)), server("/run", None)]), "");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn no_warning_for_what_is_verified() {
        assert_eq!(warned(&[server("db.example", Some(TlsMode::VerifyFull))]), "");
        let log = warned(&[server("db.example", Some(TlsMode::Require))]);
        assert!(log.lines().count() == 1 && log.contains("not verified"), "{log}");
    }
}
