//! The memory of a full cache, measured in a process that does nothing else.

use std::hint::black_box;

use benches::{child, memory, table::Table};
use session_core::{
    Bytes, DeleteOutcome, Expected, Record, Result, SessionId, SessionKey, SessionStore, Ttl, Version, When,
    Write, WriteOutcome, async_trait,
};
use session_memory::{CacheExt as _, CacheSettings};

use crate::sessions::{data, ttl};

/// A store that returns a session for every key and keeps none.
#[derive(Debug)]
struct Bottomless;

#[async_trait]
impl SessionStore for Bottomless {
    async fn read(&self, _: &SessionKey) -> Result<Option<Record>> {
        let data: Bytes = data();
        Ok(Some(Record { data, version: Version::random(), expires_in: ttl().as_duration(), owner: None }))
    }

    async fn write(&self, _: &SessionKey, _: Write, _: When) -> Result<WriteOutcome> {
        Ok(WriteOutcome::Written)
    }

    async fn touch(&self, _: &SessionKey, _: Ttl) -> Result<bool> {
        Ok(true)
    }

    async fn delete(&self, _: &SessionKey, _: Expected) -> Result<DeleteOutcome> {
        Ok(DeleteOutcome::Deleted)
    }
}

pub(crate) fn report() {
    let mut table = Table::new(
        "memory of a full cache of 400-byte sessions (resident set)",
        &["bound MiB", "MiB", "of the bound"],
    );
    for bound in [64_u64, 256] {
        let taken: f64 = child::ask(&["--footprint-of", &bound.to_string()]).parse().expect("a number");
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        table.row([bound.to_string(), format!("{taken:.1}"), format!("{:.2}", taken / bound as f64)]);
    }
    table.print();
}

/// Reads three times as many sessions as the cache can hold, each twice, and prints the growth of
/// the process in MiB.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) async fn measure(bound: u64) {
    let settings = CacheSettings::default().max_bytes(bound << 20).accept_staleness_without_watch();
    let cached = Bottomless.cached(settings.max_staleness(ttl().as_duration())).expect("a cache");
    let before = memory::resident_bytes();
    for _ in 0..3 * (bound << 20) / 800 {
        let key = SessionId::generate().key();
        for _ in 0..2 {
            black_box(cached.read(&key).await.expect("a read"));
        }
    }
    let taken = memory::resident_bytes() - before;
    println!("{:.1}", taken as f64 / f64::from(1 << 20));
}
