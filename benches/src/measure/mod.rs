//! A run: what is measured, in which order, and how long that takes.

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

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often each measurement is repeated.
    pub rounds: usize,
    /// How long each lasts.
    pub slice: Duration,
    /// How many sessions there are.
    pub sessions: usize,
    /// How many bytes each holds.
    pub payload: usize,
    /// With how many callers.
    pub callers: Vec<usize>,
    /// Under which workloads.
    pub workloads: Vec<Workload>,
    /// How long sessions are, for one measurement each.
    pub payloads: Vec<usize>,
    /// How many sessions there are, for the growth of the store.
    pub growth: Vec<usize>,
    /// How many sessions have expired, for the purge.
    pub purges: Vec<usize>,
    /// Whether for a first impression only.
    pub quick: bool,
    /// Whether each write is on the disk when it is acknowledged.
    pub durable: bool,
}

/// Measures everything that was asked for, and leaves what was seen in the report of the context.
///
/// Growth comes first, because the memory of this process is only told from a process that did nothing before.
pub async fn run(context: &mut Context, plan: &Plan) {
    growth::run(context).await;
    purge::run(context).await;
    correctness::run(context).await;
    for group in &plan.groups {
        throughput::run(context, group).await;
    }
}
