//! The memory of a store beyond the data, measured in a process that does nothing else.

use std::hint::black_box;

use benches::table::Table;
use benches::{child, memory};
use session_core::{OwnerChange, When, Write};

use crate::session;
use crate::sessions::Sessions as _;
use crate::the_store::TheStore;

/// The maximum overhead per session, in bytes.
const BAR: f64 = 250.0;

/// Measures each combination in its own process (see [`measure`]) and prints a table.
pub(crate) fn report(sizes: &[u32]) {
    let title = "memory: bytes per session beyond its data (resident set, allocator's waste included)";
    let mut table = Table::new(title, &["sessions", "owner", "read", "bytes", "bar", ""]);
    for sessions in sizes.iter().map(u32::to_string) {
        for (owner, read) in
            [("nobody", "never"), ("nobody", "once"), ("one each", "never"), ("one each", "once")]
        {
            let bytes = child::ask(&["--footprint-of", owner, "--sessions", &sessions, "--read", read]);
            let met = if bytes.parse::<f64>().is_ok_and(|bytes| bytes < BAR) { "met" } else { "missed" };
            let cells = [&sessions, owner, read, &bytes, &format!("< {BAR}"), met];
            table.row(cells.map(str::to_owned));
        }
    }
    table.print();
}

/// Fills a store with this many sessions of `owner`, reads each as often as `read` says, and prints
/// the growth of the process per session, less the length of the data.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
pub(crate) fn measure(owner: &str, sessions: u32, read: &str) {
    let before = memory::resident_bytes();
    let store = TheStore::new();
    for number in 0..u64::from(sessions) {
        let key = session::key(number);
        let owner = if owner == "nobody" { OwnerChange::Keep } else { session::owned(number) };
        let write = Write::new(session::data(&key, number), session::ttl()).owner(owner);
        assert!(store.write(&key, write, When::Absent), "every key is a new one");
    }
    if read == "once" {
        assert!(
            (0..u64::from(sessions)).all(|number| store.read(&session::key(number))),
            "every session is there"
        );
    }
    let after = memory::resident_bytes();
    black_box(store);
    println!(
        "{}",
        (after.saturating_sub(before) / u64::from(sessions)).saturating_sub(session::DATA_LEN as u64)
    );
}
