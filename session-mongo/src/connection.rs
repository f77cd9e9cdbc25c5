use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Collection, Database,
    bson::RawDocumentBuf,
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::{ClientOptions, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria},
};
use parking_lot::RwLock;
use session_backend::{Credentials, CredentialsProvider, SharedProvider};
use session_core::Result;
use tokio::{sync::Mutex, time::Instant};

use crate::{errors::config, retryable_writes::RetryableSessions, tls::Encryption};

/// A client of the driver, and the collections that the store uses.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) database: Database,
    /// The collection for reads by callers, from the server that they prefer.
    pub(crate) reading: Collection<RawDocumentBuf>,
    /// The same collection, read from the primary.
    pub(crate) primary: Collection<RawDocumentBuf>,
    /// `None` on a standalone server, which does not support retryable commands, and for a client
    /// that the application uses, too.
    pub(crate) retryable: Option<Arc<RetryableSessions>>,
    /// Whether reads wait for a majority, and therefore need a time limit.
    waits: bool,
    login: Option<Credentials>,
}

/// How the store uses a client.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) database: String,
    pub(crate) collection: String,
    pub(crate) read_preference: Option<SelectionCriteria>,
    pub(crate) read_concern: Option<ReadConcern>,
    /// Whether the store talks to one member of a replica set, whatever its role.
    pub(crate) one_member: bool,
    pub(crate) retryable: bool,
}

impl Connection {
    pub(crate) fn new(client: Client, usage: &Use, login: Option<Credentials>) -> Self {
        let database = client.database(&usage.database);
        let mut primary = CollectionOptions::default();
        primary.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        primary.read_concern = Some(ReadConcern::local());
        let mut reading = CollectionOptions::default();
        reading.selection_criteria.clone_from(&usage.read_preference);
        reading.read_concern.clone_from(&usage.read_concern);
        // On a direct connection, the driver tells the server that an answer of a secondary is
        // acceptable. The server itself refuses a linearizable read when it is not the primary.
        if usage.one_member {
            primary.read_concern = Some(ReadConcern::linearizable());
            if reads_the_primary(usage.read_preference.as_ref().or(client.selection_criteria())) {
                reading.read_concern = Some(ReadConcern::linearizable());
            }
        }
        Self {
            reading: database.collection_with_options(&usage.collection, reading),
            primary: database.collection_with_options(&usage.collection, primary),
            retryable: usage.retryable.then(|| Arc::new(RetryableSessions::new(client.clone()))),
            waits: usage.one_member,
            database,
            client,
            login,
        }
    }

    /// The collection for reads by callers.
    pub(crate) fn reading(&self) -> &Collection<RawDocumentBuf> {
        &self.reading
    }

    /// The collection for checking conditions, read from the primary.
    pub(crate) fn primary(&self) -> &Collection<RawDocumentBuf> {
        &self.primary
    }

    /// The server's time limit for a read, if it needs one.
    pub(crate) fn limit(&self, until: Instant) -> Option<Duration> {
        let least = Duration::from_millis(1);
        self.waits.then(|| until.saturating_duration_since(Instant::now()).max(least))
    }
}

/// Whether reads go to the primary.
pub(crate) fn reads_the_primary(criteria: Option<&SelectionCriteria>) -> bool {
    matches!(criteria, None | Some(SelectionCriteria::ReadPreference(ReadPreference::Primary)))
}

/// The current client. The driver keeps the login of a client for ever, so another login needs
/// another client.
pub(crate) struct Connections {
    current: RwLock<Arc<Connection>>,
    renewal: Option<Renewal>,
    /// Keeps the certificate files that clients read.
    _encryption: Option<Encryption>,
}

/// What is needed to create a client with another login.
pub(crate) struct Renewal {
    pub(crate) provider: SharedProvider,
    pub(crate) options: ClientOptions,
    pub(crate) usage: Use,
    /// Lets one operation at a time ask the provider.
    pub(crate) turn: Mutex<()>,
}

impl Connections {
    pub(crate) fn new(
        connection: Connection,
        renewal: Option<Renewal>,
        encryption: Option<Encryption>,
    ) -> Self {
        Self { current: RwLock::new(Arc::new(connection)), renewal, _encryption: encryption }
    }

    pub(crate) fn current(&self) -> Arc<Connection> {
        Arc::clone(&self.current.read())
    }

    /// Whether the command that failed with `error` was not carried out and may be retried, because
    /// the server had refused the login of `used`. If the provider now has other credentials, this
    /// switches to a client with them.
    ///
    /// # Errors
    /// Those of the provider.
    pub(crate) async fn renewed(&self, used: &Arc<Connection>, error: &DriverError) -> Result<bool> {
        let Some(renewal) = &self.renewal else { return Ok(false) };
        let is_login = match &*error.kind {
            DriverKind::Authentication { .. } => true,
            DriverKind::Command(refusal) => match refusal.code {
                18 | 391 => true,
                // A removed user has no permissions, and neither has a user without the role.
                13 | 8_000 => false,
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        let _turn = renewal.turn.lock().await;
        if !Arc::ptr_eq(&self.current(), used) {
            return Ok(true);
        }
        let login = renewal.provider.credentials().await?;
        if used.login.as_ref() == Some(&login) {
            // The provider may learn of a change later than the server. A missing role is not a
            // matter of the login.
            return Ok(is_login);
        }
        let client = client(with_login(renewal.options.clone(), &login))?;
        // Commands in flight keep the previous client until they are answered. Then the driver
        // shuts it down.
        *self.current.write() = Arc::new(Connection::new(client, &renewal.usage, Some(login)));
        tracing::info!(
            "the server refused the login, and the store has logged in anew with other credentials"
        );
        Ok(true)
    }
}

/// A client with these options.
pub(crate) fn client(options: ClientOptions) -> Result<Client> {
    // The driver's message is not repeated: it can contain a part of the URL, such as a file name.
    Client::with_options(options).map_err(|error| match &*error.kind {
        DriverKind::InvalidTlsConfig { .. } | DriverKind::Io(_) => {
            config("the settings cannot be used: the certificates or the key are not valid")
        }
        _ => config(
            "the settings cannot be used: the pool, the heartbeat and the read preference do not go together",
        ),
    })
}

/// The options with this login in place of their own. Their user stays if the login names none.
fn with_login(mut options: ClientOptions, login: &Credentials) -> ClientOptions {
    let credential = options.credential.get_or_insert_default();
    if login.user.is_some() {
        credential.username.clone_from(&login.user);
    }
    credential.password = Some(login.password.expose().to_owned());
    options
}
