//! A run: the measurements, their order and their duration.

mod context;
mod correctness;
pub mod footprint;
mod growth;
mod plan;
mod progress;
mod purge;
mod stage;
mod throughput;

use std::time::Duration;

pub use context::Context;
pub use plan::{Cell, Group, Plan};
pub use progress::Progress;

use crate::workload::Workload;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Repetitions of each measurement.
    pub rounds: usize,
    /// Duration of each repetition.
    pub slice: Duration,
    /// Number of sessions.
    pub sessions: usize,
    /// Bytes of data per session.
    pub payload: usize,
    /// Numbers of callers.
    pub callers: Vec<usize>,
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// Session sizes, with one measurement each.
    pub payloads: Vec<usize>,
    /// Numbers of sessions for the growth of the store.
    pub growth: Vec<usize>,
    /// Numbers of expired sessions for the purge.
    pub purges: Vec<usize>,
    /// Whether the run is only for a first impression.
    pub quick: bool,
    /// Whether each write is on disk when it is acknowledged.
    pub durable: bool,
}

/// Runs all measurements, and adds the results to the report of the context.
///
/// Growth comes first, because the memory of this process can only be measured before it does
/// anything else.
pub async fn run(context: &mut Context, plan: &Plan) {
    growth::run(context).await;
    purge::run(context).await;
    correctness::run(context).await;
    for group in &plan.groups {
        throughput::run(context, group).await;
    }
}
