//! A server of its own for one test, of either kind.

use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use session_conformance::{BreakableServer, FaultControl};
use session_core::{SessionId, SessionStore, Ttl, When, Write};
use session_servers::{Engine, LaunchError, mariadb::MariaDb, postgres::Postgres, required};
use session_sql::{MySqlStore, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row};

use super::runtime;

/// How long a server may take until a store can be opened.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
}

/// A server of its own behind a proxy.
pub(crate) struct Lab {
    pub(crate) kind: Kind,
    pub(crate) control: Arc<dyn FaultControl>,
    /// The URL without the proxy.
    pub(crate) direct: String,
    /// The URL through the proxy.
    pub(crate) url: String,
}

impl Lab {
    /// Starts a server with these arguments in addition to the usual ones.
    pub(crate) async fn start(kind: Kind, args: &[&str]) -> Self {
        match kind {
            Kind::Postgres => Self::of(kind, Postgres::new().args(args)).await,
            Kind::MariaDb => Self::of(kind, MariaDb::new().args(args)).await,
        }
    }

    /// Starts this server.
    pub(crate) async fn of<E: Engine>(kind: Kind, engine: E) -> Self {
        let server = BreakableServer::launch(engine).await.expect("it starts");
        let (direct, addr) = (server.server().url(), server.proxy().addr());
        let url = match kind {
            Kind::Postgres => format!("postgres://postgres@{addr}/postgres"),
            Kind::MariaDb => format!("mysql://root@{addr}/sessions"),
        };
        Self { kind, control: Arc::new(server), direct, url }
    }

    /// The URL for another user, by name and password.
    pub(crate) fn url_of(&self, login: &str) -> String {
        self.url.replacen("postgres@", &format!("{login}@"), 1).replacen("root@", &format!("{login}@"), 1)
    }

    /// Creates a user with all rights, which logs in by `proof`: `cert`, or else a password.
    pub(crate) async fn make_user(&self, name: &str, password: &str, proof: &str) {
        match self.kind {
            Kind::Postgres => {
                self.run(&format!("CREATE USER {name} SUPERUSER PASSWORD '{password}'")).await;
                let mut connection = PgConnection::connect(&self.direct).await.expect("connected");
                let file = sqlx::query_scalar("SELECT current_setting('hba_file')");
                let file: String = file.fetch_one(&mut connection).await.expect("a file");
                let way = if proof == "cert" { "hostssl" } else { "host" };
                let rules = format!(
                    "SELECT '{way} all {name} all {proof}' UNION ALL SELECT 'host all postgres all trust'"
                );
                self.run(&format!("COPY ({rules}) TO '{file}'; SELECT pg_reload_conf()")).await;
                // The server reads the file asynchronously.
                let wrong = self.direct.replacen("postgres@", &format!("{name}:wrong@"), 1);
                while PgConnection::connect(&wrong).await.is_ok() {}
            }
            Kind::MariaDb => {
                let proof = if proof == "cert" { "REQUIRE X509" } else { "" };
                let password = format!("IDENTIFIED BY '{password}'");
                self.run(&format!("CREATE USER {name} {password} {proof}; GRANT ALL ON *.* TO {name}")).await;
            }
        }
    }

    /// Opens a store with these URL options. Like an application that starts, it retries if the
    /// server is too slow for a short deadline.
    pub(crate) async fn open(&self, options: &str) -> Arc<dyn SessionStore> {
        let (url, begun) = (format!("{}?{options}", self.url), Instant::now());
        loop {
            match self.try_open(&url).await {
                Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {}
                answer => break answer.expect("it opens"),
            }
        }
    }

    pub(crate) async fn try_open(&self, url: &str) -> session_core::Result<Arc<dyn SessionStore>> {
        Ok(match self.kind {
            Kind::Postgres => Arc::new(PostgresStore::connect(url).await?),
            Kind::MariaDb => Arc::new(MySqlStore::connect(url).await?),
        })
    }

    /// Runs SQL without the store.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.direct).await.expect("connected");
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("executed");
            }
            Kind::MariaDb => {
                let mut connection = MySqlConnection::connect(&self.direct).await.expect("connected");
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("executed");
            }
        }
    }

    /// The whole number that a query returns.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Postgres => {
                let mut connection = PgConnection::connect(&self.direct).await.expect("connected");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("a row").get(0)
            }
            Kind::MariaDb => {
                let mut connection = MySqlConnection::connect(&self.direct).await.expect("connected");
                sqlx::query(sql).fetch_one(&mut connection).await.expect("a row").get(0)
            }
        }
    }

    /// Ends all connections except the one that runs this.
    pub(crate) async fn end_all_connections(&self) {
        match self.kind {
            Kind::Postgres => {
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
                self.run(others).await;
            }
            Kind::MariaDb => {
                let mut connection = MySqlConnection::connect(&self.direct).await.expect("connected");
                let others = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'";
                let others: Vec<i64> =
                    sqlx::query_scalar(others).fetch_all(&mut connection).await.expect("rows");
                for id in others {
                    // A connection that has just ended is no failure.
                    let _ = sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}"))).execute(&mut connection).await;
                }
            }
        }
    }
}

/// The error of an attempt to open a store.
pub(crate) async fn refusal(lab: &Lab, url: &str) -> session_core::Error {
    lab.try_open(url).await.map(drop).expect_err("it must not open")
}

/// Asserts that the store works.
pub(crate) async fn serves(store: &dyn SessionStore) {
    let key = SessionId::generate().key();
    assert!(store.write(&key, write("x"), When::Absent).await.expect("it answers").is_written());
    assert_eq!(store.read(&key).await.expect("it answers").expect("it lives").data, "x");
}

pub(crate) fn hour() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("an hour")
}

pub(crate) fn write(data: impl Into<String>) -> Write {
    Write::new(data.into(), hour())
}

type Playing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A case on one kind of server, in a runtime of its own. A panic fails it.
pub(crate) type Case = (&'static str, Kind, Box<dyn FnOnce() -> Playing + Send>);

pub(crate) fn case<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    kind: Kind,
    case: impl FnOnce(Kind) -> F + Send + 'static,
) -> Case {
    (name, kind, Box::new(move || Box::pin(case(kind))))
}

#[allow(unused_macros, reason = "some tests have one kind only")]
/// Names cases after their functions, each on both kinds of servers.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        vec![$(
            $crate::support::lab::case(stringify!($case), $crate::support::lab::Kind::Postgres, $case),
            $crate::support::lab::case(stringify!($case), $crate::support::lab::Kind::MariaDb, $case),
        )*]
    };
}
#[allow(unused_imports, reason = "some tests have one kind only")]
pub(crate) use on_both;

/// Runs the cases that the command line selects. A case without its server is ignored, with the
/// reason, unless `SESSION_REQUIRE` demands it.
pub(crate) fn main(cases: Vec<Case>) -> ExitCode {
    main_with("", None, cases)
}

/// Like [`main`], for cases that need another program as well. `SESSION_REQUIRE` calls it `name`,
/// and it may be missing.
pub(crate) fn main_with(name: &str, missing: Option<LaunchError>, cases: Vec<Case>) -> ExitCode {
    let beside = missing.filter(|_| !required(name)).map(|error| error.to_string());
    let trials = cases.into_iter().map(|(name, kind, case)| {
        let (word, program) = match kind {
            Kind::Postgres => ("postgres", Postgres::new().program()),
            Kind::MariaDb => ("mysql", MariaDb::new().program()),
        };
        let missing = program.find().err().filter(|_| !required(word)).map(|error| error.to_string());
        let missing = missing.or(beside.clone());
        Trial::ignorable_test(format!("{word}::{name}"), move || {
            if let Some(reason) = missing {
                return Ok(Completion::ignored_with(reason));
            }
            let played = runtime().block_on(async { tokio::spawn(case()).await });
            played.map(|()| Completion::Completed).map_err(Failed::from)
        })
    });
    let mut arguments = Arguments::from_args();
    // Each case starts a server.
    arguments.test_threads.get_or_insert(3);
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
