//! How statements reach the server: on the store's own connections, or through a pooler that lends
//! a server connection for each transaction, such as `PgBouncer` in transaction mode.
//!
//! After a transaction, such a pooler gives the connection to another client, with whatever was set
//! on it. The next transaction of the store gets another connection, which lacks the statements
//! that the store prepared on the first. A statement that another client prepared may be there
//! under the same name. So through a pooler, nothing is set or prepared beyond a transaction.
//!
//! To the server itself, settings are sent at the start of a connection. A pooler refuses or
//! ignores them, which tells the two apart.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

use sqlx::{
    ConnectOptions, Connection as _, PgConnection, Postgres as Database, Row, SqlStr, Transaction,
    postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgRow},
    query::Query,
    raw_sql,
};

use super::statements::sql;
use crate::server::{Connector, OnlyReads, SqlResult};

/// The setting by which a connection proves that its start-up settings are in force.
const PROOF: &str = "session_store.proof";

/// Settings of connections, as names and values.
pub(super) type Settings = Vec<(&'static str, String)>;

/// The way to one server, or to the pooler in front of it.
#[derive(Debug)]
pub(super) struct Session {
    connector: Connector<PgConnectOptions>,
    /// The same server, for connections that start with the settings.
    starting: Connector<PgConnectOptions>,
    /// Whether a server that only reads is acceptable.
    replica: bool,
    proof: String,
    /// Begins a transaction on a lent connection.
    begin: SqlStr,
    /// Whether connections are lent by a pooler. Once true, it stays true.
    lent: AtomicBool,
}

impl Session {
    /// For the store's own connections.
    pub(super) fn own(connector: Connector<PgConnectOptions>, settings: Settings, replica: bool) -> Self {
        // The driver asks for more digits of numbers in text form, which the store never reads.
        // `PgBouncer` does not know that setting.
        let connector = connector.map(|options| options.extra_float_digits(None).disable_statement_logging());
        let proof = format!("{:016x}", rand::random::<u64>());
        let local = settings
            .iter()
            .fold(String::new(), |all, (name, value)| all + "; SET LOCAL " + name + " = '" + value + "'");
        let start = settings.into_iter().chain([(PROOF, proof.clone())]);
        Self {
            lent: AtomicBool::new(keeps_no_statements(connector.base())),
            begin: sql(format!("BEGIN ISOLATION LEVEL READ COMMITTED{local}")),
            starting: connector.clone().map(|options| options.options(start)),
            connector,
            replica,
            proof,
        }
    }

    /// For the connections of a pool of the application, one of which is given.
    pub(super) async fn of_pool(
        connector: Connector<PgConnectOptions>,
        connection: &mut PgConnection,
    ) -> SqlResult<Self> {
        let lent = keeps_no_statements(connector.base()) || !is_direct(connection).await?;
        Ok(Self {
            lent: AtomicBool::new(lent),
            begin: sql("BEGIN".to_owned()),
            starting: connector.clone(),
            connector,
            replica: false,
            proof: String::new(),
        })
    }

    /// The connector to the server, without settings.
    pub(super) fn connector(&self) -> &Connector<PgConnectOptions> {
        &self.connector
    }

    /// Whether a pooler lends us connections.
    pub(super) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    /// Opens a connection, finds out whether it leads to the server itself, and checks that the
    /// server may serve.
    pub(super) async fn open(&self) -> SqlResult<PgConnection> {
        if !self.is_lent() {
            match self.starting.connect().await {
                Ok(mut connection) => {
                    if !self.proven(&mut connection).await? {
                        self.lent.store(true, Ordering::Relaxed);
                    }
                    return Ok(connection);
                }
                Err(error) if refuses_settings(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.connector.connect().await?;
        self.lent.store(true, Ordering::Relaxed);
        self.ask(&mut connection).await?;
        Ok(connection)
    }

    /// Checks that the server may serve.
    pub(super) async fn ask(&self, connection: &mut PgConnection) -> SqlResult<()> {
        self.proven(connection).await.map(drop)
    }

    /// Returns true if the start-up settings of this connection are in force. Fails if its server
    /// may not serve.
    async fn proven(&self, connection: &mut PgConnection) -> SqlResult<bool> {
        let question = format!(
            "SELECT current_setting('transaction_read_only') = 'on', coalesce(current_setting('{PROOF}', true) = '{}', false)",
            self.proof
        );
        let row = raw_sql(sql(question)).fetch_one(connection).await?;
        if !self.replica && row.try_get(0)? {
            return Err(OnlyReads::error());
        }
        row.try_get(1)
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn rows(
        &self,
        connection: &mut PgConnection,
        query: Query<'_, Database, PgArguments>,
    ) -> SqlResult<Vec<PgRow>> {
        if !self.is_lent() {
            return query.fetch_all(connection).await;
        }
        let query = query.persistent(false);
        if connection.is_in_transaction() {
            return query.fetch_all(connection).await;
        }
        let mut transaction = self.begin(connection).await?;
        match query.fetch_all(&mut *transaction).await {
            Ok(rows) => {
                transaction.commit().await?;
                Ok(rows)
            }
            Err(error) => {
                // Until this is sent, the pooler reserves a server connection for this client.
                transaction.rollback().await?;
                Err(error)
            }
        }
    }

    /// Runs a statement and returns its one row.
    pub(super) async fn row(
        &self,
        connection: &mut PgConnection,
        query: Query<'_, Database, PgArguments>,
    ) -> SqlResult<PgRow> {
        self.rows(connection, query).await?.pop().ok_or(sqlx::Error::RowNotFound)
    }

    /// Begins a transaction.
    pub(super) async fn begin<'c>(
        &self,
        connection: &'c mut PgConnection,
    ) -> SqlResult<Transaction<'c, Database>> {
        if self.is_lent() {
            connection.begin_with(self.begin.clone()).await
        } else {
            connection.begin().await
        }
    }
}

/// Returns true if the driver is told to keep no prepared statements, as users of a pooler do.
fn keeps_no_statements(options: &PgConnectOptions) -> bool {
    let capacity = (Cow::Borrowed("statement-cache-capacity"), Cow::Borrowed("0"));
    // The driver shows the capacity only in a URL, and panics if the URL cannot hold the user or
    // the host.
    let options = options.clone().username("user").host("host");
    options.to_url_lossy().query_pairs().any(|pair| pair == capacity)
}

/// Returns true if a setting that the driver sends when it opens a connection is in force on this
/// one. A pooler either ignores it, or requires that the driver is told to leave it out.
async fn is_direct(connection: &mut PgConnection) -> SqlResult<bool> {
    let source = "SELECT source = 'client' FROM pg_settings WHERE name = 'extra_float_digits'";
    raw_sql(source).fetch_one(connection).await?.try_get(0)
}

/// Returns true if a connection was refused because of its start-up settings: by a pooler, or by a
/// server that does not know one of them.
fn refuses_settings(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| matches!(error.code(), "08P01" | "0A000" | "42704" | "22023"))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::keeps_no_statements;

    #[test]
    fn no_user_or_host_is_too_strange() {
        let options = || PgConnectOptions::new_without_pgpass().username("a/b@c:d ?#[").host("::1");
        assert!(!keeps_no_statements(&options()));
        assert!(keeps_no_statements(&options().statement_cache_capacity(0).socket("/run/x")));
    }
}
