use std::time::Duration;

use session_backend::BatchSettings;
use session_backend::{SharedProvider, TlsSettings, UrlOption};
use session_core::{DEFAULT_MAX_DATA_LEN, Result};

use crate::{deadline, table::Table};

/// The settings that all servers have.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) table: Table,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    /// `usize::MAX` for the maximum of the engine.
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) purge_interval: Option<Duration>,
    pub(crate) watch_capacity: usize,
    pub(crate) migrate: bool,
    pub(crate) tls: TlsSettings,
    pub(crate) credentials: Option<SharedProvider>,
}

/// The maximum data length of one session on a server, in bytes.
pub(crate) const MAX_MAX_DATA_LEN: usize = 256 << 20;

/// The maximum number of connections of one store.
const MAX_CONNECTIONS: usize = 256;

impl Default for Settings {
    fn default() -> Self {
        Self {
            table: Table::default(),
            connections: 8,
            deadline: Duration::from_secs(5),
            max_data_len: DEFAULT_MAX_DATA_LEN,
            batching: BatchSettings::default(),
            purge_interval: Some(Duration::from_secs(30)),
            watch_capacity: 4_096,
            migrate: true,
            tls: TlsSettings::default(),
            credentials: None,
        }
    }
}

impl Settings {
    /// The names of the options that [`set`](Self::set) takes, for errors.
    pub(crate) const OPTIONS: &'static str =
        "connections, deadline_ms, max_data_len, purge_interval_ms, batching, migrate";

    /// Applies an option of a URL; returns false if it is not one that all servers have.
    pub(crate) fn set(&mut self, option: &UrlOption) -> Result<bool> {
        match option.name() {
            // The others are the names of Prisma, pgx, Rails and mysql2.
            "connections" | "connection_limit" | "connectionLimit" | "pool_max_conns" | "pool_size"
            | "pool" => {
                let connections = option.number()?;
                if connections == 0 {
                    return Err(option.refused("a whole number of connections, at least 1"));
                }
                self.connect_at_most(connections);
            }
            "deadline_ms" => self.deadline = option.millis()?,
            "max_data_len" => {
                self.limit_data(
                    option.limit()?.map_or(0, |most| usize::try_from(most).unwrap_or(usize::MAX)),
                );
            }
            "purge_interval_ms" => self.purge_interval = option.interval_millis()?,
            "batching" => {
                if !option.switch()? {
                    self.batching = BatchSettings::disabled();
                }
            }
            "migrate" => self.migrate = option.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn connect_at_most(&mut self, connections: usize) {
        self.connections = connections.clamp(1, MAX_CONNECTIONS);
    }

    pub(crate) fn limit_data(&mut self, bytes: usize) {
        self.max_data_len = if bytes == 0 { usize::MAX } else { bytes.min(MAX_MAX_DATA_LEN) };
    }

    /// Validates the settings.
    pub(crate) fn checked(mut self, table: Option<String>) -> Result<Self> {
        self.deadline = deadline::checked(self.deadline)?;
        if let Some(table) = table {
            self.table = Table::new(&table)?;
        }
        Ok(self)
    }
}

/// The setters that the builders of all servers have.
macro_rules! shared_setters {
    () => {
        /// The table that holds the sessions, which separates them from those of other stores in
        /// the schema. Default: `sessions`.
        pub fn table(mut self, name: impl Into<String>) -> Self {
            self.table = Some(name.into());
            self
        }

        /// How long an operation may take, including waiting, before its caller gets
        /// [`Unavailable`](session_core::ErrorKind::Unavailable). Default: 5 s.
        ///
        /// The minimum is 10 ms, and zero is refused when the store is opened. Opening the store
        /// may take 10 s, whatever is set.
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.settings.deadline = deadline;
            self
        }

        /// How concurrent operations are batched; `None` sends each by itself. Default:
        /// [`BatchSettings::default`].
        pub fn batching(mut self, settings: Option<BatchSettings>) -> Self {
            self.settings.batching = settings.unwrap_or_else(BatchSettings::disabled);
            self
        }

        /// The approximate interval between two purges of expired sessions. Default: 30 s.
        ///
        /// Until it is purged, an expired session takes up space, and its expiry is not reported.
        /// It is invisible at once, whatever is set here. `None` and zero leave the purging to
        /// other stores.
        pub fn purge_interval(mut self, interval: Option<Duration>) -> Self {
            self.settings.purge_interval = $crate::deadline::interval(interval);
            self
        }

        /// How many events a listener may be behind before it is told that it has missed some.
        /// Default: 4,096; from one to 16 million.
        pub fn watch_capacity(mut self, events: usize) -> Self {
            self.settings.watch_capacity = events.clamp(1, 1 << 24);
            self
        }

        /// Whether connecting creates and upgrades the tables where needed, which requires a
        /// database user with the right to do so.
        ///
        /// With `false`, connecting only checks the tables, and reports what is missing. Default:
        /// `true`.
        pub fn migrate(mut self, migrate: bool) -> Self {
            self.settings.migrate = migrate;
            self
        }

        /// Whether connections are encrypted, and what the server must prove: `tls` in a URL.
        ///
        /// Default: plain text to a server on this machine, and [`VerifyFull`](TlsMode::VerifyFull)
        /// to any other. A mode that protects less off this machine is logged once as a warning.
        ///
        /// Every mode but [`Disable`](TlsMode::Disable) requires the feature `tls` of this crate.
        /// [`VerifyCa`](TlsMode::VerifyCa) requires a crypto provider of `rustls` that the
        /// application has installed for its process. No effect on a pool.
        pub fn tls(mut self, mode: TlsMode) -> Self {
            self.settings.tls.mode = Some(mode);
            self
        }

        /// Authorities whose certificates are trusted, in PEM, in addition to those that browsers
        /// trust: `tls_roots`, a file, in a URL.
        ///
        /// With them, the default mode is [`VerifyFull`](TlsMode::VerifyFull). No effect on a pool.
        pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
            self.settings.tls.roots = Some(Pem::Content(pem.into()));
            self
        }

        /// The certificate that is shown to the server, with its chain, and its key, in PEM:
        /// `tls_cert` and `tls_key`, two files, in a URL.
        ///
        /// Default: none. No effect on a pool.
        pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
            self.settings.tls.certificate = Some(Pem::Content(certificate.into()));
            self.settings.tls.key = Some(Pem::Content(key.into()));
            self
        }

        /// Provides the user and the password, instead of the URL, if they change while the program
        /// runs, such as cloud tokens or vault leases.
        ///
        /// The provider is asked for each connection that the store opens, and once more at once if
        /// the server refuses what it gave. Connections that are open stay open. Default: none. No
        /// effect on a pool, which opens its connections itself.
        pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
            self.settings.credentials = Some(SharedProvider::new(provider));
            self
        }
    };
}
pub(crate) use shared_setters;
