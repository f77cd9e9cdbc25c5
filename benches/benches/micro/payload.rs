use std::hint::black_box;

use benches::executor::block_on;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion};
use session_manager::{SessionManager, payload::Payload};
use session_memory::MemoryStore;

/// The bytes of a session with this many values.
fn stored(values: usize) -> Bytes {
    let manager = SessionManager::new(MemoryStore::new());
    let session = manager.create();
    for value in 0..values {
        session
            .insert(&format!("key {value}"), &format!("a value of some forty bytes, number {value:04}"))
            .expect("text");
    }
    block_on(session.save()).expect("a save");
    let key = session.key().expect("it is stored");
    block_on(manager.store().read(&key)).expect("a read").expect("it is live").data
}

/// The table of keys and values in a record, of which only the requested values are decoded.
pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("payload table");
    for values in [1_usize, 8, 64] {
        let bytes = stored(values);
        let payload = Payload::decode(bytes.clone()).expect("a payload");
        group.bench_with_input(
            BenchmarkId::new("check, and read the table", values),
            &bytes,
            |bencher, bytes| {
                bencher.iter(|| Payload::decode(black_box(bytes).clone()).expect("a payload"));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("get the last value", values),
            &payload,
            |bencher, payload| {
                let key = format!("key {}", values - 1);
                bencher.iter(|| black_box(payload).get::<String>(&key).expect("a text"));
            },
        );
    }
    group.finish();
}
