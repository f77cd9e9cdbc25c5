//! The tables, and how they are created.

use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::{PgConnection, Row, SqlStr, raw_sql};

use super::{
    errors::{config, meaning},
    session::Session,
    statements::sql,
};
use crate::{
    server::{FORMAT, Meaning},
    table::Table,
};

/// The version of the schema that this release makes.
const SCHEMA_VERSION: i32 = 1;

/// Where the tables are.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) schema: Option<Table>,
    pub(super) table: Table,
    pub(super) unlogged: bool,
}

/// What a store has to know of its tables.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The channel of the notifications of changes.
    pub(super) channel: String,
}

impl Names {
    fn qualified(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{name}\""),
            None => format!("\"{name}\""),
        }
    }

    /// The sessions table, as it is written in statements.
    pub(super) fn table(&self) -> String {
        self.qualified(self.table.as_str())
    }

    /// The table that records the schema version of each sessions table.
    pub(super) fn schema_table(&self) -> String {
        self.qualified(Table::SCHEMA)
    }

    /// The migrations. The first one creates version 1 of the schema, and so on.
    fn migrations(&self) -> Vec<String> {
        let (table, name, schema_table) = (self.table(), &self.table, self.schema_table());
        let unlogged = if self.unlogged { "UNLOGGED " } else { "" };
        vec![format!(
            "CREATE TABLE IF NOT EXISTS {schema_table} (
    name text NOT NULL PRIMARY KEY,
    version integer NOT NULL,
    notify boolean NOT NULL DEFAULT false
);
CREATE {unlogged}TABLE {table} (
    k bytea NOT NULL,
    v bytea NOT NULL,
    e timestamptz NOT NULL,
    b bigint NOT NULL,
    o bytea,
    f smallint NOT NULL,
    n integer NOT NULL,
    d bytea NOT NULL,
    CONSTRAINT \"{name}_key\" PRIMARY KEY (k)
) WITH (fillfactor = {FILLFACTOR});
CREATE INDEX \"{name}_due\" ON {table} (b) WHERE f = {FORMAT};
CREATE INDEX \"{name}_owner\" ON {table} (o) WHERE o IS NOT NULL;
INSERT INTO {schema_table} (name, version) VALUES ('{name}', 1);"
        )]
    }

    /// All migrations as a script.
    pub(super) fn script(&self) -> String {
        let migrations = self.migrations().join("\n");
        format!("BEGIN;\n{migrations}\nCOMMIT;\n")
    }
}

/// The fill factor of new pages, in percent. The rest is for new versions of the rows, which then
/// stay on their page.
const FILLFACTOR: u32 = 75;

fn broken(error: sqlx::Error) -> Error {
    match meaning(Operation::Connect, &error) {
        Meaning::Refused(refusal) | Meaning::Elsewhere(refusal) => refusal.with_source(error),
        _ => Error::unavailable(Operation::Connect, false)
            .because("the connection was lost")
            .with_source(error),
    }
}

/// Checks that the database can be used, and creates or upgrades the tables if `migrate` is set.
pub(super) async fn prepare(
    session: &Session,
    connection: &mut PgConnection,
    names: &Names,
    migrate: bool,
) -> Result<Prepared> {
    check_server(session, connection).await?;
    // While another process creates the tables, the schema that is read here may be inconsistent.
    if !matches!(check_schema(session, connection, names).await, Ok(SCHEMA_VERSION)) {
        make(session, connection, names, migrate).await?;
    }
    check_rights(session, connection, names).await?;
    let channel = sql(format!("SELECT 'session_store_' || '{}'::regclass::oid", names.table()));
    let channel = session.row(connection, sqlx::query(channel)).await.map_err(broken)?;
    let channel = channel.try_get(0).map_err(broken)?;
    Ok(Prepared { channel })
}

fn missing(names: &Names, found: i32) -> Error {
    let table = names.table();
    config(match found {
        0 => format!(
            "there is no table {table}, and `migrate` is off: let a user who may create tables run what `migrations()` of the builder \
             prints, or connect once with `migrate` on"
        ),
        _ => format!(
            "the table {table} has schema version {found}, this release needs {SCHEMA_VERSION}, and `migrate` is off: let a user who may \
             alter tables run what `migrations()` of the builder prints"
        ),
    })
}

/// Refuses settings that would change the meaning of the statements. A pool of the application may
/// have any settings.
async fn check_server(session: &Session, connection: &mut PgConnection) -> Result<()> {
    let query = sqlx::query(
        "SELECT current_setting('server_version_num')::integer, current_setting('transaction_isolation'), pg_is_in_recovery(), current_setting('transaction_read_only')",
    );
    let row = session.row(connection, query).await.map_err(broken)?;
    let version: i32 = row.try_get(0).map_err(broken)?;
    if version < 120_000 {
        return Err(Error::new(ErrorKind::Unsupported, Operation::Connect)
            .because(format!("this is PostgreSQL {}, and sessions need 12 or newer", version / 10_000)));
    }
    let isolation: String = row.try_get(1).map_err(broken)?;
    if isolation != "read committed" {
        return Err(config(format!(
            "the connections of the pool begin transactions as {isolation:?}, and the store needs read committed, the server's default"
        )));
    }
    let (replica, read_only): (bool, String) =
        (row.try_get(2).map_err(broken)?, row.try_get(3).map_err(broken)?);
    if replica || read_only == "on" {
        return Err(Error::unavailable(Operation::Connect, false)
            .because("the server only reads: it is a replica, or default_transaction_read_only is on"));
    }
    Ok(())
}

/// The version of the table's schema; zero if it does not exist yet.
async fn check_schema(session: &Session, connection: &mut PgConnection, names: &Names) -> Result<i32> {
    let version: Option<i32> = if has(session, connection, names, Table::SCHEMA).await? {
        let version = sql(format!("SELECT version FROM {} WHERE name = $1", names.schema_table()));
        let version = sqlx::query(version).bind(names.table.as_str());
        let rows = session.rows(connection, version).await.map_err(broken)?;
        rows.first().map(|row| row.try_get(0)).transpose().map_err(broken)?
    } else {
        None
    };
    let there = has(session, connection, names, names.table.as_str()).await?;
    match version {
        Some(version) if version > SCHEMA_VERSION => {
            Err(Error::new(ErrorKind::Unsupported, Operation::Connect).because(format!(
                "the table {} has schema version {version}, made by a newer release; this one knows version {SCHEMA_VERSION} and has \
                 changed nothing",
                names.table()
            )))
        }
        Some(_) if !there => Err(config(format!(
            "the table {} is missing, and {} remembers it: it was dropped by hand; delete its row there, and connect again",
            names.table(),
            names.schema_table()
        ))),
        Some(version) => Ok(version),
        None if there => Err(config(format!(
            "the database has a table {} that is not ours; choose another name with `table`",
            names.table()
        ))),
        None => Ok(0),
    }
}

/// Returns true if there is such a table. Reads the catalogue, because `to_regclass` may remember
/// for a while that there was none.
async fn has(session: &Session, connection: &mut PgConnection, names: &Names, table: &str) -> Result<bool> {
    let there = sqlx::query(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relname = $1 AND CASE WHEN $2::text IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = $2 END)",
    );
    let there = there.bind(table).bind(names.schema.as_ref().map(Table::as_str));
    session.row(connection, there).await.and_then(|row| row.try_get(0)).map_err(broken)
}

/// Creates the tables in one process, while others that start at the same time wait for it.
async fn make(session: &Session, connection: &mut PgConnection, names: &Names, migrate: bool) -> Result<()> {
    let mut transaction = session.begin(connection).await.map_err(broken)?;
    // The number is a hash of "session-sql", so that no other application uses it.
    raw_sql("SELECT pg_advisory_xact_lock(7305814209633714020)")
        .execute(&mut *transaction)
        .await
        .map_err(broken)?;
    let found = check_schema(session, &mut transaction, names).await?;
    if found < SCHEMA_VERSION && !migrate {
        return Err(missing(names, found));
    }
    for migration in names.migrations().into_iter().skip(usize::try_from(found).unwrap_or_default()) {
        let statements: SqlStr = sql(migration);
        raw_sql(statements).execute(&mut *transaction).await.map_err(broken)?;
    }
    transaction.commit().await.map_err(broken)
}

/// Checks the user's rights, so that missing ones show now and not at the first login.
async fn check_rights(session: &Session, connection: &mut PgConnection, names: &Names) -> Result<()> {
    for right in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
        let has = sqlx::query("SELECT has_table_privilege($1, $2)").bind(names.table()).bind(right);
        let has = session.row(connection, has).await.and_then(|row| row.try_get(0));
        let has: bool = has.map_err(broken)?;
        if !has {
            return Err(config(format!(
                "the database user lacks the right to {right} on the table {}",
                names.table()
            )));
        }
    }
    Ok(())
}
