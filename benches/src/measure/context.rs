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

/// What all measurements need, and where they leave what they saw.
pub struct Context {
    /// What was asked for.
    pub options: Options,
    /// The servers that run.
    pub servers: BTreeMap<Engine, Server>,
    /// What is compared: only candidates whose server runs.
    pub specs: Vec<Spec>,
    /// Whether to end.
    pub interrupt: Interrupt,
    /// How far it is.
    pub progress: Progress,
    /// What was seen.
    pub report: Report,
}

impl Context {
    /// A place on the server of a candidate, which nobody else has: not even another process on a server of somebody else.
    pub fn place(&self, engine: Engine) -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.servers[&engine].place(&format!("bench_{:x}_{number}x", std::process::id()))
    }

    /// The process of a server, if we launched it.
    pub fn pid(&self, engine: Engine) -> Option<u32> {
        self.servers[&engine].pid
    }

    /// Notes what is left out.
    pub fn skip(&mut self, what: impl Into<String>, reason: &dyn std::fmt::Display) {
        let skipped = Skipped { what: what.into(), reason: reason.to_string() };
        // One that cannot be opened is tried for each part of the run.
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
