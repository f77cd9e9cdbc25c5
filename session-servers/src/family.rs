//! The child processes of a server, which break with it.
//!
//! `PostgreSQL` serves each client by a process of its own, in a process group of its own: a signal to the first process
//! reaches none of them. Only Linux says whose child a process is; elsewhere nothing is found here.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// The children of a process that is halted: it starts no others, and reaps none, so that the kernel gives their ids to nobody else.
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

    /// Their ids.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Sends all of them a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            // One that has ended by itself is what it should be.
            let _ = kill_process(*pid, signal);
        }
    }

    /// Whether none of them executes anything: they are halted, or have ended.
    pub(crate) fn is_halted(&self) -> bool {
        self.0.iter().all(|pid| stat(*pid).is_none_or(|(state, _)| matches!(state, 'T' | 'Z' | 'X')))
    }

    /// Whether all of them have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.iter().all(|pid| stat(*pid).is_none_or(|(state, _)| matches!(state, 'Z' | 'X')))
    }
}

/// The state of a process, and its parent.
fn stat(pid: Pid) -> Option<(char, i32)> {
    let path: PathBuf = ["/proc", &pid.as_raw_nonzero().to_string(), "stat"].iter().collect();
    let stat = fs::read_to_string(path).ok()?;
    // These follow the name, which is in parentheses and can hold anything.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
