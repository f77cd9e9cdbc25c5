//! The allocations of each call on a session, and their bytes:
//! `cargo bench -p benches --bench session_allocations`.
//!
//! Runs over `MemoryStore`, whose own allocations are included: each of its calls boxes one future.

use std::alloc::System;

use benches::{executor::block_on, table::Table};
use session_core::SessionId;
use session_manager::{SessionManager, payload::Payload};
use session_memory::MemoryStore;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIMES: usize = 1_000;

/// Calls `f` repeatedly, and returns the allocations (including reallocations) and bytes per call.
fn count(mut f: impl FnMut(usize)) -> [String; 2] {
    f(TIMES);
    let region = Region::new(ALLOCATOR);
    (0..TIMES).for_each(&mut f);
    let change = region.change();
    let each = |total: usize| format!("{}.{:02}", total / TIMES, total % TIMES * 100 / TIMES);
    [each(change.allocations + change.reallocations), each(change.bytes_allocated)]
}

fn main() {
    let manager = SessionManager::new(MemoryStore::new());
    let session = manager.create();
    for key in 0..8 {
        session
            .insert(&format!("key number {key}"), &format!("a value of some forty bytes, number {key:04}"))
            .expect("text");
    }
    block_on(session.save()).expect("a save");
    let id = session.id().expect("it is stored");
    let loaded = block_on(manager.load(&id)).expect("a read").expect("it is live");
    let number = "key number 8";
    block_on(loaded.update(number, |n: Option<u64>| n.unwrap_or(0))).expect("an update");

    let mut table =
        Table::new("Allocations of one call, 8 values of 40 bytes", &["call", "allocations", "bytes"]);
    let mut row = |what: &str, counted: [String; 2]| {
        let [allocations, bytes] = counted;
        table.row([what.to_owned(), allocations, bytes]);
    };
    row("open and drop, untouched", count(|_| drop(manager.open(Some(id.clone())))));
    row("load", count(|_| drop(block_on(manager.load(&id)))));
    let bytes = block_on(manager.store().read(&id.key())).expect("a read").expect("it is live").data;
    row("check the bytes, read the table", count(|_| drop(Payload::decode(bytes.clone()))));
    row("get, a number", count(|_| drop(block_on(loaded.get::<u64>(number)))));
    row("get, a String", count(|_| drop(block_on(loaded.get::<String>("key number 3")))));
    row("insert, a number", count(|n| loaded.insert(number, &(n as u64)).expect("a number")));
    row("save, nothing changed", {
        block_on(loaded.save()).expect("a save");
        count(|_| drop(block_on(loaded.save())))
    });
    row(
        "insert and save",
        count(|n| {
            loaded.insert(number, &(n as u64)).expect("a number");
            block_on(loaded.save()).expect("a save");
        }),
    );
    row("update", count(|_| drop(block_on(loaded.update(number, |n: Option<u64>| n.unwrap_or(0) + 1)))));
    row("draw an id", count(|_| drop(SessionId::generate())));
    table.print();
}
