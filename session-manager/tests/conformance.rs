//! The suite, on `Metered`.

use std::process::ExitCode;

use session_conformance::{Suite, Target};
use session_manager::Metered;
use session_memory::MemoryStore;

fn main() -> ExitCode {
    Suite::new().target(Target::in_process("metered-memory", || Metered::new(MemoryStore::new()))).main()
}
