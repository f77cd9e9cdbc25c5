use std::{sync::Arc, time::Duration};

use session_batch::{BatchSettings, Batched};
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
    server::{Connections, Core, Direct, Settings, opening, purge, shared_setters},
    table::Table,
};

/// What a row and a statement have beside the data.
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

    /// The table that holds the sessions, which keeps them apart from those of other stores in the schema. `sessions` unless set.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// The database that holds the tables. It must exist. That of the URL unless set.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// How many connections the store opens at most, 1 to 256; only as many as are needed at a time. Eight unless set, which is two batches of each
    /// kind.
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connections = connections.clamp(1, 256);
        self
    }

    /// The longest data of one session, in bytes. 1 MiB unless set; 256 MiB is the most, and the server's
    /// `max_allowed_packet` must have room for it.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.max_data_len = bytes.min(256 << 20);
        self
    }

    /// Takes the way of servers that cannot return what they have changed, on one that can. For tests.
    #[doc(hidden)]
    pub fn without_returning(mut self) -> Self {
        self.without_returning = true;
        self
    }

    /// The SQL that makes the tables, for a user who may run it to run it.
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

    /// Connects to the database that `url` names. The options of the URL overrule what was set before.
    ///
    /// # Errors
    /// Those of [`MySqlStore::connect`].
    pub async fn connect(self, url: &str) -> Result<MySqlStore> {
        let (options, builder) = url::parse(url, self)?;
        builder.connect_with(options).await
    }

    /// Connects with options of the driver, for what a URL cannot say.
    ///
    /// # Errors
    /// Those of [`MySqlStore::connect`].
    pub async fn connect_with(self, options: MySqlConnectOptions) -> Result<MySqlStore> {
        let without_returning = self.without_returning;
        let (settings, names) = self.checked()?;
        let options = options.disable_statement_logging().statement_cache_capacity(CACHED);
        opening::within(settings.deadline, async {
            let mut connection = options.connect().await.map_err(opening::broken::<MySql>)?;
            let mut prepared = schema::prepare(&mut connection, &names, settings.migrate).await?;
            let setup = setup(&settings, prepared.returning);
            connection.close().await.map_err(opening::broken::<MySql>)?;
            prepared.returning &= !without_returning;
            start(&settings, &names, &prepared, options, setup, Connections::own(settings.connections))
        })
        .await
    }

    /// Uses the connections of a pool that the application has already, whose settings stay: those of connections set here count for nothing. The
    /// pool asks each connection for a sign of life before and after its use, which takes longer than a connection of the store's own.
    ///
    /// # Errors
    /// Those of [`MySqlStore::from_pool`].
    pub async fn from_pool(self, pool: MySqlPool) -> Result<MySqlStore> {
        let without_returning = self.without_returning;
        let (settings, names) = self.checked()?;
        opening::within(settings.deadline, async {
            let mut connection = pool.acquire().await.map_err(opening::broken::<MySql>)?;
            let mut prepared = schema::prepare(&mut connection, &names, settings.migrate).await?;
            prepared.returning &= !without_returning;
            drop(connection);
            let options = (*pool.connect_options()).clone();
            start(&settings, &names, &prepared, options, sql(String::new()), Connections::Pool(pool))
        })
        .await
    }

    fn checked(self) -> Result<(Settings, Names)> {
        let Self { mut settings, table, schema, without_returning: _ } = self;
        if let Some(table) = table {
            settings.table = Table::new(&table)?;
        }
        let schema = schema.as_deref().map(Table::new).transpose()?;
        let names = Names { schema, table: settings.table.clone() };
        Ok((settings, names))
    }
}

/// Every statement in all its sizes, and room for the few others.
const CACHED: usize = 128;

/// What each connection of our own is set to.
fn setup(settings: &Settings, mariadb: bool) -> SqlStr {
    // So that it is the server that gives up first, and we know that nothing was changed.
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
    options: MySqlConnectOptions,
    setup: SqlStr,
    connections: Connections<MySql>,
) -> Result<MySqlStore> {
    let packet = prepared.max_allowed_packet;
    if settings.max_data_len as u64 + OVERHEAD > packet {
        return Err(config(format!(
            "the server's max_allowed_packet is {packet} bytes, and sessions of {} bytes need {}: raise it, or lower `max_data_len`",
            settings.max_data_len,
            settings.max_data_len as u64 + OVERHEAD
        )));
    }
    let dialect = MySql {
        options,
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
        max_data_len: settings.max_data_len,
        batch_bytes: usize::try_from(packet.saturating_sub(OVERHEAD)).unwrap_or(MAX_BYTES).min(MAX_BYTES),
    });
    if let Some(interval) = settings.purge_interval {
        purge::start(&core, interval);
    }
    Ok(MySqlStore { gathered: Batched::new(Direct { core, stale: false }, settings.batching)? })
}
