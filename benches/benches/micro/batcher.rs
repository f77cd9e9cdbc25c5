use std::{sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::future::join_all;
use session_backend::{BatchSettings, Batched};
use session_core::{SessionId, SessionStore, Ttl, When, Write};
use session_memory::MemoryStore;
use tokio::runtime::Builder;

/// The overhead of the batcher over a store that answers at once: for a single call, and for
/// concurrent calls.
pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let key = SessionId::generate().key();
    let ttl = Ttl::new(Duration::from_hours(1)).expect("an hour is a ttl");
    let stores: [(&str, Arc<dyn SessionStore>); 2] = runtime.block_on(async {
        let batched = Batched::new(MemoryStore::new(), BatchSettings::default()).expect("it is in a runtime");
        [("MemoryStore", Arc::new(MemoryStore::new()) as _), ("batched", Arc::new(batched) as _)]
    });
    let mut group = criterion.benchmark_group("batcher");
    for (name, store) in &stores {
        let write = || Write::new("theme=dark", ttl);
        assert!(runtime.block_on(store.write(&key, write(), When::Any)).expect("it answers").is_written());
        for calls in [1_u64, 64] {
            group.throughput(Throughput::Elements(calls));
            group.bench_function(BenchmarkId::new(format!("{name}: reads"), calls), |bencher| {
                bencher.iter(|| runtime.block_on(join_all((0..calls).map(|_| store.read(&key)))));
            });
        }
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new(format!("{name}: writes"), 1), |bencher| {
            bencher.iter(|| runtime.block_on(store.write(&key, write(), When::Any)).expect("it answers"));
        });
    }
    group.finish();
}
