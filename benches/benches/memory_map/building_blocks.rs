//! The costs of what surrounds a map in a store, to compare the maps' own with.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Instant, SystemTime};

use benches::rounds;
use benches::table::Table;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

struct Block {
    name: &'static str,
    /// Does it so many times.
    run: fn(u32),
}

impl Block {
    const fn new(name: &'static str, run: fn(u32)) -> Self {
        Self { name, run }
    }
}

const BLOCKS: [Block; 11] = [
    Block::new("Instant::now", |times| repeat(times, Instant::now)),
    Block::new("SystemTime::now", |times| repeat(times, SystemTime::now)),
    Block::new("getrandom, 16 bytes", |times| {
        repeat(times, || {
            let mut bytes = [0_u8; 16];
            getrandom::fill(&mut bytes).expect("the system has random bytes");
            bytes
        });
    }),
    Block::new("rand::rng, 16 bytes", |times| {
        repeat(times, || {
            let mut bytes = [0_u8; 16];
            rand::rng().fill(&mut bytes);
            bytes
        });
    }),
    Block::new("SHA-256 of 21 bytes", |times| {
        let id = black_box([7_u8; 21]);
        repeat(times, || Sha256::digest(black_box(id)));
    }),
    Block::new("async fn in Box::pin, polled", |times| {
        let mut context = Context::from_waker(Waker::noop());
        repeat(times, || boxed(black_box([7; 33])).as_mut().poll(&mut context));
    }),
    Block::new("parking_lot Mutex, free", |times| {
        let lock = parking_lot::Mutex::new(0_u64);
        repeat(times, || *black_box(&lock).lock() += 1);
    }),
    Block::new("parking_lot RwLock, free, read", |times| {
        let lock = parking_lot::RwLock::new(0_u64);
        repeat(times, || *black_box(&lock).read());
    }),
    Block::new("parking_lot RwLock, free, write", |times| {
        let lock = parking_lot::RwLock::new(0_u64);
        repeat(times, || *black_box(&lock).write() += 1);
    }),
    Block::new("std Mutex, free", |times| {
        let lock = std::sync::Mutex::new(0_u64);
        repeat(times, || *black_box(&lock).lock().expect("nobody panics") += 1);
    }),
    Block::new("std RwLock, free, read", |times| {
        let lock = std::sync::RwLock::new(0_u64);
        repeat(times, || *black_box(&lock).read().expect("nobody panics"));
    }),
];

/// Measures all of them and prints a table.
pub(crate) fn report(rounds: usize, times: u32) {
    let measured = rounds::interleave(rounds, &BLOCKS, |block| {
        let start = Instant::now();
        (block.run)(times);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(times)
    });
    let mut table = Table::new("building blocks", &["", "ns", "quartiles"]);
    for (block, ns) in BLOCKS.iter().zip(measured) {
        let quartiles = format!("{:.1}..{:.1}", ns.lower_quartile, ns.upper_quartile);
        table.row([block.name.to_owned(), format!("{:.1}", ns.median), quartiles]);
    }
    table.print();
}

fn repeat<R>(times: u32, mut once: impl FnMut() -> R) {
    for _ in 0..times {
        black_box(once());
    }
}

/// What `async_trait` makes of a method that has nothing to wait for.
fn boxed(key: [u8; 33]) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { key[0] })
}
