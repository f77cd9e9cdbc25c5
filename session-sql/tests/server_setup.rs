//! How stores on servers are set up: schemas, rights, pools, time zones, bad input.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_core::{
    DeleteOutcome, ErrorKind, Expected, RenameOutcome, SessionId, SessionStore, Ttl, When, Write, WriteItem,
    WriteOutcome,
};
use session_sql::{MySqlStore, PostgresStore};
use sqlx::{
    Executor,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    postgres::PgPoolOptions,
};
use support::lab::{Kind, Lab, hour, on_both, refusal, serves, write};
use tokio::{task::JoinSet, time::Instant};

async fn forty_stores_start_at_once(kind: Kind) {
    let lab = Arc::new(Lab::start(kind, &[]).await);
    let mut starting = JoinSet::new();
    for _ in 0..40 {
        let lab = lab.clone();
        starting.spawn(async move {
            let store = lab.open("connections=1").await;
            serves(&*store).await;
            store.close().await.expect("it closes");
        });
    }
    starting.join_all().await;
    assert_eq!(lab.number("SELECT COUNT(*) FROM session_store_schema").await, 1);
    assert_eq!(lab.number("SELECT COUNT(*) FROM sessions").await, 40);
}

async fn names_can_be_chosen(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    lab.run("CREATE SCHEMA web").await;
    // Names that are SQL keywords are accepted.
    for options in ["table=select", "schema=web&table=select", "schema=web&table=order"] {
        let store = lab.open(options).await;
        serves(&*store).await;
        let count = store.maintenance().expect("it has").count().await.expect("it answers");
        assert_eq!(count, 1, "{options}: a table is a namespace");
    }
}

async fn a_strange_schema_is_refused(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    lab.run("CREATE TABLE mine (a INT)").await;
    let error = refusal(&lab, &format!("{}?table=mine", lab.url)).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("not ours"), "{error}");

    drop(lab.open("").await);
    lab.run("UPDATE session_store_schema SET version = 7 WHERE name = 'sessions'").await;
    let error = refusal(&lab, &lab.url).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 7"), "{error}");

    lab.run("UPDATE session_store_schema SET version = 1 WHERE name = 'sessions'").await;
    lab.run("DROP TABLE sessions").await;
    let error = refusal(&lab, &lab.url).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("missing"), "{error}");
}

async fn a_table_dropped_under_a_store_is_named(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let store = lab.open("").await;
    serves(&*store).await;
    lab.run("DROP TABLE sessions").await;
    let error = store.read(&SessionId::generate().key()).await.expect_err("there is no table");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

/// The printed migrations, run by a user with the right to do so, are all that a user without that
/// right needs.
async fn a_user_without_rights_is_told(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let (script, user, grant) = match kind {
        Kind::Postgres => (
            PostgresStore::builder().migrations(),
            "CREATE USER app; REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, session_store_schema TO app",
        ),
        Kind::MariaDb => (
            MySqlStore::builder().migrations(),
            "CREATE USER app; GRANT SELECT ON sessions.* TO app",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON sessions.* TO app",
        ),
    };
    let url = lab.url.replacen("postgres@", "app@", 1).replacen("root@", "app@", 1);
    lab.run(user).await;
    let error = refusal(&lab, &url).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("right"), "{error}");

    let error = refusal(&lab, &format!("{url}?migrate=off")).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("migrations()"), "{error}");

    lab.run(&script.expect("a script")).await;
    let error = refusal(&lab, &format!("{url}?migrate=off")).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");

    lab.run(grant).await;
    serves(&*lab.try_open(&format!("{url}?migrate=off")).await.expect("it opens")).await;
}

async fn bad_urls_say_what_is_wrong_and_no_password(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    for (options, said) in [
        ("tabel=SECRET", "tabel of the URL is not known; these are: table, schema, connections"),
        ("table=Big", "small letter"),
        ("table=session_store_schema", "reserved"),
        ("schema=a%22b", "small letter"),
        ("connections=SECRET", "connections of the URL takes a whole number"),
        ("connections=0", "at least 1"),
        ("deadline_ms=0", "at least 1"),
        ("purge_interval_ms=SECRET", "0 or off"),
        ("batching=SECRET", "on or off"),
        ("migrate=SECRET", "on or off"),
        ("table=SECRET", "small letter"),
        ("tls=SECRET", "verify-full"),
        ("tls=disable&tls_roots=/SECRET", "tls=verify-full"),
        ("table=%zzSECRET", "hexadecimal"),
    ] {
        let error = refusal(&lab, &format!("{}?{options}", lab.url)).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{options}");
        assert!(error.to_string().contains(said), "{options}: {error}");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
    let scheme = lab.url.split_once(':').expect("a scheme").0;
    let urls = [
        "u:p?hunter2@h/app",
        "u:p#hunter2@h/app",
        "u:p/hunter2@h/app",
        "u:hunter2@[::1/db",
        "u:hunter2%zz@h/app",
        "u:p@a,b/hunter2",
        "u:pw@h:hunter2/app",
    ];
    let urls = urls.map(|rest| format!("{scheme}://{rest}"));
    let strange = ["", "nonsense", "redis://:hunter2@host", "hunter2@host"].map(str::to_owned);
    for url in urls.iter().chain(&strange) {
        let error = refusal(&lab, url).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let nobody = lab.url.rsplit_once('/').expect("a path").0.to_owned() + "/nowhere";
    let error = refusal(&lab, &nobody).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("no such database"), "{error}");
}

async fn a_full_pool_is_unavailable(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let store: Arc<dyn SessionStore>;
    let patience = Duration::from_millis(200);
    let error = match kind {
        Kind::Postgres => {
            let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(patience);
            let pool = pool.connect(&lab.url).await.expect("it connects");
            store = Arc::new(PostgresStore::from_pool(pool.clone()).await.expect("it opens"));
            serves(&*store).await;
            let _taken = pool.acquire().await.expect("a connection");
            store.read(&SessionId::generate().key()).await
        }
        Kind::MariaDb => {
            let pool = MySqlPoolOptions::new().max_connections(1).acquire_timeout(patience);
            let pool = pool.connect(&lab.url).await.expect("it connects");
            store = Arc::new(MySqlStore::from_pool(pool.clone()).await.expect("it opens"));
            serves(&*store).await;
            let _taken = pool.acquire().await.expect("a connection");
            store.read(&SessionId::generate().key()).await
        }
    };
    let error = error.expect_err("the pool is empty");
    assert_eq!(error.kind(), ErrorKind::Unavailable { may_have_applied: false });
    assert!(error.to_string().contains("pool"), "{error}");
    serves(&*store).await;
}

/// Server, session and client are in different time zones, some with clock changes. A TTL still has
/// its exact length.
async fn time_zones_change_nothing(kind: Kind) {
    let zone = match kind {
        Kind::Postgres => &["-c", "timezone=America/New_York"][..],
        Kind::MariaDb => &["--default-time-zone=-05:00"][..],
    };
    let lab = Lab::start(kind, zone).await;
    // The TTLs span the clock changes of a year, and one that is near wherever the test runs.
    let ttls = [1_u64, 30 * 86_400, 90 * 86_400, 180 * 86_400, 365 * 86_400, 36_500 * 86_400];
    let mut stores: Vec<Arc<dyn SessionStore>> = vec![lab.open("").await];
    match kind {
        Kind::Postgres => {
            let pool = PgPoolOptions::new().after_connect(|connection, _| {
                Box::pin(
                    async move { connection.execute("SET TimeZone = 'Australia/Lord_Howe'").await.map(drop) },
                )
            });
            let pool = pool.connect(&lab.url).await.expect("it connects");
            stores.push(Arc::new(PostgresStore::from_pool(pool).await.expect("it opens")));
        }
        Kind::MariaDb => {
            // A pool in another zone would end sessions at the wrong moment, and is refused.
            let options: MySqlConnectOptions = lab.url.parse().expect("a URL");
            let pool =
                MySqlPoolOptions::new().connect_with(options.timezone(None)).await.expect("it connects");
            let error = MySqlStore::from_pool(pool).await.expect_err("the zone is another one");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("time zone"), "{error}");
            let pool = MySqlPoolOptions::new().connect(&lab.url).await.expect("it connects");
            stores.push(Arc::new(MySqlStore::from_pool(pool).await.expect("it opens")));
        }
    }
    for writer in &stores {
        for seconds in ttls {
            let (key, ttl) = (SessionId::generate().key(), Duration::from_secs(seconds));
            let begun = Instant::now();
            let write = Write::new("x", Ttl::new(ttl).expect("a ttl"));
            assert!(writer.write(&key, write, When::Absent).await.expect("it answers").is_written());
            for reader in &stores {
                let Some(record) = reader.read(&key).await.expect("it answers") else {
                    assert!(begun.elapsed() >= ttl, "a session of {ttl:?} is gone");
                    continue;
                };
                let left = record.expires_in;
                assert!(
                    left <= ttl && left + begun.elapsed() + Duration::from_millis(1) >= ttl,
                    "{left:?} of {ttl:?}"
                );
            }
        }
    }
}

async fn isolation_of_a_pool_is_checked(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let error = match kind {
        Kind::Postgres => {
            let pool = PgPoolOptions::new().after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("SET default_transaction_isolation = 'serializable'").await.map(drop)
                })
            });
            PostgresStore::from_pool(pool.connect(&lab.url).await.expect("it connects")).await.map(drop)
        }
        Kind::MariaDb => {
            let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE").await.map(drop)
                })
            });
            MySqlStore::from_pool(pool.connect(&lab.url).await.expect("it connects")).await.map(drop)
        }
    };
    let error = error.expect_err("it must not open");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().to_lowercase().contains("serializable"), "{error}");
}

/// A store on a server with small packets is refused at once, and batches fit into the packets.
async fn small_packets(kind: Kind) {
    if kind == Kind::Postgres {
        // PostgreSQL has no such limit, so the store's own limit is the only one.
        let lab = Lab::start(kind, &[]).await;
        let store = lab.open("max_data_len=1000").await;
        let large = Write::new(vec![7; 1_001], hour());
        let error =
            store.write(&SessionId::generate().key(), large, When::Absent).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 1_001, max: 1_000 });
        return;
    }
    let lab = Lab::start(kind, &["--max-allowed-packet=1M"]).await;
    let error = refusal(&lab, &lab.url).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("max_allowed_packet"), "{error}");
    let store = lab.open("max_data_len=400000").await;
    let items: Vec<_> = (0..12)
        .map(|number| WriteItem {
            key: SessionId::generate().key(),
            write: Write::new(vec![number; 400_000], hour()),
            when: When::Absent,
        })
        .collect();
    for outcome in store.write_many(&items).await {
        assert!(outcome.expect("it answers").is_written());
    }
    let keys: Vec<_> = items.iter().map(|item| item.key).collect();
    for (item, found) in items.iter().zip(store.read_many(&keys).await) {
        assert_eq!(found.expect("it answers").expect("it lives").data, item.write.data);
    }
}

/// A session that expires while its row is locked by another transaction stays expired, although it
/// was live when the call began.
async fn no_lock_wait_revives_what_expired(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let store = lab.open("purge_interval_ms=3600000").await;
    let short = Ttl::new(Duration::from_secs(1)).expect("a second");
    let items: Vec<WriteItem> = (0..6)
        .map(|_| WriteItem {
            key: SessionId::generate().key(),
            write: Write::new("first", short),
            when: When::Absent,
        })
        .collect();
    for outcome in store.write_many(&items).await {
        assert!(outcome.expect("it answers").is_written());
    }
    let sleep = if kind == Kind::Postgres { "SELECT pg_sleep(1.6)" } else { "DO SLEEP(1.6)" };
    let locking = format!("BEGIN; SELECT k FROM sessions FOR UPDATE; {sleep}; COMMIT");
    let free = "SELECT COUNT(*) FROM (SELECT k FROM sessions FOR UPDATE SKIP LOCKED) AS free";
    let acting = async {
        while lab.number(free).await > 0 {}
        let again = |item: &WriteItem| WriteItem {
            key: item.key,
            write: write("second"),
            when: When::Version(item.write.version),
        };
        let (one, many) = (again(&items[0]), [again(&items[1]), again(&items[2])]);
        let (new, version) = (SessionId::generate().key(), items[4].write.version);
        let (written, batch, touched, renamed, deleted) = tokio::join!(
            store.write(&one.key, one.write.clone(), one.when),
            store.write_many(&many),
            store.touch(&items[3].key, hour()),
            store.rename(&items[4].key, &new, write("second"), version),
            store.delete(&items[5].key, Expected::Version(items[5].write.version)),
        );
        for outcome in batch.into_iter().chain([written]) {
            assert!(matches!(outcome, Ok(WriteOutcome::Conflict(None))), "{outcome:?}");
        }
        assert!(!touched.expect("it answers"));
        assert!(matches!(renamed, Ok(RenameOutcome::Conflict(None))), "{renamed:?}");
        assert!(matches!(deleted, Ok(DeleteOutcome::Absent)), "{deleted:?}");
        let live = store.maintenance().expect("it has some").count().await.expect("it answers");
        assert_eq!(live, 0, "something was revived");
    };
    tokio::join!(lab.run(&locking), acting);
}

async fn a_server_that_only_reads_is_named(kind: Kind) {
    let args = match kind {
        Kind::Postgres => &["-c", "default_transaction_read_only=on"][..],
        Kind::MariaDb => &["--read-only=1"][..],
    };
    let lab = Lab::start(kind, args).await;
    let error = refusal(&lab, &lab.url).await;
    assert!(error.is_transient() && error.to_string().contains("only reads"), "{error}");
}

fn main() -> ExitCode {
    support::lab::main(on_both![
        a_full_pool_is_unavailable,
        a_server_that_only_reads_is_named,
        a_strange_schema_is_refused,
        a_table_dropped_under_a_store_is_named,
        a_user_without_rights_is_told,
        bad_urls_say_what_is_wrong_and_no_password,
        forty_stores_start_at_once,
        isolation_of_a_pool_is_checked,
        names_can_be_chosen,
        no_lock_wait_revives_what_expired,
        small_packets,
        time_zones_change_nothing,
    ])
}
