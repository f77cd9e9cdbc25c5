//! `PostgreSQL` behind `PgBouncer`, which gives each transaction another server connection.

mod support;

use std::{collections::HashSet, process::ExitCode, sync::Arc, time::Duration};

use futures_util::StreamExt;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_core::{
    DeleteOutcome, ErrorKind, Event, Expected, Owner, OwnerChange, RenameOutcome, SessionId, SessionStore,
    Ttl, When, Write, WriteItem,
};
use session_servers::{
    Engine, LaunchError, Once, Program,
    postgres::{PgBouncer, PgBouncerServer, Postgres, PostgresServer},
    required,
};
use session_sql::PostgresStore;
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgPoolOptions};
use tokio::{task::JoinSet, time::timeout};

const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum number of server connections of a pooler.
const SIZE: usize = 3;

struct Poolers {
    server: PostgresServer,
    /// With the default settings.
    strict: PgBouncerServer,
    /// Accepts start-up settings that it does not know.
    lenient: PgBouncerServer,
    /// Gives a client the same connection until it disconnects.
    by_session: PgBouncerServer,
}

impl Poolers {
    async fn start() -> Result<Self, LaunchError> {
        let server = Postgres::new().args(["-c", "fsync=off"]).start().await?;
        let size = format!("default_pool_size = {SIZE}");
        let pooler = || PgBouncer::before(server.addr()).settings([&*size, "server_round_robin = 1"]);
        let strict = pooler().start().await?;
        let ignored = "ignore_startup_parameters = extra_float_digits, options";
        let lenient = pooler().settings([ignored]).start().await?;
        let by_session = PgBouncer::before(server.addr()).settings(["pool_mode = session"]).start().await?;
        Ok(Self { server, strict, lenient, by_session })
    }
}

fn short() -> Ttl {
    Ttl::new(Duration::from_millis(1)).expect("short")
}

fn write(data: &str) -> Write {
    Write::new(data.to_owned(), Ttl::new(Duration::from_hours(1)).expect("an hour"))
}

/// Runs every operation of a store, from many tasks at once.
async fn works(store: &Arc<dyn SessionStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..24 {
        let store = store.clone();
        tasks.spawn(async move {
            let owner = Owner::new(format!("owner {number}")).expect("an owner");
            let (key, new) = (SessionId::generate().key(), SessionId::generate().key());
            let first = write("first").owner(OwnerChange::Set(owner.clone()));
            assert!(store.write(&key, first.clone(), When::Absent).await.expect("it answers").is_written());
            let second = write("second");
            let when = When::Version(first.version);
            assert!(store.write(&key, second.clone(), when).await.expect("it answers").is_written());
            assert!(!store.write(&key, write("third"), when).await.expect("it answers").is_written());
            assert!(store.touch(&key, second.ttl).await.expect("it answers"));
            assert_eq!(store.read(&key).await.expect("it answers").expect("it lives").data, "second");
            // An expired session under the new key does not block a rename.
            let gone = Write::new("gone", short());
            assert!(store.write(&new, gone, When::Any).await.expect("it answers").is_written());
            while store.read(&new).await.expect("it answers").is_some() {}
            let renamed = store.rename(&key, &new, write("fourth"), second.version).await;
            assert!(matches!(renamed, Ok(RenameOutcome::Renamed)), "{renamed:?}");
            let owners = store.owners().expect("it has");
            assert_eq!(owners.list(&owner).await.expect("it answers"), [new]);
            assert_eq!(owners.count(&owner).await.expect("it answers"), 1);
            assert_eq!(owners.delete_all(&owner, None).await.expect("it answers"), [new]);
            let items: Vec<WriteItem> = (0..20)
                .map(|_| WriteItem {
                    key: SessionId::generate().key(),
                    write: write("many"),
                    when: When::Absent,
                })
                .collect();
            for outcome in store.write_many(&items).await {
                assert!(outcome.expect("it answers").is_written());
            }
            let deleted = store.delete(&items[0].key, Expected::Version(items[0].write.version)).await;
            assert_eq!(deleted.expect("it answers"), DeleteOutcome::Deleted);
            assert!(store.read(&items[0].key).await.expect("it answers").is_none());
            let maintenance = store.maintenance().expect("it has");
            assert!(maintenance.count().await.expect("it answers") > 0);
            assert!(!maintenance.page(None, 10).await.expect("it answers").records.is_empty());
            maintenance.purge_expired(100).await.expect("it answers");
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
}

/// Whatever the store did, other clients of the pooler get the server's connections unchanged.
async fn left_as_they_were(pooler: &PgBouncerServer) {
    let options: sqlx::postgres::PgConnectOptions = pooler.url().parse().expect("a URL");
    let options = options.extra_float_digits(None);
    let (mut pids, mut clients) = (HashSet::new(), Vec::new());
    // Each client holds one of the server's connections, so that all of them are seen.
    for _ in 0..SIZE {
        let mut client = PgConnection::connect_with(&options).await.expect("connected");
        sqlx::raw_sql("BEGIN").execute(&mut client).await.expect("begun");
        let row = sqlx::raw_sql(
            "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements),
                (SELECT coalesce(string_agg(name, ', '), 'none') FROM pg_settings WHERE source = 'session'
                    AND name NOT IN ('DateStyle', 'TimeZone', 'client_encoding', 'application_name', 'standard_conforming_strings')),
                (SELECT count(*) FROM pg_listening_channels())",
        );
        let row = row.fetch_one(&mut client).await.expect("a row");
        pids.insert(row.get::<i32, _>(0));
        assert_eq!(row.get::<i64, _>(1), 0, "prepared statements stay");
        assert_eq!(row.get::<String, _>(2), "none", "settings stay");
        assert_eq!(row.get::<i64, _>(3), 0, "the server goes on to notify");
        clients.push(client);
    }
    assert_eq!(pids.len(), SIZE, "not all of the server's connections were seen");
}

fn named(url: &str, table: &str) -> String {
    format!("{url}?table={table}&purge_interval_ms=50")
}

async fn opened(url: &str) -> Arc<dyn SessionStore> {
    Arc::new(PostgresStore::connect(url).await.expect("it opens"))
}

async fn everything_works_and_nothing_stays(poolers: Arc<Poolers>) {
    for (pooler, table) in [(&poolers.strict, "strict"), (&poolers.lenient, "lenient")] {
        let store = opened(&named(&pooler.url(), table)).await;
        works(&store).await;
        left_as_they_were(pooler).await;
        store.close().await.expect("it closes");
    }
}

async fn a_pool_of_the_application_works(poolers: Arc<Poolers>) {
    let as_it_is = PgPool::connect(&poolers.lenient.url()).await.expect("it connects");
    let url = format!("{}?statement-cache-capacity=0", poolers.lenient.url());
    let told = PgPool::connect(&url).await.expect("it connects");
    for (pool, table) in [(as_it_is, "pool"), (told, "told")] {
        let store = PostgresStore::builder().table(table).from_pool(pool).await.expect("it opens");
        works(&(Arc::new(store) as Arc<dyn SessionStore>)).await;
        left_as_they_were(&poolers.lenient).await;
    }
}

/// The option that users of a pooler set is understood, with a pooler and without.
async fn no_statements_are_kept_when_told(poolers: Arc<Poolers>) {
    for (url, table) in [(poolers.strict.url(), "strict_told"), (poolers.server.url(), "direct_told")] {
        let store = opened(&format!("{}&statement-cache-capacity=0", named(&url, table))).await;
        works(&store).await;
    }
}

async fn a_refused_setting_is_named(poolers: Arc<Poolers>) {
    let pool = PgPoolOptions::new().connect_lazy(&poolers.strict.url()).expect("a URL");
    let error = PostgresStore::from_pool(pool).await.expect_err("the driver asks for what it refuses");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().contains("ignore_startup_parameters = extra_float_digits"), "{error}");
    let nowhere = poolers.strict.url().replace("/postgres", "/nowhere");
    let error = PostgresStore::connect(&nowhere).await.expect_err("there is no such database");
    assert!(matches!(error.kind(), ErrorKind::Config | ErrorKind::Unavailable { .. }), "{error}");
}

/// Without notifications, neither a listener nor a cache takes itself for subscribed.
async fn a_watch_that_hears_nothing_is_refused(poolers: Arc<Poolers>) {
    for (pooler, table) in [(&poolers.strict, "deaf"), (&poolers.lenient, "deaf_too")] {
        let store = opened(&format!("{}&deadline_ms=1500", named(&pooler.url(), table))).await;
        // The pooler picks server connections by chance, so this is tried several times.
        for _ in 0..20 {
            let watch = store.watch().expect("it has");
            let error = watch.subscribe().await.map(drop).expect_err("it hears nothing");
            assert_eq!(error.kind(), ErrorKind::Config, "{error}");
            assert!(error.to_string().contains("pooler"), "{error}");
        }
        // Reads and writes still work.
        works(&store).await;
        left_as_they_were(pooler).await;
        #[cfg(feature = "cache")]
        {
            use session_sql::{CacheExt, CacheSettings};
            let cached = store.cached(CacheSettings::default()).expect("it can be");
            assert!(
                timeout(Duration::from_secs(2), cached.wait_until_ready()).await.is_err(),
                "it hears nothing"
            );
            assert!(!cached.stats().is_ready);
        }
        left_as_they_were(pooler).await;
    }
}

async fn a_pooler_in_session_mode_lets_us_listen(poolers: Arc<Poolers>) {
    let store = opened(&named(&poolers.by_session.url(), "by_session")).await;
    let mut events = store.watch().expect("it has").subscribe().await.expect("it listens");
    let (key, write) = (SessionId::generate().key(), write("x"));
    let version = write.version;
    assert!(store.write(&key, write, When::Absent).await.expect("it answers").is_written());
    let heard = timeout(PATIENCE, events.next()).await.expect("it is told").expect("it goes on");
    assert_eq!(heard, Event::Changed { key, version: Some(version) });
    works(&store).await;
}

fn main() -> ExitCode {
    let runtime: &'static _ = Box::leak(Box::new(support::runtime()));
    let poolers: &'static Once<Poolers> = Box::leak(Box::new(Once::new(runtime, Poolers::start())));
    macro_rules! trials {
        ($($case:ident),* $(,)?) => {
            vec![$(trial(stringify!($case), poolers, |poolers| Box::pin($case(poolers)))),*]
        };
    }
    let trials = trials![
        a_pool_of_the_application_works,
        a_pooler_in_session_mode_lets_us_listen,
        a_refused_setting_is_named,
        a_watch_that_hears_nothing_is_refused,
        everything_works_and_nothing_stays,
        no_statements_are_kept_when_told,
    ];
    let mut arguments = Arguments::from_args();
    // The tests look at the same server connections.
    arguments.test_threads = Some(1);
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    poolers.end();
    code
}

/// A test on the poolers, which all tests share.
type Case = fn(Arc<Poolers>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn trial(name: &'static str, poolers: &'static Once<Poolers>, case: Case) -> Trial {
    let missing = |word: &str, program: Program| program.find().err().filter(|_| !required(word));
    let pooler = PgBouncer::before(([127, 0, 0, 1], 0).into()).program();
    let missing = missing("postgres", Postgres::new().program()).or(missing("pgbouncer", pooler));
    let missing = missing.map(|error| error.to_string());
    Trial::ignorable_test(name, move || {
        if let Some(reason) = missing {
            return Ok(Completion::ignored_with(reason));
        }
        let poolers = poolers.get()?;
        let played = support::runtime().block_on(async { tokio::spawn(case(poolers)).await });
        played.map(|()| Completion::Completed).map_err(Failed::from)
    })
}
