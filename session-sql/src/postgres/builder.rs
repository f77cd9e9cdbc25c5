use std::{sync::Arc, time::Duration};

use session_backend::{BatchSettings, Batched};
use session_backend::{CredentialsProvider, Pem, Secret, SharedProvider, TlsMode, TlsSettings};
use session_core::Result;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::watch;

use super::{
    dialect::Postgres,
    errors::config,
    schema::{self, Names},
    session::{self, Session},
    statements::{Statements, sql},
    store::PostgresStore,
    url,
    watch::Listening,
};
use crate::{
    chunk::MAX_BYTES,
    server::{
        Connections, Connector, Core, Endpoint, MAX_MAX_DATA_LEN, Settings, SqlBackend, connect, purge,
        replica::Replica, replica_lag::look_after, shared_setters,
    },
    table::Table,
};

/// When a commit is acknowledged: the value of `synchronous_commit` on the store's own connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynchronousCommit {
    /// As the server or the database user is configured. The server's default is `on`.
    #[default]
    Unset,
    /// Once the write-ahead log is on the server's disk, and on the synchronous replicas if there
    /// are any.
    On,
    /// Once the write-ahead log is on the server's disk. Replicas may not have it, so a failover
    /// can take the commit back.
    Local,
    /// At once. A crash of the server can take back the last moments (at most three times
    /// `wal_writer_delay`, 200 ms), a logout among them. Nothing is damaged.
    Off,
    /// Once synchronous replicas have received it.
    RemoteWrite,
    /// Once synchronous replicas show it.
    RemoteApply,
}

impl SynchronousCommit {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("on", Self::On),
        ("local", Self::Local),
        ("off", Self::Off),
        ("remote_write", Self::RemoteWrite),
        ("remote_apply", Self::RemoteApply),
    ];

    fn name(self) -> Option<&'static str> {
        Self::ALL.iter().find(|(_, value)| *value == self).map(|(name, _)| *name)
    }
}

/// The settings of a [`PostgresStore`], made by [`PostgresStore::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "settings do nothing until the store is opened"]
pub struct PostgresStoreBuilder {
    settings: Settings,
    table: Option<String>,
    schema: Option<String>,
    synchronous_commit: SynchronousCommit,
    unlogged: bool,
    /// The replica's URL, which may hold a password, and its maximum lag.
    replica: Option<(Secret, Duration)>,
    stale_reads: bool,
}

impl PostgresStoreBuilder {
    shared_setters!();

    /// The schema that holds the tables. It must exist. Default: the first one of the
    /// `search_path`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// The maximum number of connections that the store opens, 1 to 256. Default: 8, which is two
    /// batches of each kind.
    ///
    /// Only as many as are needed at a time are opened. A watch uses one more, to listen.
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connect_at_most(connections);
        self
    }

    /// The maximum data length of one session, in bytes. Default: 1 MiB. Zero means the maximum,
    /// 256 MiB.
    pub fn max_data_len(mut self, bytes: usize) -> Self {
        self.settings.limit_data(bytes);
        self
    }

    /// When a commit is acknowledged. Default: as the server is configured. No effect on a pool.
    pub fn synchronous_commit(mut self, value: SynchronousCommit) -> Self {
        self.synchronous_commit = value;
        self
    }

    /// Whether the table is created without a write-ahead log. Default: off.
    ///
    /// That is faster, but a crash of the server *empties* the table, and replicas do not have it.
    /// No effect on a table that exists.
    pub fn unlogged(mut self, unlogged: bool) -> Self {
        self.unlogged = unlogged;
        self
    }

    /// A streaming replica, by its URL, for reads that may be stale by `max_lag`: those of
    /// [`PostgresStore::read_stale`], and all reads if [`stale_reads`](Self::stale_reads) is on.
    ///
    /// A session that was changed through this store is read from the primary until the replica
    /// shows the change. All reads go to the primary while the replica is down, cut off, or further
    /// behind than `max_lag`. To find out, the store asks both servers several times per `max_lag`.
    /// Writes and their conditions never use the replica.
    ///
    /// The URL takes the options about the server. TLS and the [credentials](Self::credentials) are
    /// those of the builder where the URL says nothing. A `max_lag` of zero is refused when the
    /// store is opened. Default: none.
    pub fn replica(mut self, url: impl Into<String>, max_lag: Duration) -> Self {
        self.replica = Some((Secret::from(url), max_lag));
        self
    }

    /// Whether all reads of this store may come from the [replica](Self::replica). Default: off.
    pub fn stale_reads(mut self, stale: bool) -> Self {
        self.stale_reads = stale;
        self
    }

    /// The SQL that creates the tables, to be run by a user with the right to do so.
    ///
    /// ```
    /// let script = session_sql::PostgresStore::builder().schema("web").migrations()?;
    /// assert!(script.contains(r#"CREATE TABLE "web"."sessions""#));
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
    /// Those of [`PostgresStore::connect`].
    pub async fn connect(self, url: &str) -> Result<PostgresStore> {
        let mut builder = self;
        let endpoint = url::parse(url, &mut builder)?;
        builder.connect_to(endpoint).await
    }

    /// Connects with options of the driver, for what a URL cannot express. Their TLS settings are
    /// kept, unless the builder sets any.
    ///
    /// # Errors
    /// Those of [`PostgresStore::connect`].
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PostgresStore> {
        let tls = Some(self.settings.tls.clone()).filter(|tls| *tls != TlsSettings::default());
        self.connect_to(Endpoint { options, tls, connect_timeout: None }).await
    }

    async fn connect_to(self, endpoint: Endpoint<PgConnectOptions>) -> Result<PostgresStore> {
        let (replica, stale) = (self.replica_server()?, self.stale_reads);
        let (settings, names, synchronous_commit) = self.checked()?;
        let connector = endpoint.connector(settings.credentials.clone())?;
        warn(&connector, replica.as_ref());
        let session = Session::own(connector, session_settings(&settings, synchronous_commit), false);
        connect::within(settings.deadline, async {
            let mut connection = session.open().await.map_err(connect::broken::<Postgres>)?;
            let options = session.connector().options().await.map_err(connect::broken::<Postgres>)?;
            let listener = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
            let listener = (listener.connect_lazy_with(options), Some(session.connector().clone()));
            let dialect = prepare(&mut connection, &settings, &names, session, listener).await?;
            connection.close().await.map_err(connect::broken::<Postgres>)?;
            start(&settings, dialect, Connections::own(settings.connections), replica, stale)
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
    /// Those of [`PostgresStore::from_pool`].
    pub async fn from_pool(self, pool: PgPool) -> Result<PostgresStore> {
        let (replica, stale) = (self.replica_server()?, self.stale_reads);
        let (settings, names, _) = self.checked()?;
        let connector = Connector::of_pool((*pool.connect_options()).clone());
        warn(&connector, replica.as_ref());
        connect::within(settings.deadline, async {
            let mut connection = pool.acquire().await.map_err(connect::broken::<Postgres>)?;
            let session = Session::of_pool(connector, &mut connection).await;
            let session = session.map_err(connect::broken::<Postgres>)?;
            let dialect = prepare(&mut connection, &settings, &names, session, (pool.clone(), None)).await?;
            drop(connection);
            start(&settings, dialect, Connections::Pool(pool), replica, stale)
        })
        .await
    }

    /// The replica's connector and its maximum lag.
    fn replica_server(&self) -> Result<Option<ReplicaServer>> {
        let Some((url, max_lag)) = &self.replica else { return Ok(None) };
        if max_lag.is_zero() {
            return Err(config(
                "with a max_lag of 0 the replica would never be read; leave it out, or allow more",
            ));
        }
        let endpoint = url::parse_replica(url.expose(), self.settings.tls.clone())?;
        Ok(Some((endpoint.connector(self.settings.credentials.clone())?, *max_lag)))
    }

    /// The settings that all servers have in common.
    pub(super) fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn checked(self) -> Result<(Settings, Names, SynchronousCommit)> {
        let Self { settings, table, schema, synchronous_commit, unlogged, replica: _, stale_reads: _ } = self;
        let settings = settings.checked(table)?;
        let schema = schema.as_deref().map(Table::new).transpose()?;
        let names = Names { schema, table: settings.table.clone(), unlogged };
        Ok((settings, names, synchronous_commit))
    }
}

/// The connector of the replica, and its maximum lag.
type ReplicaServer = (Connector<PgConnectOptions>, Duration);

fn warn(primary: &Connector<PgConnectOptions>, replica: Option<&ReplicaServer>) {
    Connector::warn("PostgresStore", [primary].into_iter().chain(replica.map(|(replica, _)| replica)));
}

/// The settings of each of the store's own connections. The server usually knows little about these
/// tables and statements, so the plan does not depend on its estimates.
fn session_settings(settings: &Settings, synchronous_commit: SynchronousCommit) -> session::Settings {
    // The server gives up before the store does, so that the store knows that nothing was changed.
    let patience = (settings.deadline.mul_f64(0.75)).as_millis();
    let fixed = [
        ("default_transaction_isolation", "read committed"),
        ("enable_seqscan", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
    ];
    let commit = synchronous_commit.name().map(|value| ("synchronous_commit", value));
    let named = fixed.into_iter().chain(commit).map(|(name, value)| (name, value.to_owned()));
    named.chain([("statement_timeout", patience.to_string())]).collect()
}

async fn prepare(
    connection: &mut PgConnection,
    settings: &Settings,
    names: &Names,
    session: Session,
    (pool, connector): (PgPool, Option<Connector<PgConnectOptions>>),
) -> Result<Postgres> {
    let prepared = schema::prepare(&session, connection, names, settings.migrate).await?;
    let (table, schema_table, name) = (names.table(), names.schema_table(), settings.table.as_str());
    let listening = Listening {
        pool,
        connector,
        channel: prepared.channel.clone(),
        capacity: settings.watch_capacity,
        switch_on: sql(format!(
            "UPDATE {schema_table} AS s SET notify = true WHERE s.name = '{name}' AND NOT s.notify RETURNING true"
        )),
        wait_for_writers: sql(format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")),
        ear: parking_lot::Mutex::default(),
    };
    let statements = Statements::new(&table, &schema_table, name, &prepared.channel);
    Ok(Postgres { session, statements, listening })
}

fn start(
    settings: &Settings,
    dialect: Postgres,
    connections: Connections<Postgres>,
    replica: Option<ReplicaServer>,
    stale: bool,
) -> Result<PostgresStore> {
    let replica = replica.map(|(connector, max_lag)| {
        let session = Session::own(connector, session_settings(settings, SynchronousCommit::Unset), true);
        Replica::new(dialect.on_replica(session), Connections::own(settings.connections), max_lag)
    });
    let core = Arc::new(Core {
        dialect,
        connections,
        replica,
        closed: watch::Sender::new(false),
        deadline: settings.deadline,
        max_data_len: settings.max_data_len.min(MAX_MAX_DATA_LEN),
        batch_bytes: MAX_BYTES,
    });
    if let Some(interval) = settings.purge_interval {
        purge::start(&core, interval);
    }
    look_after(&core);
    let backend = |stale| SqlBackend { core: Arc::clone(&core), stale };
    // A queued operation has no more time than one that was sent.
    let batching = settings.batching.deadline(settings.deadline);
    Ok(PostgresStore {
        gathered: Batched::new(backend(stale), batching)?,
        stale: Batched::new(backend(true), batching)?,
    })
}
