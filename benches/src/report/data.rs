//! The schema of the JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Spread;
use crate::{
    candidate::{Description, Result},
    engine::Engine,
    workload::Workload,
};

/// The version of the schema. Increased by changes that older readers cannot handle.
pub const SCHEMA: u32 = 1;

/// The report of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The start of the run, in UTC.
    pub date: String,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// The machine.
    pub machine: Machine,
    /// The settings.
    pub settings: Settings,
    /// The servers.
    pub engines: Vec<EngineInfo>,
    /// The candidates.
    pub candidates: Vec<Description>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// Throughput and latency.
    pub measurements: Vec<Measurement>,
    /// Throughput and latency as the store grows.
    pub growth: Vec<Growth>,
    /// The cost of removing expired sessions.
    pub purges: Vec<Purge>,
    /// The results of the correctness checks.
    pub correctness: Vec<Correctness>,
}

impl Report {
    /// Reads a report from a file.
    ///
    /// # Errors
    ///
    /// If there is no report, or its schema differs.
    pub fn read(file: &Path) -> Result<Self> {
        let problem = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| problem(&error))?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| problem(&error))?;
        match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(other) => {
                return Err(
                    problem(&format!("its schema is {other}, and this program reads {SCHEMA}")).into()
                );
            }
            None => return Err(problem(&"it is no report of this program").into()),
        }
        Ok(serde_json::from_value(value).map_err(|error| problem(&error))?)
    }
}

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of the processor.
    pub cpu: String,
    /// The number of cores.
    pub cores: usize,
    /// The memory, in bytes.
    pub memory: u64,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Whether this was built with optimisation. If not, the figures are meaningless.
    pub optimised: bool,
}

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether the run is only for a first impression.
    pub quick: bool,
    /// Repetitions of each measurement.
    pub rounds: usize,
    /// Duration of each repetition, in milliseconds.
    pub slice_ms: u64,
    /// Number of sessions.
    pub sessions: usize,
    /// Bytes of data per session.
    pub payload: usize,
    /// Numbers of callers.
    pub callers: Vec<usize>,
    /// Whether each write was on disk when it was acknowledged.
    pub durable: bool,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// The engine.
    pub engine: Engine,
    /// The version that the server reports.
    pub version: String,
    /// A description of the tuning.
    pub tuning: String,
    /// Whether its processor time is known.
    pub launched: bool,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// An engine, or a candidate, or one of its measurements.
    pub what: String,
    /// The reason.
    pub reason: String,
}

/// How operations begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Mode {
    /// Each caller waits for an answer before it begins the next operation.
    Closed {
        /// The number of callers.
        callers: usize,
    },
    /// Operations arrive at random, at a share of the candidate's closed-loop throughput.
    Open {
        /// The share.
        share: f64,
    },
}

/// One candidate under one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The id of the candidate.
    pub candidate: String,
    /// The workload.
    pub workload: Workload,
    /// How the operations spread over the sessions: `zipf` or `uniform`.
    pub keys: String,
    /// Number of sessions.
    pub sessions: usize,
    /// Bytes of data per session.
    pub payload: usize,
    /// How operations began.
    pub mode: Mode,
    /// Successful operations per second.
    pub throughput: Spread,
    /// The p50 latency, in microseconds.
    pub p50: Spread,
    /// The p90 latency, in microseconds.
    pub p90: Spread,
    /// The p99 latency, in microseconds.
    pub p99: Spread,
    /// The p99.9 latency, in microseconds.
    pub p999: Spread,
    /// Processor time of this process per operation, in microseconds.
    pub client_cpu: Spread,
    /// Processor time of the server per operation, if this program launched it.
    pub server_cpu: Option<Spread>,
    /// Number of successful operations, in all rounds.
    pub operations: u64,
    /// Number of conflicts that were met and resolved.
    pub conflicts: u64,
    /// Number of failed operations.
    pub failed: u64,
    /// The error of the first failure.
    pub first_failure: Option<String>,
}

impl Measurement {
    /// Whether the other measurement is of the same thing, perhaps in another run.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.candidate == other.candidate
            && self.workload == other.workload
            && self.keys == other.keys
            && self.sessions == other.sessions
            && self.payload == other.payload
            && self.mode == other.mode
    }
}

/// The results for one store size, under workload B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The id of the candidate.
    pub candidate: String,
    /// Number of sessions.
    pub sessions: usize,
    /// Sessions stored per second in bulk.
    pub filled: f64,
    /// Operations per second.
    pub throughput: Spread,
    /// The p99 latency, in microseconds.
    pub p99: Spread,
    /// Bytes per session on the engine, indexes included.
    pub bytes_per_session: Option<f64>,
    /// Growth in bytes of this process or, for in-memory stores, of one that did nothing else.
    pub process_memory: u64,
    /// Memory of the server's processes, in bytes.
    pub server_memory: Option<u64>,
    /// Number of failed operations.
    pub failed: u64,
}

/// The duration of a purge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purge {
    /// The id of the candidate.
    pub candidate: String,
    /// Number of live sessions.
    pub live: usize,
    /// Number of expired sessions.
    pub expired: usize,
    /// Number of removed sessions, if the store reports it.
    pub purged: Option<u64>,
    /// The duration, in milliseconds.
    pub milliseconds: f64,
}

/// The results of the correctness checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correctness {
    /// The id of the candidate.
    pub candidate: String,
    /// Two requests of one session each change a different value, and both changes are kept.
    pub keeps_both_updates: Finding,
    /// A session stays logged out when a request that began before the logout is saved after it.
    pub stays_logged_out: Finding,
    /// Another process of the application sees a logout within a second.
    pub logout_reaches_others: Finding,
    /// One call ends all sessions of a user, in all processes.
    pub logs_out_everywhere: Finding,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether the property holds; `None` if there is no such call, or the check could not be run.
    pub holds: Option<bool>,
    /// What the check saw.
    pub seen: String,
}
