//! What `PostgresStore` achieves beside the driver's pool used one call at a time, tokio-postgres with pipelining, and, with `--features peers`,
//! tower-sessions' store.
//!
//! `cargo bench -p benches --bench postgres_store -- [--quick] [--rounds N] [--sessions N] [--callers N] [--durable]`
//!
//! All on one launched `postgres` on loopback, each with its own sessions: 400 bytes of data that no two writes have in common. A write of the store and of the
//! pool is conditional on the version that is there; that of tower-sessions' store replaces blindly. All have the same durability: the server's
//! `synchronous_commit` is off unless `--durable`, because what is compared is not the disk.

mod candidate;
mod pipelined;
mod pool;
mod report;
#[path = "../sqlite_store/sessions.rs"]
mod sessions;
mod the_store;
#[cfg(feature = "peers")]
mod tower;

use benches::args::Args;
use session_core::SessionStore as _;
use session_servers::postgres::Postgres;
use session_sql::PostgresStore;
use tokio::runtime::Builder;

use crate::{
    candidate::Candidate, pipelined::Pipelined, pool::Pool, sessions::Sessions, the_store::TheStore,
};

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 2 } else { 7 });
    let sessions = args.value("--sessions").unwrap_or(if quick { 10_000 } else { 100_000 });
    let callers: Vec<usize> = args.value("--callers").map_or(vec![1, 64, 256], |callers| vec![callers]);
    let commit = if args.flag("--durable") { "synchronous_commit=on" } else { "synchronous_commit=off" };
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server =
        runtime.block_on(Postgres::new().args(["-c", commit]).start()).expect("PostgreSQL is installed");
    let url = server.url();
    let few = Sessions::draw(sessions);
    let (store, watched, pool, pipelined) = runtime.block_on(async {
        let store =
            TheStore::open("PostgresStore", PostgresStore::connect(&url).await.expect("it opens"), &few)
                .await;
        let with_watch = PostgresStore::builder().table("watched").connect(&url).await.expect("it opens");
        let events = with_watch.watch().expect("it can").subscribe().await.expect("it listens");
        // Only whether writers tell is of interest, and once they do, they go on.
        drop(events);
        let watched = TheStore::open("PostgresStore, watched", with_watch, &few).await;
        let pool = Pool::open(&url, &few).await;
        (store, watched, pool, Pipelined::open(&url, &few).await)
    });
    #[allow(unused_mut)]
    let mut readers: Vec<&dyn Candidate> = vec![&store, &pool, &pipelined];
    #[allow(unused_mut)]
    let mut writers: Vec<&dyn Candidate> = vec![&store, &watched, &pool];
    #[cfg(feature = "peers")]
    let tower = runtime.block_on(tower::Tower::open(&url, &few));
    #[cfg(feature = "peers")]
    {
        readers.push(&tower);
        writers.push(&tower);
    }
    if args.flag("--alone") {
        readers.truncate(1);
        writers.truncate(1);
    }
    report::all(&runtime, quick, rounds, &callers, &readers, &writers);
}
