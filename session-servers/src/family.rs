//! The child processes of a server, which are frozen and killed with it.
//!
//! `PostgreSQL` serves each client by a separate process, in a separate process group: a signal to
//! the first process reaches none of them. Only Linux reports the parent of a process. On other
//! systems, no children are found.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// The children of a halted process. It starts no children and reaps none, so the kernel does not
/// reuse their ids.
#[derive(Debug)]
pub(crate) struct Family(Vec<Pid>);

impl Family {
    /// The children of the *halted* process `parent`.
    pub(crate) fn of(parent: Pid) -> Self {
        let Ok(processes) = fs::read_dir("/proc") else { return Self(Vec::new()) };
        let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_child = |pid: &Pid| stat(*pid).is_some_and(|(_, of)| of == parent.as_raw_nonzero().get());
        Self(numbers.filter_map(Pid::from_raw).filter(is_child).collect())
    }

    /// The process ids of the children.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Sends a signal to all children.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            // A child that has already ended needs no signal.
            let _ = kill_process(*pid, signal);
        }
    }

    /// Returns true if no child executes anything: all are halted, or have ended.
    pub(crate) fn is_halted(&self) -> bool {
        self.0.iter().all(|pid| stat(*pid).is_none_or(|(state, _)| matches!(state, 'T' | 'Z' | 'X')))
    }

    /// Returns true if all children have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.iter().all(|pid| stat(*pid).is_none_or(|(state, _)| matches!(state, 'Z' | 'X')))
    }
}

/// The state of a process, and the id of its parent.
fn stat(pid: Pid) -> Option<(char, i32)> {
    let path: PathBuf = ["/proc", &pid.as_raw_nonzero().to_string(), "stat"].iter().collect();
    let stat = fs::read_to_string(path).ok()?;
    // These fields follow the name, which is in parentheses and can contain any character.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
