//! The suite, on the store that the documentation works through.

#[path = "../doc/worked_store.rs"]
#[allow(missing_docs, unreachable_pub, reason = "it is public in the documentation")]
mod worked_store;

use std::{process::ExitCode, sync::Arc};

use session_conformance::{Ability, Suite, Target};
use worked_store::WorkedStore;

fn main() -> ExitCode {
    let target = Target::in_process("worked", || Arc::new(WorkedStore::default()))
        .without(Ability::Watch, "it is an exercise")
        .without(Ability::Maintenance, "it is an exercise");
    Suite::new().target(target).main()
}
