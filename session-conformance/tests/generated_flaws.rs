//! Tests the suite with hundreds of broken stores. Each has one kind of mistake in one operation,
//! through one handle or both, which the case that the table names must find.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

mod finding;
mod flawed;
mod reference_store;

use finding::must_find;
use flawed::{table, target};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Many trials wait for the deadline of an outage.
    arguments.test_threads.get_or_insert(40);
    let trials = table().into_iter().map(|(flaw, name)| {
        let title = format!("{:?} in {:?} through {:?}: {name}", flaw.kind, flaw.op, flaw.handle);
        Trial::test(title, move || must_find(name, || target(flaw)).map_err(Into::into))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
