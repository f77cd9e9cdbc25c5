//! The memory of a map, measured in a process that does nothing else.

use std::hint::black_box;

use benches::table::Table;
use benches::{child, memory};

use crate::candidates::{CANDIDATES, Candidate, SessionMap};
use crate::session::{Key, Value};

/// Has a process of its own measure each candidate (see [`measure`]) and prints a table.
pub(crate) fn report(sessions: u32) {
    let title = format!("memory: bytes per session of {sessions} (resident set, allocator's waste included)");
    let mut table = Table::new(title, &["map", "bytes"]);
    for name in CANDIDATES.iter().map(|candidate| candidate.name).chain([BARE]) {
        table.row([
            name.to_owned(),
            child::ask(&["--footprint-of", name, "--sessions", &sessions.to_string()]),
        ]);
    }
    table.print();
}

/// The name under which the keys and values are measured without a map.
const BARE: &str = "(a plain Vec)";

/// Fills the candidate of this name and prints by how much the process grew, per session.
///
/// # Panics
///
/// When no candidate has the name.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
pub(crate) fn measure(name: &str, sessions: u32) {
    let before = memory::resident_bytes();
    let after = if name == BARE {
        let entries: Vec<_> = (0..u64::from(sessions)).map(entry).collect();
        let after = memory::resident_bytes();
        black_box(entries);
        after
    } else {
        let map = CANDIDATES.iter().find(|candidate| candidate.name == name).expect("a candidate's name");
        let map = filled(map, sessions);
        let after = memory::resident_bytes();
        black_box(map);
        after
    };
    println!("{}", after.saturating_sub(before) / u64::from(sessions));
}

/// A map with the sessions from 0.
pub(crate) fn filled(candidate: &Candidate, sessions: u32) -> Box<dyn SessionMap> {
    let map = (candidate.make)(sessions);
    for number in 0..u64::from(sessions) {
        let (key, value) = entry(number);
        map.insert(key, value);
    }
    map
}

fn entry(number: u64) -> (Key, Value) {
    let key = Key::of(number);
    let value = Value::new(&key, number);
    (key, value)
}
