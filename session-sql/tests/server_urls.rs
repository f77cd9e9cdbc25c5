//! URLs of servers: secrets that must not be shown, options of other clients, and switches that
//! turn something off.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_core::{ErrorKind, SessionId, SessionStore, Ttl, When, Write};
use session_sql::{Credentials, MySqlStore, PostgresStore};
use sqlx::{MySqlPool, PgPool};
use support::lab::{self, Kind, Lab, case, on_both, refusal, serves};

async fn no_debug_shows_a_password(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    lab.make_user("app", "geheim", "scram-sha-256").await;
    let url = lab.url_of("app:geheim");
    let provider = || async { Ok(Credentials::new("app", "geheim")) };
    let mut shown = Vec::new();
    match kind {
        Kind::Postgres => {
            let builder = || {
                let builder = PostgresStore::builder().replica(url.clone(), Duration::from_secs(1));
                builder.credentials(provider)
            };
            shown.push(format!("{0:?} {0:#?}", builder()));
            let store = builder().connect(&url).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
            let pool = PgPool::connect(&url).await.expect("it connects");
            let store = builder().from_pool(pool).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
            let options = url.parse().expect("the driver reads it");
            let store = PostgresStore::builder().connect_with(options).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
        }
        Kind::MariaDb => {
            let builder = || MySqlStore::builder().credentials(provider);
            shown.push(format!("{0:?} {0:#?}", builder()));
            let store = builder().connect(&url).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
            let pool = MySqlPool::connect(&url).await.expect("it connects");
            let store = builder().from_pool(pool).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
            let options = url.parse().expect("the driver reads it");
            let store = MySqlStore::builder().connect_with(options).await.expect("it opens");
            shown.push(format!("{store:?} {store:#?}"));
        }
    }
    for text in shown {
        assert!(!text.contains("geheim"), "{text}");
    }
}

/// Options as libpq, other clients and providers write them.
async fn options_of_others_are_accepted(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let queries: &[&str] = match kind {
        Kind::Postgres => &[
            // Neon, Supabase, Prisma, and many options of libpq.
            "sslmode=prefer&channel_binding=require&connect_timeout=10",
            "pgbouncer=true&connection_limit=1&pool_timeout=20&schema=public",
            "sslmode=disable&supa=base-pooler.x&workaround=supabase-pooler.vercel",
            "application_name=web&target_session_attrs=read-write&gssencmode=prefer&sslnegotiation=postgres",
            "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=5000",
            "options=-c%20geqo%3Doff%20-c%20search_path%3Dpublic&connect_timeout=0",
            "options[geqo]=off&options[work_mem]=8MB&statement-cache-capacity=50&client_encoding=UTF8",
            "sslsni=1&sslcompression=0&ssl_min_protocol_version=TLSv1.2&load_balance_hosts=disable",
            // Java, Node.js, Rails.
            "currentSchema=public&ApplicationName=web&loginTimeout=10&tcpKeepAlive=true&targetServerType=primary",
            "ssl=false&uselibpqcompat=true&pool_max_conns=4&pool=5&prepared_statements=true",
        ],
        Kind::MariaDb => &[
            "ssl-mode=DISABLED&connection_limit=5&pool_timeout=10&connect_timeout=10&socket_timeout=5",
            "useSSL=false&serverTimezone=UTC&useUnicode=true&characterEncoding=UTF-8&allowPublicKeyRetrieval=true",
            "sslMode=PREFERRED&autoReconnect=true&zeroDateTimeBehavior=CONVERT_TO_NULL&connectTimeout=10000",
            "tls=false&parseTime=true&loc=Local&charset=utf8mb4&collation=utf8mb4_general_ci&multiStatements=true",
            "statement-cache-capacity=50&rewriteBatchedStatements=true&cachePrepStmts=true&timezone=%2B00:00",
        ],
    };
    for query in queries {
        let store = lab.try_open(&format!("{}?{query}", lab.url)).await;
        let store = store.unwrap_or_else(|error| panic!("{query}: {error}"));
        serves(&*store).await;
        store.close().await.expect("it closes");
    }
}

/// The settings in the options take effect.
async fn options_have_their_meaning(_: Kind) {
    let lab = Lab::start(Kind::Postgres, &[]).await;
    let store = lab.open("application_name=a%20web&options=-c%20work_mem%3D7MB&options[geqo]=off").await;
    serves(&*store).await;
    let named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a web'";
    assert!(lab.number(named).await > 0, "no connection has the name");
    // The parts of the address as options, which libpq accepts.
    let (addr, database) =
        lab.url.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("a URL");
    let (host, port) = addr.rsplit_once(':').expect("a port");
    for url in [
        format!("postgres:///{database}?host={host}&port={port}&user=postgres"),
        format!(
            "postgresql://nobody@nowhere.example/none?hostaddr={host}&port={port}&user=postgres&dbname={database}"
        ),
    ] {
        serves(&*lab.try_open(&url).await.expect("it opens")).await;
    }
    // A server that accepts the connection and does not answer.
    lab.control.inject(session_conformance::Fault::Freeze).await;
    let begun = tokio::time::Instant::now();
    let error = refusal(&lab, &format!("{}?connect_timeout=1", lab.url)).await;
    assert!(error.is_transient(), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited {:?}", begun.elapsed());
    lab.control.heal(session_conformance::Fault::Freeze).await;
}

async fn what_protects_is_never_ignored(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let queries: &[&str] = match kind {
        Kind::Postgres => &[
            "gssencmode=require",
            "sslcrl=/SECRET",
            "requirepeer=SECRET",
            "ssl_min_protocol_version=TLSv1.3",
            "sslpassword=SECRET",
            "sslmode=SECRET",
            "target_session_attrs=standby",
            "channel_binding=SECRET",
            "hostaddr=SECRET",
            "host=SECRET,b",
            "passfile=/SECRET",
            "service=SECRET",
        ],
        Kind::MariaDb => &[
            "ssl-mode=SECRET",
            "enabledTLSProtocols=TLSv1.3",
            "sslpassword=SECRET",
            "ssl={\"ca\":\"SECRET\"}",
            "useSSL=SECRET",
            "trustCertificateKeyStoreUrl=file:SECRET",
        ],
    };
    for query in queries {
        let error = refusal(&lab, &format!("{}?{query}", lab.url)).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{query}: {error}");
        assert!(!format!("{error:?}").contains("SECRET"), "{query}: {error:?}");
        let name = query.split_once('=').expect("a name").0;
        assert!(error.to_string().contains(name) || name == "host", "{query}: {error}");
    }
}

fn short() -> Write {
    Write::new("x", Ttl::new(Duration::from_millis(20)).expect("a ttl"))
}

/// Lets a session expire in the store, and one in a second store that purges. The purge of the
/// second shows that the time has passed.
async fn never_purges(lab: &Lab, store: &dyn SessionStore, table: &str) {
    let purging = lab.open("table=purging&purge_interval_ms=10").await;
    serves(store).await;
    for _ in 0..2 {
        for store in [store, &*purging] {
            let key = SessionId::generate().key();
            assert!(store.write(&key, short(), When::Absent).await.expect("it answers").is_written());
        }
        while lab.number("SELECT COUNT(*) FROM purging").await > 0 {}
    }
    assert_eq!(lab.number(&format!("SELECT COUNT(*) FROM {table}")).await, 3, "something was purged");
}

async fn zero_and_off_turn_off(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    for (at, value) in ["0", "off"].into_iter().enumerate() {
        let table = format!("never_{at}");
        let options = format!("table={table}&purge_interval_ms={value}&max_data_len={value}");
        let store = lab.open(&options).await;
        never_purges(&lab, &*store, &table).await;
        assert!(store.max_data_len() >= 15 << 20, "{} bytes at most", store.max_data_len());
    }
    let (zero, table) = (Duration::ZERO, "never_by_builder");
    let (store, refused): (Arc<dyn SessionStore>, _) = match kind {
        Kind::Postgres => {
            let builder = || PostgresStore::builder().table(table);
            let store = builder().purge_interval(Some(zero)).max_data_len(0).connect(&lab.url).await;
            let pool = PgPool::connect(&lab.url).await.expect("it connects");
            let refused = [
                builder().deadline(zero).connect(&lab.url).await.map(drop),
                builder().deadline(zero).from_pool(pool).await.map(drop),
                builder().replica(lab.url.clone(), zero).connect(&lab.url).await.map(drop),
            ];
            (Arc::new(store.expect("it opens")), refused.to_vec())
        }
        Kind::MariaDb => {
            let builder = || MySqlStore::builder().table(table);
            let store = builder().purge_interval(Some(zero)).max_data_len(0).connect(&lab.url).await;
            let pool = MySqlPool::connect(&lab.url).await.expect("it connects");
            let refused = [
                builder().deadline(zero).connect(&lab.url).await.map(drop),
                builder().deadline(zero).from_pool(pool).await.map(drop),
            ];
            (Arc::new(store.expect("it opens")), refused.to_vec())
        }
    };
    never_purges(&lab, &*store, table).await;
    assert!(store.max_data_len() >= 15 << 20);
    for refused in refused {
        let error = refused.expect_err("it must not open");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("of 0"), "{error}");
    }
}

fn main() -> ExitCode {
    let mut cases = on_both![
        no_debug_shows_a_password,
        options_of_others_are_accepted,
        what_protects_is_never_ignored,
        zero_and_off_turn_off,
    ];
    cases.push(case("options_have_their_meaning", Kind::Postgres, options_have_their_meaning));
    lab::main(cases)
}
