use std::{hint::black_box, time::Instant};

use benches::{executor, keys::Spread, rounds::series, summary::Summary, table::Table};
use bytes::Bytes;
use foldhash::fast::RandomState;
use moka::{policy::EvictionPolicy, sync::Cache};
use session_core::{SessionStore as _, When, Write};
use session_memory::{CacheExt as _, CacheSettings, MemoryStore};
use tokio::runtime::Runtime;

use crate::sessions::{Sessions, data, ttl};

/// Hits on one thread, compared with `get` of a moka cache with the same policy, hasher and data.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn report(runtime: &Runtime, count: u32, rounds: usize, operations: usize) {
    let sessions = Sessions::draw(count);
    let bare: Cache<_, Bytes, RandomState> = Cache::builder()
        .eviction_policy(EvictionPolicy::lru())
        .max_capacity(1 << 30)
        .weigher(|_, data: &Bytes| u32::try_from(data.len()).unwrap_or(u32::MAX))
        .build_with_hasher(RandomState::default());
    let cached = runtime.block_on(async {
        let cached = MemoryStore::new()
            .cached(CacheSettings::default().max_bytes(1 << 30).max_staleness(ttl().as_duration() / 4));
        let cached = cached.expect("a cache");
        cached.wait_until_ready().await;
        for key in sessions.keys() {
            bare.insert(*key, data());
            assert!(
                cached
                    .write(key, Write::new(data(), ttl()), When::Absent)
                    .await
                    .expect("a write")
                    .is_written()
            );
            assert!(cached.read(key).await.expect("a read").is_some());
        }
        cached
    });
    let order = Spread::Zipf.draw(count, 1 << 20, 7);
    let before = cached.stats();
    let times = series(rounds, &[true, false], |&ours| {
        let begun = Instant::now();
        for number in 0..operations {
            let key = &sessions.keys()[order[number % order.len()] as usize];
            if ours {
                black_box(executor::block_on(cached.read(key)).expect("a read").expect("it is live"));
            } else {
                black_box(bare.get(key).expect("it is there"));
            }
        }
        begun.elapsed().as_nanos() as f64 / operations as f64
    });
    let missed = cached.stats().misses - before.misses;
    let headings = ["", "ns", "quartiles", "bar", ""];
    let mut table =
        Table::new(format!("a hit, {count} sessions by Zipf, one thread; {missed} misses"), &headings);
    let [ours, theirs] = [0, 1].map(|number| Summary::of(times[number].clone()));
    let bar = 1.5 * theirs.median + 100.0;
    let met = if ours.median <= bar { "met" } else { "missed" };
    table.row([
        "Cached::read".to_owned(),
        format!("{:.0}", ours.median),
        ours.quartiles(),
        format!("<= {bar:.0}"),
        met.to_owned(),
    ]);
    table.row([
        "moka get".to_owned(),
        format!("{:.0}", theirs.median),
        theirs.quartiles(),
        String::new(),
        String::new(),
    ]);
    table.print();
}
