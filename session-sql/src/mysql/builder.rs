use std::{sync::Arc, time::Duration};

use session_backend::{BatchSettings, Batched};
use session_backend::{CredentialsProvider, Pem, SharedProvider, TlsMode, TlsSettings};
use session_core::Result;
use sqlx::{ConnectOptions, Connection, MySqlPool, SqlStr, mysql::MySqlConnectOptions};
use tokio::sync::watch;

use super::{
    dialect::MySql,
    errors::config,
    registry::events_of,
    schema::{self, Names},
    statements::{Statements, sql},
    store::MySqlStore,
    url,
};
use crate::{
    chunk::MAX_BYTES,
    server::{
        Connections, Connector, Core, Endpoint, MAX_MAX_DATA_LEN, Settings, SqlBackend, connect, purge,
        shared_setters,
    },
    table::Table,
};

/// Room for everything in a row and a statement except the data, in bytes.
const OVERHEAD: u64 = 64 << 10;

/// The settings of a [`MySqlStore`], made by [`MySqlStore::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct MySqlStoreBuilder {
    settings: Settings,
    table: Option<String>,
    schema: Option<String>,
    without_returning: bool,
}

impl MySqlStoreBuilder {
    shared_setters!();

    /// The database that holds the tables. It must exist. Default: the database of the URL.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// The maximum number of connections that the store opens, 1 to 256. Default: 8, which is two
    /// batches of each kind.
    ///
    /// Only as many as are needed at a time are opened.
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connect_at_most(connections);
        self
    }

    /// The maximum data length of one session, in bytes. Default: 1 MiB.
    ///
    /// The maximum is 256 MiB, and the server's `max_allowed_packet` must have room for it. Zero
    /// means as much as `max_allowed_packet` has room for, up to 256 MiB.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.limit_data(bytes);
        self
    }

    /// Uses the code path for servers without `RETURNING` on a server that has it. For tests.
    #[doc(hidden)]
    pub fn without_returning(mut self) -> Self {
        self.without_returning = true;
        self
    }

    /// The SQL that creates the tables, to be run by a user with the right to do so.
    ///
    /// ```
    /// let script = session_sql::MySqlStore::builder().schema("web").migrations()?;
    /// assert!(script.contains("CREATE TABLE IF NOT EXISTS `web`.`sessions`"));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for a name that cannot be used.
    pub fn migrations(&self) -> Result<String> {
        Ok(self.clone().checked()?.1.script())
    }

    /// Connects to the database that `url` names. The options of the URL override earlier settings.
    ///
    /// # Errors
    /// Those of [`MySqlStore::connect`].
    pub async fn connect(self, url: &str) -> Result<MySqlStore> {
        let mut builder = self;
        let endpoint = url::parse(url, &mut builder)?;
        builder.connect_to(endpoint).await
    }

    /// Connects with options of the driver, for what a URL cannot express. Their TLS settings are
    /// kept, unless the builder sets any.
    ///
    /// # Errors
    /// Those of [`MySqlStore::connect`].
    pub async fn connect_with(self, options: MySqlConnectOptions) -> Result<MySqlStore> {
        let tls = Some(self.settings.tls.clone()).filter(|tls| *tls != TlsSettings::default());
        let options = options.statement_cache_capacity(STATEMENTS);
        self.connect_to(Endpoint { options, tls, connect_timeout: None }).await
    }

    async fn connect_to(self, mut endpoint: Endpoint<MySqlConnectOptions>) -> Result<MySqlStore> {
        let without_returning = self.without_returning;
        let (mut settings, names) = self.checked()?;
        endpoint.options = endpoint.options.disable_statement_logging();
        let connector = endpoint.connector(settings.credentials.take())?;
        Connector::warn("MySqlStore", [&connector]);
        connect::within(settings.deadline, async {
            let mut connection = connector.connect().await.map_err(connect::broken::<MySql>)?;
            let mut prepared = schema::prepare(&mut connection, &names, settings.migrate).await?;
            let setup = setup(&settings, prepared.returning);
            connection.close().await.map_err(connect::broken::<MySql>)?;
            prepared.returning &= !without_returning;
            start(&settings, &names, &prepared, connector, setup, Connections::own(settings.connections))
        })
        .await
    }

    /// Uses the connections of an existing pool, which keeps its settings: the connection settings
    /// of this builder have no effect.
    ///
    /// The pool pings each connection before and after its use, which takes longer than a
    /// connection of the store's own.
    ///
    /// # Errors
    /// Those of [`MySqlStore::from_pool`].
    pub async fn from_pool(self, pool: MySqlPool) -> Result<MySqlStore> {
        let without_returning = self.without_returning;
        let (settings, names) = self.checked()?;
        let connector = Connector::of_pool((*pool.connect_options()).clone());
        Connector::warn("MySqlStore", [&connector]);
        connect::within(settings.deadline, async {
            let mut connection = pool.acquire().await.map_err(connect::broken::<MySql>)?;
            let mut prepared = schema::prepare(&mut connection, &names, settings.migrate).await?;
            prepared.returning &= !without_returning;
            drop(connection);
            start(&settings, &names, &prepared, connector, sql(String::new()), Connections::Pool(pool))
        })
        .await
    }

    /// The settings that all servers have in common.
    pub(super) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn checked(self) -> Result<(Settings, Names)> {
        let Self { settings, table, schema, without_returning: _ } = self;
        let settings = settings.checked(table)?;
        let schema = schema.as_deref().map(Table::new).transpose()?;
        let names = Names { schema, table: settings.table.clone() };
        Ok((settings, names))
    }
}

/// Room for every statement in all its sizes, and for the few others.
pub(super) const STATEMENTS: usize = 128;

/// The SQL that sets up each of the store's own connections.
fn setup(settings: &Settings, mariadb: bool) -> SqlStr {
    // The server gives up before the store does, so that the store knows that nothing was changed.
    let patience = settings.deadline.mul_f64(0.75);
    let lock_wait = patience.as_secs().max(1);
    let limit = if mariadb {
        format!(" SET SESSION max_statement_time = {};", patience.as_secs_f64())
    } else {
        String::new()
    };
    sql(format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET SESSION innodb_lock_wait_timeout = {lock_wait};{limit}"
    ))
}

fn start(
    settings: &Settings,
    names: &Names,
    prepared: &schema::Prepared,
    connector: Connector<MySqlConnectOptions>,
    setup: SqlStr,
    connections: Connections<MySql>,
) -> Result<MySqlStore> {
    let packet = prepared.max_allowed_packet;
    let room = usize::try_from(packet.saturating_sub(OVERHEAD)).unwrap_or(usize::MAX);
    let max_data_len = match settings.max_data_len {
        usize::MAX => room.min(MAX_MAX_DATA_LEN),
        len if len <= room => len,
        len => {
            return Err(config(format!(
                "the server's max_allowed_packet is {packet} bytes, and sessions of {len} bytes need {}: raise it, or lower `max_data_len`",
                len as u64 + OVERHEAD
            )));
        }
    };
    let dialect = MySql {
        connector,
        setup,
        statements: Statements::new(names.table()),
        returning: prepared.returning,
        events: events_of(&prepared.identity, settings.watch_capacity),
    };
    let core = Arc::new(Core {
        dialect,
        connections,
        replica: None,
        closed: watch::Sender::new(false),
        deadline: settings.deadline,
        max_data_len,
        batch_bytes: room.min(MAX_BYTES),
    });
    if let Some(interval) = settings.purge_interval {
        purge::start(&core, interval);
    }
    // A queued operation has no more time than one that was sent.
    let batching = settings.batching.deadline(settings.deadline);
    Ok(MySqlStore { gathered: Batched::new(SqlBackend { core, stale: false }, batching)? })
}
