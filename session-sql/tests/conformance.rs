//! The suite on files and in memory, bare and batched, on a pool of the application, and behind
//! `Arc<dyn SessionStore>`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use session_conformance::{Foreign, Namespace, Suite, Target, Unavailable};
use session_core::{SessionKey, SessionStore};
#[cfg(feature = "cache")]
use session_sql::{CacheExt, CacheSettings};
use session_sql::{SqliteStore, SqliteStoreBuilder};
use sqlx::{
    AssertSqlSafe, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

/// The purge interval, where a test waits for the purge.
const OFTEN: Duration = Duration::from_millis(100);

type Opened = Result<Arc<dyn SessionStore>, Unavailable>;

/// One file for each namespace, which is also the name of the table.
fn file(directory: &Path, namespace: &Namespace) -> PathBuf {
    directory.join(format!("{namespace}.db"))
}

fn as_dyn(opened: session_core::Result<SqliteStore>) -> Opened {
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(Unavailable::because)
}

fn on_file(
    name: &str,
    directory: &Path,
    settings: impl Fn() -> SqliteStoreBuilder + Send + Sync + 'static,
) -> Target {
    let settings = Arc::new(settings);
    let open = {
        let directory = directory.to_owned();
        move |namespace: Namespace, purges_often: bool| {
            let (settings, path) = (settings().table(namespace.as_str()), file(&directory, &namespace));
            let settings = if purges_often { settings.purge_interval(Some(OFTEN)) } else { settings };
            async move { as_dyn(settings.open(path).await) }
        }
    };
    let (first, second) = (open.clone(), open.clone());
    let directory = directory.to_owned();
    let target = Target::new(name, move |namespace| first(namespace, false))
        .second_handle(move |namespace, _first| second(namespace, false))
        .self_purging(move |namespace| open(namespace, true))
        .hears_one_process();
    target.foreign_bytes(
        &[Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat],
        move |namespace, key, foreign| {
            let path = file(&directory, &namespace);
            async move { plant(&path, namespace.as_str(), key, foreign).await.expect("planted") }
        },
    )
}

async fn run(connection: &mut SqliteConnection, sql: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn plant(path: &Path, table: &str, key: SessionKey, foreign: Foreign) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let (set, strict) = match foreign {
        // A strict table refuses other types, so it must not be strict for a moment.
        Foreign::WrongType => ("v = 7, e = 'soon', n = 4, d = 'text'", false),
        Foreign::Truncated => ("d = substr(d, 1, 5)", true),
        // What another release calls the expiry may look like one that has passed.
        _ if key.as_bytes()[1].is_multiple_of(2) => ("f = 2, e = 1", true),
        _ => ("f = 2", true),
    };
    let strictness = async |strict: bool, connection: &mut SqliteConnection| {
        let changed =
            if strict { "sql || ' STRICT'" } else { "substr(sql, 1, length(sql) - length(' STRICT'))" };
        let version: i64 = sqlx::query_scalar("PRAGMA schema_version").fetch_one(&mut *connection).await?;
        run(
            connection,
            format!(
                "PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET sql = {changed} WHERE name = '{table}';
                PRAGMA schema_version = {};
                PRAGMA writable_schema = RESET;",
                version + 1
            ),
        )
        .await
    };
    if !strict {
        strictness(false, &mut connection).await?;
    }
    let key = key.to_string();
    run(&mut connection, format!("UPDATE {table} SET {set} WHERE k = x'{key}'")).await?;
    if !strict {
        strictness(true, &mut connection).await?;
    }
    connection.close().await
}

fn in_memory(name: &str) -> Target {
    Target::new(name, |namespace| async move {
        as_dyn(SqliteStore::builder().table(namespace.as_str()).connect("sqlite::memory:").await)
    })
    .second_handle(|_, first| async move { Ok(first) })
    .hears_one_process()
}

fn on_a_pool(name: &str, directory: &Path, encoding: &'static str) -> Target {
    let directory = directory.to_owned();
    let open = move |namespace: Namespace| {
        let path = file(&directory, &namespace);
        async move {
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let options = options.pragma("encoding", encoding).journal_mode(SqliteJournalMode::Wal);
            let pool = SqlitePool::connect_with(options).await;
            let pool = pool.map_err(Unavailable::because)?;
            as_dyn(SqliteStore::builder().table(namespace.as_str()).from_pool(pool).await)
        }
    };
    let again = open.clone();
    Target::new(name, open).second_handle(move |namespace, _first| again(namespace)).hears_one_process()
}

/// The maximum staleness of reads through other nodes.
#[cfg(feature = "cache")]
const STALENESS: Duration = Duration::from_millis(500);

/// The same stores, each with a cache of its own. All of them are in this process, because their
/// watch hears no other process.
#[cfg(feature = "cache")]
fn cached(name: &str, target: Target) -> Target {
    let layer = |store: Arc<dyn SessionStore>| async move {
        let settings = CacheSettings::default().max_staleness(STALENESS).accept_staleness_without_watch();
        let cached = store.cached(settings).map_err(Unavailable::because)?;
        cached.wait_until_ready().await;
        Ok(Arc::new(cached) as Arc<dyn SessionStore>)
    };
    target.layered(name, layer).staleness(STALENESS)
}

fn main() -> ExitCode {
    let directory = tempfile::tempdir().expect("a directory");
    let suite = Suite::new()
        .target(on_file("sqlite-file", directory.path(), || SqliteStore::builder().batching(None)))
        .target(on_file("sqlite-file-batched", directory.path(), SqliteStore::builder))
        .target(in_memory("sqlite-memory-batched"))
        .target(on_a_pool("sqlite-pool", directory.path(), "'UTF-8'"))
        // In another text encoding, batches cannot be packed.
        .target(on_a_pool("sqlite-utf16", directory.path(), "'UTF-16'"));
    #[cfg(feature = "cache")]
    let suite =
        suite.target(cached("sqlite-cached", on_file("sqlite", directory.path(), SqliteStore::builder)));
    suite.main()
}
