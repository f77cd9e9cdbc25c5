use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{Options, Progress};
use crate::{
    candidate::{Place, Spec},
    engine::{Engine, Server},
    interrupt::Interrupt,
    report::{Report, Skipped},
};

/// The inputs and the results of all measurements.
pub struct Context {
    /// The options of the run.
    pub options: Options,
    /// The running servers.
    pub servers: BTreeMap<Engine, Server>,
    /// The candidates whose server runs.
    pub specs: Vec<Spec>,
    /// Whether the run is to end.
    pub interrupt: Interrupt,
    /// The progress of the run.
    pub progress: Progress,
    /// The results.
    pub report: Report,
}

impl Context {
    /// A place with a unique name on the server of a candidate: no other process uses it, not even
    /// on an external server.
    pub fn place(&self, engine: Engine) -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.servers[&engine].place(&format!("bench_{:x}_{number}x", std::process::id()))
    }

    /// The process of a server, if this program launched it.
    pub fn pid(&self, engine: Engine) -> Option<u32> {
        self.servers[&engine].pid
    }

    /// Records what is left out.
    pub fn skip(&mut self, what: impl Into<String>, reason: &dyn std::fmt::Display) {
        let skipped = Skipped { what: what.into(), reason: reason.to_string() };
        // A candidate that cannot be opened is tried for each part of the run.
        if self.report.skipped.contains(&skipped) {
            return;
        }
        self.progress.suspend(|| crate::report::terminal::note(&skipped));
        self.report.skipped.push(skipped);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("options", &self.options).finish_non_exhaustive()
    }
}
