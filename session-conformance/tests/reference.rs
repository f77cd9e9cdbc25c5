//! The suite passes on a store that keeps every promise and has every ability.

use std::process::ExitCode;

use session_conformance::Suite;

mod reference_store;

fn main() -> ExitCode {
    Suite::new().target(reference_store::target(None)).main()
}
