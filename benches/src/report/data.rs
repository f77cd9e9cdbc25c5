//! The schema of the JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Spread;
use crate::{
    candidate::{Description, Result},
    engine::Engine,
    workload::Workload,
};

/// The version of the schema: another number for a change that older readers cannot take.
pub const SCHEMA: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it began, in UTC.
    pub date: String,
    /// Whether it was ended before all was measured.
    pub interrupted: bool,
    /// Where it ran.
    pub machine: Machine,
    /// With which settings.
    pub settings: Settings,
    /// On which servers.
    pub engines: Vec<EngineInfo>,
    /// What was compared.
    pub candidates: Vec<Description>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
    /// Throughput and latencies.
    pub measurements: Vec<Measurement>,
    /// What becomes of them as the store grows.
    pub growth: Vec<Growth>,
    /// What it costs to remove what has expired.
    pub purges: Vec<Purge>,
    /// What is right.
    pub correctness: Vec<Correctness>,
}

impl Report {
    /// Reads a report that was written before.
    ///
    /// # Errors
    ///
    /// If there is none, or one of another schema.
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
    /// How many of its cores there are.
    pub cores: usize,
    /// In bytes.
    pub memory: u64,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// Whether this was built with optimisation. If not, no figure means anything.
    pub optimised: bool,
}

/// What the run was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Whether for a first impression only.
    pub quick: bool,
    /// How often each measurement was repeated.
    pub rounds: usize,
    /// How long each lasted, in milliseconds.
    pub slice_ms: u64,
    /// How many sessions there were.
    pub sessions: usize,
    /// How many bytes each held.
    pub payload: usize,
    /// With how many callers.
    pub callers: Vec<usize>,
    /// Whether each write was on the disk when it was acknowledged.
    pub durable: bool,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Of which kind.
    pub engine: Engine,
    /// As it says itself.
    pub version: String,
    /// In words.
    pub tuning: String,
    /// Whether its processor time is known.
    pub launched: bool,
}

/// What was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// An engine, or a candidate, or one of its measurements.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// How operations begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Mode {
    /// Each caller waits for an answer before it asks again.
    Closed {
        /// How many callers.
        callers: usize,
    },
    /// They arrive at random, at a part of what the candidate achieved in the closed loop.
    Open {
        /// Which part.
        share: f64,
    },
}

/// One candidate under one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The id of the candidate.
    pub candidate: String,
    /// What was done.
    pub workload: Workload,
    /// How the operations spread over the sessions: `zipf` or `uniform`.
    pub keys: String,
    /// How many sessions there were.
    pub sessions: usize,
    /// How many bytes each held.
    pub payload: usize,
    /// How operations began.
    pub mode: Mode,
    /// Operations in a second that succeeded.
    pub throughput: Spread,
    /// The latency that half of the operations had at most, in microseconds.
    pub p50: Spread,
    /// The same for 90 of 100.
    pub p90: Spread,
    /// The same for 99 of 100.
    pub p99: Spread,
    /// The same for 999 of 1,000.
    pub p999: Spread,
    /// Processor time of this process for an operation, in microseconds.
    pub client_cpu: Spread,
    /// The same of the server, if we launched one.
    pub server_cpu: Option<Spread>,
    /// How many operations succeeded, in all rounds.
    pub operations: u64,
    /// How many conflicts were met and overcome.
    pub conflicts: u64,
    /// How many operations failed.
    pub failed: u64,
    /// What the first of those said.
    pub first_failure: Option<String>,
}

impl Measurement {
    /// Whether the other one measured the same thing, perhaps in another run.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.candidate == other.candidate
            && self.workload == other.workload
            && self.keys == other.keys
            && self.sessions == other.sessions
            && self.payload == other.payload
            && self.mode == other.mode
    }
}

/// A store of some size, under workload B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The id of the candidate.
    pub candidate: String,
    /// How many sessions there were.
    pub sessions: usize,
    /// How many sessions in a second were stored in bulk.
    pub filled: f64,
    /// Operations in a second.
    pub throughput: Spread,
    /// The latency of 99 of 100 operations at most, in microseconds.
    pub p99: Spread,
    /// What a session takes on the engine, in bytes, indexes included.
    pub bytes_per_session: Option<f64>,
    /// By how much the process grew, in bytes: this one, or for stores in memory one that did nothing else.
    pub process_memory: u64,
    /// What the processes of the server have in memory, in bytes.
    pub server_memory: Option<u64>,
    /// How many operations failed.
    pub failed: u64,
}

/// How long a purge took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purge {
    /// The id of the candidate.
    pub candidate: String,
    /// How many live sessions there were.
    pub live: usize,
    /// How many had expired.
    pub expired: usize,
    /// How many of those it removed, if it tells.
    pub purged: Option<u64>,
    /// In milliseconds.
    pub milliseconds: f64,
}

/// What an application saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correctness {
    /// The id of the candidate.
    pub candidate: String,
    /// The changes of two requests of one session, each of another value, are both kept.
    pub keeps_both_updates: Finding,
    /// A session stays logged out when a request that began before is saved after.
    pub stays_logged_out: Finding,
    /// A logout is seen by another process of the application within a second.
    pub logout_reaches_others: Finding,
    /// One call ends all sessions of a user, in all processes.
    pub logs_out_everywhere: Finding,
}

/// What a check showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it is so; `None` if it cannot be done, or could not be tried.
    pub holds: Option<bool>,
    /// What was seen.
    pub seen: String,
}
