//! The growth of a `PostgresStore` table when its sessions are touched a million times, and what
//! remains of it when they expire.
//!
//! `cargo bench -p benches --bench postgres_bloat -- [--quick] [--sessions N] [--touches N]`
//!
//! Uses one launched `postgres` with its default settings, except that autovacuum runs once a
//! second, because a minute here stands for a day of an application.

use std::time::{Duration, Instant};

use benches::{args::Args, table::Table};
use rand::Rng as _;
use session_core::{SessionId, SessionStore as _, TouchItem, Ttl, When, Write, WriteItem};
use session_servers::postgres::Postgres;
use session_sql::PostgresStore;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::{runtime::Builder, time::sleep};

const STATE: &str =
    "SELECT n_tup_upd::text, coalesce(round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 2)::text, '-'),
    round(pg_relation_size(relid) / 1048576.0, 1)::text, round(pg_indexes_size(relid) / 1048576.0, 1)::text
    FROM pg_stat_user_tables WHERE relname = 'sessions'";

/// Touches per batch, as under load.
const BATCH: usize = 128;

struct Bloat {
    store: PostgresStore,
    connection: PgConnection,
    table: Table,
}

impl Bloat {
    async fn note(&mut self, what: &str, begun: Instant) {
        let took = begun.elapsed().as_secs_f64();
        // Waits until the server has updated its statistics.
        sleep(Duration::from_secs(2)).await;
        let row = sqlx::query(STATE).fetch_one(&mut self.connection).await.expect("it is counted");
        let [updates, hot, table, indexes] = [0, 1, 2, 3].map(|column| row.get::<String, _>(column));
        self.table.row([what.to_owned(), format!("{took:.1}"), updates, hot, table, indexes]);
    }
}

fn ttl(duration: Duration) -> Ttl {
    Ttl::new(duration).expect("usable")
}

async fn run(sessions: usize, touches: usize) {
    let server =
        Postgres::new().args(["-c", "autovacuum_naptime=1s"]).start().await.expect("PostgreSQL is installed");
    let store = PostgresStore::builder().purge_interval(None).connect(&server.url()).await.expect("it opens");
    let connection = PgConnection::connect(&server.url()).await.expect("connected");
    let headings = ["", "seconds", "updates", "heap-only %", "table MiB", "indexes MiB"];
    let mut bloat = Bloat { store, connection, table: Table::new(format!("{sessions} sessions"), &headings) };
    let keys: Vec<_> = (0..sessions).map(|_| SessionId::generate().key()).collect();
    let begun = Instant::now();
    for keys in keys.chunks(1_000) {
        let item = |key| {
            let mut data = vec![0; 400];
            rand::rng().fill_bytes(&mut data);
            WriteItem { key, write: Write::new(data, ttl(Duration::from_hours(1))), when: When::Absent }
        };
        let items: Vec<_> = keys.iter().copied().map(item).collect();
        assert!(
            bloat
                .store
                .write_many(&items)
                .await
                .into_iter()
                .all(|outcome| outcome.expect("it answers").is_written())
        );
    }
    bloat.note("created", begun).await;
    let begun = Instant::now();
    for batch in (0..touches).collect::<Vec<_>>().chunks(BATCH) {
        let items: Vec<_> = batch
            .iter()
            .map(|touch| TouchItem {
                key: keys[touch * 7_919 % keys.len()],
                ttl: ttl(Duration::from_hours(1)),
            })
            .collect();
        assert!(bloat.store.touch_many(&items).await.into_iter().all(|outcome| outcome.expect("it answers")));
    }
    bloat.note(&format!("touched {touches} times"), begun).await;
    // The state that the purge would find six hours later at the latest.
    let expire = "UPDATE sessions SET e = clock_timestamp(), b = 0";
    sqlx::query(expire).execute(&mut bloat.connection).await.expect("they expire");
    bloat.note("expired, by hand", Instant::now()).await;
    let begun = Instant::now();
    let maintenance = bloat.store.maintenance().expect("it has some");
    assert_eq!(maintenance.purge_expired(sessions).await.expect("it answers"), sessions as u64);
    bloat.note("purged", begun).await;
    let begun = Instant::now();
    let items: Vec<_> = keys
        .iter()
        .map(|_| WriteItem {
            key: SessionId::generate().key(),
            write: Write::new(vec![7; 400], ttl(Duration::from_hours(1))),
            when: When::Absent,
        })
        .collect();
    sqlx::query("VACUUM sessions").execute(&mut bloat.connection).await.expect("it is vacuumed");
    for items in items.chunks(1_000) {
        bloat.store.write_many(items).await;
    }
    bloat.note("as many new ones", begun).await;
    bloat.table.print();
}

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let sessions = args.value("--sessions").unwrap_or(if quick { 5_000 } else { 100_000 });
    let touches = args.value("--touches").unwrap_or(if quick { 50_000 } else { 1_000_000 });
    Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(run(sessions, touches));
}
