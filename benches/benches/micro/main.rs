//! Micro-benchmarks with criterion: the cost of operations without a server.
//!
//! `cargo bench -p benches --bench micro`, or with the name of a group: `-- codecs`

mod batcher;
mod codecs;
mod ids;
mod layer;
mod payload;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    micro,
    ids::benchmarks,
    codecs::benchmarks,
    payload::benchmarks,
    batcher::benchmarks,
    layer::benchmarks
);
criterion_main!(micro);
