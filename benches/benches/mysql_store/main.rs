//! What `MySqlStore` achieves beside the driver's pool used one call at a time and, with `--features peers`, tower-sessions' store.
//!
//! `cargo bench -p benches --bench mysql_store -- [--quick] [--rounds N] [--sessions N] [--callers N] [--durable]`
//!
//! All on one launched `mariadbd` on loopback, each with its own sessions: 400 bytes of data that no two writes have in common. A write of the store and of the
//! pool is conditional on the version that is there; that of tower-sessions' store replaces blindly. All have the same durability: the server's
//! `innodb_flush_log_at_trx_commit` is 2 unless `--durable`, because what is compared is not the disk.

#[path = "../postgres_store/candidate.rs"]
mod candidate;
mod pool;
#[path = "../postgres_store/report.rs"]
mod report;
#[path = "../sqlite_store/sessions.rs"]
mod sessions;
#[path = "../postgres_store/the_store.rs"]
mod the_store;
#[cfg(feature = "peers")]
mod tower;

use benches::args::Args;
use session_servers::mariadb::MariaDb;
use session_sql::MySqlStore;
use tokio::runtime::Builder;

use crate::{candidate::Candidate, pool::Pool, sessions::Sessions, the_store::TheStore};

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![1, 64, 256], |callers| vec![callers]);
    let flush = format!("--innodb-flush-log-at-trx-commit={}", if args.flag("--durable") { 1 } else { 2 });
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = MariaDb::new().args([flush.as_str(), "--innodb-buffer-pool-size=512M"]).start();
    let server = runtime.block_on(server).expect("MariaDB is installed");
    let url = server.url();
    let few = Sessions::draw(sessions);
    let (store, pool) = runtime.block_on(async {
        let store =
            TheStore::open("MySqlStore", MySqlStore::connect(&url).await.expect("it opens"), &few).await;
        (store, Pool::open(&url, &few).await)
    });
    #[allow(unused_mut)]
    let mut candidates: Vec<&dyn Candidate> = vec![&store, &pool];
    #[cfg(feature = "peers")]
    let tower = runtime.block_on(tower::Tower::open(&url, &few));
    #[cfg(feature = "peers")]
    candidates.push(&tower);
    if args.flag("--alone") {
        candidates.truncate(1);
    }
    report::all(&runtime, quick, rounds, &callers, &candidates, &candidates);
}
