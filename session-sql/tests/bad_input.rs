//! Unusable input is refused with a clear error, and nothing is changed.

use std::{
    fs,
    io::{Seek, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

use session_core::{Error, ErrorKind, SessionId, SessionKey, SessionStore, Ttl, When, Write, WriteItem};
use session_sql::SqliteStore;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

fn write(len: usize) -> Write {
    // The bytes do not repeat, so that nothing can be compressed away.
    let data: Vec<u8> = (0..len).map(|at| u8::try_from(at * 31 % 251).expect("below 251")).collect();
    Write::new(data, Ttl::new(Duration::from_hours(1)).expect("a ttl"))
}

async fn refused(url: &str) -> Error {
    SqliteStore::connect(url).await.expect_err(url)
}

async fn refused_file(path: &Path) -> Error {
    refused(&format!("sqlite:{}", path.display())).await
}

async fn run(path: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect(sql);
    connection.close().await.expect("closed");
}

#[tokio::test]
async fn a_url_that_is_not_understood_is_refused_and_says_what_is_accepted() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let file = file.display();
    for (url, said) in [
        ("app.db".to_owned(), "sqlite:app.db"),
        ("postgres://app:secret@db/app".to_owned(), "\"postgres\" is not known here; `sqlite:` is"),
        ("sqlite:".to_owned(), "names no file"),
        ("sqlite://?mode=rw".to_owned(), "names no file"),
        (
            format!("sqlite:{file}?tabel=x"),
            "tabel of the URL is not known; these are: mode, table, synchronous",
        ),
        (format!("sqlite:{file}?mode=ro"), "one of rwc, rw, memory"),
        (format!("sqlite:{file}?synchronous=secret"), "one of normal, full, off"),
        (format!("sqlite:{file}?readers=secret"), "readers of the URL takes a whole number"),
        (format!("sqlite:{file}?deadline_ms=0"), "at least 1"),
        (format!("sqlite:{file}?batching=secret"), "on or off"),
        (format!("sqlite:{file}?table=My%20secret"), "must be a small letter"),
        (format!("sqlite:{file}?key=secret"), "key of the URL is not known"),
        ("sqlite://u:secret@db/app.db".to_owned(), "no directory"),
        (format!("sqlite:{file}%zzsecret"), "two hexadecimal digits"),
        (format!("sqlite:{file}%ff"), "not UTF-8"),
        ("sqlite:file:secret.db".to_owned(), "plain path"),
    ] {
        let error = refused(&url).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(said), "{url}: {error}");
        assert!(
            !error.to_string().contains("secret") && !format!("{error:?}").contains("secret"),
            "{error:?}"
        );
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a listing").count(), 0, "nothing was created");
}

#[tokio::test]
async fn options_of_a_url_are_obeyed() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a b?.db");
    let url = |options: &str| format!("sqlite://{}/a%20b%3F.db?{options}", directory.path().display());
    assert!(refused(&url("mode=rw")).await.to_string().contains("cannot be opened"));
    assert!(!file.exists(), "it was not to be created");
    let options = "table=web&synchronous=full&readers=2&deadline_ms=1000&max_data_len=10&purge_interval_ms=50&batching=off";
    let store = SqliteStore::connect(&url(options)).await.expect("a good URL");
    assert!(file.exists());
    assert_eq!(store.max_data_len(), 10);
    store.close().await.expect("closed");
    run(&file, "SELECT k FROM web").await;
    SqliteStore::connect(&url("mode=rw&table=web")).await.expect("it is there now");
}

#[tokio::test]
async fn what_is_not_a_database_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = refused_file(directory.path()).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("is a directory"), "{error}");

    let error = refused_file(&directory.path().join("missing/app.db")).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("there is no directory"), "{error}");

    let text = directory.path().join("notes.txt");
    let notes = "These are notes, and not a database. ".repeat(300);
    fs::write(&text, &notes).expect("a file");
    let error = refused_file(&text).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("not an SQLite database"), "{error}");
    assert_eq!(fs::read_to_string(&text).expect("the file"), notes, "it is untouched");
    let files = fs::read_dir(directory.path()).expect("a listing").count();
    assert_eq!(files, 1, "nothing else was left behind");
}

#[tokio::test]
async fn a_table_of_somebody_else_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    run(
        &file,
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, data TEXT); INSERT INTO sessions VALUES ('a', 'b')",
    )
    .await;
    let before = fs::read(&file).expect("the file");
    let error = refused_file(&file).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("has a table sessions that is not ours"), "{error}");
    assert_eq!(fs::read(&file).expect("the file"), before, "it is untouched");
    let beside = format!("sqlite:{}?table=web_sessions", file.display());
    SqliteStore::connect(&beside).await.expect("another table");
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let url = format!("sqlite:{}", file.display());
    let store = SqliteStore::connect(&url).await.expect("a store");
    store.close().await.expect("closed");
    run(&file, "UPDATE session_store_schema SET version = 99").await;
    let before = fs::read(&file).expect("the file");
    let error = refused_file(&file).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("version 99, made by a newer release; this one knows version 1"),
        "{error}"
    );
    assert_eq!(fs::read(&file).expect("the file"), before, "it is untouched");
}

#[tokio::test]
async fn two_tables_of_a_file_are_kept_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let open = async |table: &str| SqliteStore::builder().table(table).open(&file).await.expect("a store");
    let (web, api) = (open("web").await, open("api").await);
    let key = SessionId::generate().key();
    assert!(web.write(&key, write(10), When::Absent).await.expect("a write").is_written());
    assert_eq!(api.read(&key).await.expect("a read"), None);
    assert!(api.write(&key, write(20), When::Absent).await.expect("a write").is_written());
    assert_eq!(web.read(&key).await.expect("a read").expect("it is live").data.len(), 10);
}

#[tokio::test]
async fn a_damaged_page_is_an_error_for_what_is_on_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("app.db");
    let store = SqliteStore::builder().batching(None).open(&file).await.expect("a store");
    let keys: Vec<SessionKey> = (0..200).map(|_| SessionId::generate().key()).collect();
    for key in &keys {
        assert!(store.write(key, write(3_000), When::Absent).await.expect("a write").is_written());
    }
    store.close().await.expect("closed");
    // Finds the pages that hold one session each: a session of 3,000 bytes has a page for itself.
    let options = SqliteConnectOptions::new().filename(&file);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("a connection");
    let pages: Vec<i64> = sqlx::query_scalar(
        "SELECT pageno FROM dbstat WHERE name = 'sessions' AND pagetype = 'leaf' AND ncell = 1 ORDER BY pageno",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the pages");
    connection.close().await.expect("closed");
    assert!(pages.len() > 100, "{} pages with one session each", pages.len());
    let mut bytes = fs::OpenOptions::new().write(true).open(&file).expect("the file");
    let damaged = &pages[50..55];
    for page in damaged {
        let page = u64::try_from(*page).expect("a number of a page");
        bytes.seek(SeekFrom::Start((page - 1) * 4_096)).expect("in the file");
        bytes.write_all(&[0xA5; 4_096]).expect("damaged");
    }
    drop(bytes);
    let before = fs::read(&file).expect("the file");
    let store = SqliteStore::builder().open(&file).await.expect("the rest is whole");
    let (mut lost, mut good) = (Vec::new(), Vec::new());
    for (key, found) in keys.iter().zip(store.read_many(&keys).await) {
        match found {
            Ok(Some(record)) => {
                assert_eq!(record.data, write(3_000).data);
                good.push(*key);
            }
            Ok(None) => panic!("a damaged page was taken for an empty session"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(error.to_string().contains("the database file is damaged"), "{error}");
                lost.push(*key);
            }
        }
    }
    assert_eq!((lost.len(), good.len()), (damaged.len(), keys.len() - damaged.len()));
    for key in &lost {
        assert_eq!(store.read(key).await.expect_err("alone, too").kind(), ErrorKind::Corrupt);
    }
    // In one batch, items on a damaged page are refused, and all others are written.
    let item = |key: &SessionKey| WriteItem { key: *key, write: write(10), when: When::Any };
    let items: Vec<WriteItem> = lost.iter().chain(&good[..20]).map(item).collect();
    let outcomes = store.write_many(&items).await;
    for outcome in &outcomes[..lost.len()] {
        let error = outcome.as_ref().expect_err("not over a damaged page");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    for outcome in &outcomes[lost.len()..] {
        assert!(outcome.as_ref().expect("a write").is_written());
    }
    store.close().await.expect("closed");
    let after = fs::read(&file).expect("the file");
    for page in damaged {
        let at = (usize::try_from(*page).expect("a number of a page") - 1) * 4_096;
        assert_eq!(after[at..at + 4_096], before[at..at + 4_096], "what is left of it is left alone");
    }
}
