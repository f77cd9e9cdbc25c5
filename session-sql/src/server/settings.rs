use std::time::Duration;

use session_backend::{SharedProvider, TlsSettings, UrlOption};
use session_backend::BatchSettings;
use session_core::{DEFAULT_MAX_DATA_LEN, Result};

use crate::{deadline, table::Table};

/// What can be set for any server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) table: Table,
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
    /// `usize::MAX` for as much as the engine takes.
    pub(crate) max_data_len: usize,
    pub(crate) batching: BatchSettings,
    pub(crate) purge_interval: Option<Duration>,
    pub(crate) watch_capacity: usize,
    pub(crate) migrate: bool,
    pub(crate) tls: TlsSettings,
    pub(crate) credentials: Option<SharedProvider>,
}

/// The longest data of a session on a server.
pub(crate) const MAX_MAX_DATA_LEN: usize = 256 << 20;

/// The most connections of one store.
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

    /// Takes an option of a URL over; `false` if it is none that all servers have.
    pub(crate) fn set(&mut self, option: &UrlOption) -> Result<bool> {
        match option.name() {
            // And what Prisma, pgx, Rails and mysql2 call it.
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

    /// The settings, if they can be kept.
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
        /// The table that holds the sessions, which keeps them apart from those of other stores in the schema. `sessions` unless set.
        pub fn table(mut self, name: impl Into<String>) -> Self {
            self.table = Some(name.into());
            self
        }

        /// How long an operation may take, waiting included, before its caller is told
        /// [`Unavailable`](session_core::ErrorKind::Unavailable). Five seconds unless set; 10 milliseconds is the least, and zero is refused when
        /// the store is opened. Opening the store may take ten seconds, whatever is set.
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.settings.deadline = deadline;
            self
        }

        /// How concurrent operations are gathered, or `None` for each by itself. [`BatchSettings::default`] unless set.
        pub fn batching(mut self, settings: Option<BatchSettings>) -> Self {
            self.settings.batching = settings.unwrap_or_else(BatchSettings::disabled);
            self
        }

        /// About how long expired sessions may take up space, and their expiry go unreported; `None` and zero leave the purging to others. 30
        /// seconds unless set. Expired sessions are invisible at once, whatever is set here.
        pub fn purge_interval(mut self, interval: Option<Duration>) -> Self {
            self.settings.purge_interval = $crate::deadline::interval(interval);
            self
        }

        /// How many events a listener may be behind before it is told that it has missed some. 4,096 unless set; from one to 16 million.
        pub fn watch_capacity(mut self, events: usize) -> Self {
            self.settings.watch_capacity = events.clamp(1, 1 << 24);
            self
        }

        /// Whether connecting makes and renews the tables where needed, which takes a user who may. With `false` it only checks them, and says
        /// what is missing. On unless set.
        pub fn migrate(mut self, migrate: bool) -> Self {
            self.settings.migrate = migrate;
            self
        }

        /// Whether connections are encrypted, and what the server must prove: `tls` in a URL. Unless set, plain text to a server on this machine,
        /// and [`VerifyFull`](TlsMode::VerifyFull) to any other. What protects less off this machine is warned of once, in the log.
        ///
        /// All but [`Disable`](TlsMode::Disable) takes the feature `tls` of this crate. [`VerifyCa`](TlsMode::VerifyCa) takes a cryptography of `rustls`
        /// that the application has installed for its process. Of no effect on a pool.
        pub fn tls(mut self, mode: TlsMode) -> Self {
            self.settings.tls.mode = Some(mode);
            self
        }

        /// Authorities whose certificates are trusted, in PEM, beside those that browsers trust: `tls_roots`, a file, in a URL. With them, the mode is
        /// [`VerifyFull`](TlsMode::VerifyFull) unless set. Of no effect on a pool.
        pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
            self.settings.tls.roots = Some(Pem::Content(pem.into()));
            self
        }

        /// The certificate that is shown to the server, with its chain, and its key, in PEM: `tls_cert` and `tls_key`, two files, in a URL. None unless
        /// set. Of no effect on a pool.
        pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
            self.settings.tls.certificate = Some(Pem::Content(certificate.into()));
            self.settings.tls.key = Some(Pem::Content(key.into()));
            self
        }

        /// Where the user and the password come from, instead of the URL, if they change while the program runs: tokens of a cloud, leases of a vault.
        /// It is asked for each connection that the store opens, and once more at once if the server refuses what it gave. Connections that are
        /// open stay open. None unless set. Of no effect on a pool, which opens its connections itself.
        pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
            self.settings.credentials = Some(SharedProvider::new(provider));
            self
        }
    };
}
pub(crate) use shared_setters;
