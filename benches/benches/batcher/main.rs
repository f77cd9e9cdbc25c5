//! The overhead of the batcher for an uncontended call.
//!
//! `cargo bench -p benches --bench batcher -- [--quick] [--rounds N]`
//!
//! One caller on `MemoryStore`, which answers at once, so that the rest of the time is the
//! batcher's.

use std::time::{Duration, Instant};

use benches::{args::Args, rounds::interleave, table::Table};
use session_backend::{BatchSettings, Batched};
use session_core::{SessionId, SessionKey, SessionStore, Ttl, When, Write};
use session_memory::MemoryStore;
use tokio::runtime::Builder;

#[derive(Clone, Copy)]
enum Call {
    Read,
    Write,
}

fn main() {
    let args = Args::from_env();
    let quick = args.flag("--quick");
    let rounds = args.value("--rounds").unwrap_or(if quick { 3 } else { 15 });
    let calls: u32 = if quick { 10_000 } else { 200_000 };
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let candidates = runtime.block_on(async {
        let store = MemoryStore::new();
        let batched = Batched::new(MemoryStore::new(), BatchSettings::default()).expect("it is in a runtime");
        let stores: [(&str, Box<dyn SessionStore>); 2] =
            [("MemoryStore", Box::new(store)), ("batched", Box::new(batched))];
        stores
    });
    let key = SessionId::generate().key();
    let mut table = Table::new("one caller, ns a call", &["", "read", "quartiles", "write", "quartiles"]);
    let measure = |call| {
        interleave(rounds, &candidates, |(_, store)| {
            runtime.block_on(async { nanoseconds(&**store, &key, call, calls).await })
        })
    };
    let (reads, writes) = (measure(Call::Read), measure(Call::Write));
    for ((name, _), (read, write)) in candidates.iter().zip(reads.iter().zip(&writes)) {
        table.row([
            (*name).to_owned(),
            format!("{:.0}", read.median),
            read.quartiles(),
            format!("{:.0}", write.median),
            write.quartiles(),
        ]);
    }
    table.row([
        "the batcher's".to_owned(),
        format!("{:.0}", reads[1].median - reads[0].median),
        String::new(),
        format!("{:.0}", writes[1].median - writes[0].median),
        String::new(),
    ]);
    table.print();
}

async fn nanoseconds(store: &dyn SessionStore, key: &SessionKey, call: Call, calls: u32) -> f64 {
    let ttl = Ttl::new(Duration::from_hours(1)).expect("an hour is a ttl");
    let write = || Write::new("theme=dark", ttl);
    assert!(store.write(key, write(), When::Any).await.expect("it answers").is_written());
    let begin = Instant::now();
    for _ in 0..calls {
        match call {
            Call::Read => {
                assert!(store.read(key).await.expect("it answers").is_some());
            }
            Call::Write => {
                assert!(store.write(key, write(), When::Any).await.expect("it answers").is_written());
            }
        }
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}
