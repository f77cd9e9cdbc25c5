use std::hint::black_box;

use criterion::Criterion;
use session_core::{SessionId, SessionKey, Version};

/// Ids, and the values derived from them.
pub(crate) fn benchmarks(criterion: &mut Criterion) {
    let id = SessionId::generate();
    let (text, key) = (id.expose(), id.key());
    let mut ids = criterion.benchmark_group("ids");
    ids.bench_function("draw", |bencher| bencher.iter(SessionId::generate));
    ids.bench_function("rotate", |bencher| bencher.iter(|| black_box(&id).rotate()));
    ids.bench_function("write as text", |bencher| bencher.iter(|| black_box(&id).expose()));
    ids.bench_function("parse", |bencher| {
        bencher.iter(|| black_box(text.as_str()).parse::<SessionId>().expect("it is one"));
    });
    ids.bench_function("draw a version", |bencher| bencher.iter(Version::random));
    ids.finish();
    let mut keys = criterion.benchmark_group("keys");
    keys.bench_function("digest of an id", |bencher| bencher.iter(|| black_box(&id).key()));
    keys.bench_function("from bytes", |bencher| {
        bencher.iter(|| SessionKey::from_bytes(*black_box(key.as_bytes())));
    });
    keys.bench_function("write as text", |bencher| bencher.iter(|| black_box(&key).to_string()));
    keys.finish();
}
