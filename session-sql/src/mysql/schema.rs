//! The tables, and how they are created.

use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::{MySqlConnection, Row};

use super::{
    errors::{config, meaning},
    statements::sql,
};
use crate::{server::Meaning, table::Table};

/// The version of the schema that this release makes.
const SCHEMA_VERSION: i32 = 1;

/// Where the tables are.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) schema: Option<Table>,
    pub(super) table: Table,
}

/// What a store has to know of its server and its tables.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Whether the server supports `RETURNING`.
    pub(super) returning: bool,
    /// An identity that no other table has.
    pub(super) identity: String,
    pub(super) max_allowed_packet: u64,
}

impl Names {
    fn qualified(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("`{schema}`.`{name}`"),
            None => format!("`{name}`"),
        }
    }

    /// The sessions table, as it is written in statements.
    pub(super) fn table(&self) -> String {
        self.qualified(self.table.as_str())
    }

    /// The table that records the schema version of each sessions table.
    fn schema_table(&self) -> String {
        self.qualified(Table::SCHEMA)
    }

    /// The statements that create the schema, in order. A failed step does not undo the earlier
    /// ones, so each step can be repeated. The version is set last. The row is inserted before the
    /// table is created, to mark the table as ours.
    fn steps(&self) -> [String; 4] {
        let (table, name, schema_table) = (self.table(), &self.table, self.schema_table());
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {schema_table} (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    version INT NOT NULL,
    identity VARCHAR(36) CHARACTER SET ascii NOT NULL
) ENGINE = InnoDB"
            ),
            format!(
                "INSERT IGNORE INTO {schema_table} (name, version, identity) VALUES ('{name}', 0, UUID())"
            ),
            // `x` holds the version that the creating write expected (16 bytes) and its TTL (6
            // bytes). Only the statement that created the row uses it.
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (
    k VARBINARY(33) NOT NULL PRIMARY KEY,
    v VARBINARY(16) NOT NULL,
    e DATETIME(6) NOT NULL,
    b BIGINT NOT NULL,
    x VARBINARY(22) NOT NULL,
    o VARBINARY(255),
    f SMALLINT NOT NULL,
    n BIGINT NOT NULL,
    d LONGBLOB NOT NULL,
    KEY due (f, b),
    KEY owner (o)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC"
            ),
            format!(
                "UPDATE {schema_table} SET version = {SCHEMA_VERSION} WHERE name = '{name}' AND version < {SCHEMA_VERSION}"
            ),
        ]
    }

    /// All steps as a script.
    pub(super) fn script(&self) -> String {
        self.steps().map(|step| format!("{step};\n")).concat()
    }
}

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
    connection: &mut MySqlConnection,
    names: &Names,
    migrate: bool,
) -> Result<Prepared> {
    let (returning, max_allowed_packet) = check_server(connection).await?;
    // While another process creates the tables, the schema that is read here may be inconsistent.
    if !matches!(check_schema(connection, names).await, Ok(SCHEMA_VERSION)) {
        make(connection, names, migrate).await?;
    }
    check_rights(connection, names).await?;
    let identity =
        sql(format!("SELECT identity FROM {} WHERE name = '{}'", names.schema_table(), names.table));
    let identity = sqlx::query_scalar(identity).fetch_one(connection).await.map_err(broken)?;
    Ok(Prepared { returning, identity, max_allowed_packet })
}

/// Refuses settings that would change the meaning of the statements. A pool of the application may
/// have any settings.
async fn check_server(connection: &mut MySqlConnection) -> Result<(bool, u64)> {
    // The isolation variable has two names, and each server knows one of them, so it is read
    // separately below.
    let row = sqlx::query(
        "SELECT VERSION(), TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()), @@max_allowed_packet, @@read_only,
            SYSDATE(6), SLEEP(0.001), SYSDATE(6) > NOW(6), @@time_zone",
    );
    let row = row.fetch_one(&mut *connection).await.map_err(broken)?;
    let version: String = row.try_get(0).map_err(broken)?;
    let mariadb = version.contains("MariaDB");
    check_version(&version, mariadb)?;
    let (ahead, zone): (i64, String) = (row.try_get(1).map_err(broken)?, row.try_get(7).map_err(broken)?);
    if ahead != 0 || !matches!(&*zone, "+00:00" | "UTC") {
        return Err(config(format!(
            "the connections are in the time zone {zone:?}, and the store needs '+00:00', the driver's default: in any other, a clock change \
             would end sessions early or late"
        )));
    }
    if row.try_get::<i64, _>(3).unwrap_or_default() != 0 {
        return Err(Error::unavailable(Operation::Connect, false)
            .because("the server only reads: it is a replica, or read_only is on"));
    }
    if row.try_get::<i64, _>(6).map_err(broken)? == 0 {
        return Err(config(
            "the server runs with sysdate-is-now, so that its clock stands still while locks are waited for; turn that off",
        ));
    }
    let isolation = if mariadb { "SELECT @@tx_isolation" } else { "SELECT @@transaction_isolation" };
    let isolation: String = sqlx::query_scalar(isolation).fetch_one(connection).await.map_err(broken)?;
    if !matches!(&*isolation, "READ-COMMITTED" | "REPEATABLE-READ") {
        return Err(config(format!(
            "the connections of the pool begin transactions as {isolation}, and the store needs READ-COMMITTED, or the server's default"
        )));
    }
    Ok((mariadb, row.try_get(2).map_err(broken)?))
}

fn check_version(text: &str, mariadb: bool) -> Result<()> {
    let mut numbers =
        text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let (name, oldest) = if mariadb { ("MariaDB", (10, 6)) } else { ("MySQL", (8, 0)) };
    if found >= oldest {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, Operation::Connect)
        .because(format!("this is {name} {text}, and sessions need {}.{} or newer", oldest.0, oldest.1)))
}

/// The version of the table's schema; zero if it does not exist yet, or not all of it.
async fn check_schema(connection: &mut MySqlConnection, names: &Names) -> Result<i32> {
    let version = if has(connection, names, Table::SCHEMA).await? {
        let version =
            sql(format!("SELECT version FROM {} WHERE name = '{}'", names.schema_table(), names.table));
        sqlx::query_scalar::<_, i32>(version).fetch_optional(&mut *connection).await.map_err(broken)?
    } else {
        None
    };
    let there = has(connection, names, names.table.as_str()).await?;
    match version {
        Some(version) if version > SCHEMA_VERSION => {
            Err(Error::new(ErrorKind::Unsupported, Operation::Connect).because(format!(
                "the table {} has schema version {version}, made by a newer release; this one knows version {SCHEMA_VERSION} and has \
                 changed nothing",
                names.table()
            )))
        }
        Some(version) if version > 0 && !there => Err(config(format!(
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

async fn has(connection: &mut MySqlConnection, names: &Names, table: &str) -> Result<bool> {
    let schema = names.schema.as_ref().map(Table::as_str);
    let tables = sqlx::query_scalar::<_, i64>(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
    );
    let tables = tables.bind(schema).bind(table).fetch_one(connection).await.map_err(broken)?;
    Ok(tables > 0)
}

/// Creates the tables in one process, while others that start at the same time wait for it.
async fn make(connection: &mut MySqlConnection, names: &Names, migrate: bool) -> Result<()> {
    let locked: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK('session_store_schema', 9)")
        .fetch_one(&mut *connection)
        .await
        .map_err(broken)?;
    if locked != Some(1) {
        return Err(Error::unavailable(Operation::Connect, false)
            .because("another process is still making the tables"));
    }
    let made = async {
        if check_schema(connection, names).await? < SCHEMA_VERSION {
            if !migrate {
                return Err(config(format!(
                    "the table {} is missing or older than schema version {SCHEMA_VERSION}, and `migrate` is off: let a user who may create \
                     tables run what `migrations()` of the builder prints, or connect once with `migrate` on",
                    names.table()
                )));
            }
            for step in names.steps() {
                sqlx::raw_sql(sql(step)).execute(&mut *connection).await.map_err(broken)?;
            }
        }
        Ok(())
    };
    let made = made.await;
    sqlx::query("DO RELEASE_LOCK('session_store_schema')").execute(connection).await.map_err(broken)?;
    made
}

/// Checks the user's rights, so that missing ones show now and not at the first login.
async fn check_rights(connection: &mut MySqlConnection, names: &Names) -> Result<()> {
    let table = names.table();
    for probe in [
        format!("SELECT k FROM {table} LIMIT 0"),
        format!(
            "INSERT INTO {table} (k, v, e, b, x, f, n, d) SELECT k, v, e, b, x, f, n, d FROM {table} WHERE FALSE"
        ),
        format!("UPDATE {table} SET n = n WHERE FALSE"),
        format!("DELETE FROM {table} WHERE FALSE"),
    ] {
        sqlx::query(sql(probe)).persistent(false).execute(&mut *connection).await.map_err(broken)?;
    }
    Ok(())
}
