use session_core::{Error, ErrorKind, Operation, Result};
use sqlx::{Connection, SqliteConnection};
use tokio::time::{Duration, Instant, sleep};

use super::{
    errors::{config, failed},
    statements::{
        BEGIN, ENCODING, HAS_TABLE, MAKE_SCHEMA_TABLE, OLDEST, SCHEMA_OF, SCHEMA_VERSION, SET_SCHEMA,
        Statements, USE_WAL, VERSION,
    },
};
use crate::table::Table;

/// Checks that the database can be used, and creates or upgrades the schema of `table`. Nothing is
/// changed unless all checks pass. Returns true if the database stores text as UTF-8.
pub(crate) async fn prepare(
    connection: &mut SqliteConnection,
    table: &Table,
    statements: &Statements,
    use_wal: Option<Duration>,
) -> Result<bool> {
    let sqlite: String = sqlx::query_scalar(VERSION).fetch_one(&mut *connection).await.map_err(broken)?;
    check_version(&sqlite)?;
    check_schema(connection, table).await?;
    if let Some(patience) = use_wal {
        switch_to_wal(connection, patience).await?;
    }
    let mut transaction = connection.begin_with(BEGIN).await.map_err(broken)?;
    let found = check_schema(&mut transaction, table).await?;
    if found < SCHEMA_VERSION {
        sqlx::query(MAKE_SCHEMA_TABLE).execute(&mut *transaction).await.map_err(broken)?;
        let known = usize::try_from(found).unwrap_or_default();
        for statement in statements.migrations.iter().skip(known).flatten() {
            sqlx::query(statement.clone()).execute(&mut *transaction).await.map_err(broken)?;
        }
        let set = sqlx::query(SET_SCHEMA).bind(table.as_str()).bind(SCHEMA_VERSION);
        set.execute(&mut *transaction).await.map_err(broken)?;
    } else {
        // A read-only database fails here, and not at the first login.
        sqlx::query(statements.probe.clone()).execute(&mut *transaction).await.map_err(broken)?;
    }
    transaction.commit().await.map_err(broken)?;
    let encoding: String = sqlx::query_scalar(ENCODING).fetch_one(connection).await.map_err(broken)?;
    Ok(encoding == "UTF-8")
}

fn broken(error: sqlx::Error) -> Error {
    failed(Operation::Connect, error)
}

/// Refuses an SQLite whose clock has no milliseconds. A pool of the application may use another
/// library.
fn check_version(text: &str) -> Result<()> {
    let mut numbers = text.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found >= OLDEST {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, Operation::Connect).because(format!(
        "this is SQLite {text}, and sessions need {}.{} or newer, whose clock has milliseconds; the one compiled into sqlx is",
        OLDEST.0, OLDEST.1
    )))
}

/// The version of the table's schema; zero if it does not exist yet.
async fn check_schema(connection: &mut SqliteConnection, table: &Table) -> Result<i64> {
    let version: Option<i64> = if has_table(connection, Table::SCHEMA).await? {
        sqlx::query_scalar(SCHEMA_OF)
            .bind(table.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(broken)?
    } else {
        None
    };
    match version {
        Some(version) if version > SCHEMA_VERSION => Err(Error::new(
            ErrorKind::Unsupported,
            Operation::Connect,
        )
        .because(format!(
            "the table {table} has schema version {version}, made by a newer release; this one knows version \
                 {SCHEMA_VERSION} and has changed nothing"
        ))),
        Some(version) => Ok(version),
        None if has_table(connection, table.as_str()).await? => Err(config(format!(
            "the database has a table {table} that is not ours; choose another name with `table`"
        ))),
        None => Ok(0),
    }
}

async fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool> {
    let tables: i64 = sqlx::query_scalar(HAS_TABLE).bind(name).fetch_one(connection).await.map_err(broken)?;
    Ok(tables > 0)
}

/// Switches the file to write-ahead logging. The file remembers this mode, so only the first
/// process to open it has anything to change. Others may be in the way for a moment.
async fn switch_to_wal(connection: &mut SqliteConnection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        let switched = sqlx::query_scalar::<_, String>(USE_WAL).fetch_one(&mut *connection).await;
        let error = match switched.map_err(broken) {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(config(format!(
                    "the journal mode stays {mode}: write-ahead logging needs a local file system with shared memory"
                )));
            }
            Err(error) => error,
        };
        if !error.is_transient() || Instant::now() > deadline {
            return Err(error);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_without_milliseconds_is_refused() {
        for old in ["3.41.2", "3.9.0", "2.8.17", "", "strange"] {
            let error = check_version(old).expect_err(old);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("3.42 or newer"), "{error}");
        }
        for new in ["3.42.0", "3.50.4", "4.0.0"] {
            check_version(new).expect(new);
        }
    }
}
