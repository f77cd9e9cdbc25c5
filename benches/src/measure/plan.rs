use std::time::Duration;

use super::Options;
use crate::{keys::Spread, report::Mode, workload::Workload};

/// The number of callers where that number is not the subject of the measurement.
const MANY: usize = 64;

/// The arrival rate of the open loop as a share of the closed loop's throughput.
const SHARE: f64 = 0.5;

/// The overhead of a slice: waiting for the last operations of many callers, and for sessions to
/// expire.
const AROUND: Duration = Duration::from_millis(150);

/// The number of sessions of each size, so that long ones fit into memory.
const OF_EACH_LENGTH: usize = 1_000;

/// One measurement, done for each candidate.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The workload.
    pub workload: Workload,
    /// How the operations spread over the sessions.
    pub keys: Spread,
    /// How operations begin.
    pub mode: Mode,
}

/// Measurements on the same sessions.
#[derive(Clone, Debug)]
pub struct Group {
    /// The number of sessions.
    pub sessions: usize,
    /// Bytes of data per session.
    pub payload: usize,
    /// The measurements, in order.
    pub cells: Vec<Cell>,
}

/// All measurements of throughput and latency.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The groups, in order.
    pub groups: Vec<Group>,
}

impl Plan {
    /// The plan for these options.
    pub fn of(options: &Options) -> Self {
        let many = many(&options.callers);
        let cell = |workload, keys, callers| Cell { workload, keys, mode: Mode::Closed { callers } };
        let asked = |workload: &Workload| options.workloads.contains(workload);
        let mut cells = Vec::new();
        for workload in Workload::YCSB.into_iter().filter(asked) {
            for &callers in &options.callers {
                cells.push(cell(workload, Spread::Zipf, callers));
            }
        }
        if asked(&Workload::B) {
            cells.push(cell(Workload::B, Spread::Uniform, many));
        }
        for workload in [Workload::A, Workload::B].into_iter().filter(asked) {
            cells.push(Cell { workload, keys: Spread::Zipf, mode: Mode::Open { share: SHARE } });
        }
        for workload in Workload::ALL.into_iter().filter(asked) {
            if !Workload::YCSB.contains(&workload) {
                cells.push(cell(workload, Spread::Zipf, many));
            }
        }
        let mut groups = vec![Group { sessions: options.sessions, payload: options.payload, cells }];
        if asked(&Workload::B) {
            groups.extend(options.payloads.iter().map(|&payload| Group {
                sessions: options.sessions.min(OF_EACH_LENGTH),
                payload,
                cells: vec![cell(Workload::B, Spread::Zipf, many)],
            }));
        }
        Self { groups }
    }

    /// The maximum number of progress steps for this many candidates. Not every candidate supports
    /// everything.
    pub fn steps(&self, options: &Options, candidates: usize) -> u64 {
        let cells: usize = self.groups.iter().map(|group| group.cells.len()).sum();
        let steps = (cells * options.rounds + options.growth.len() + options.purges.len() + 1) * candidates;
        u64::try_from(steps).unwrap_or(u64::MAX)
    }

    /// An estimate of the duration for this many candidates, including preparation. Based on runs
    /// on a machine with two cores.
    pub fn time(&self, options: &Options, candidates: usize) -> Duration {
        let cells: usize = self.groups.iter().map(|group| group.cells.len()).sum();
        let slices = u32::try_from(cells * options.rounds * candidates).unwrap_or(u32::MAX);
        let filled: usize = self.groups.iter().map(|group| group.sessions).sum::<usize>() * candidates
            + (options.growth.iter().max().unwrap_or(&0) + options.purges.iter().sum::<usize>()) * candidates
                / 2;
        let filling = Duration::from_micros(u64::try_from(filled).unwrap_or(u64::MAX).saturating_mul(20));
        let starting = Duration::from_secs(if options.quick { 10 } else { 15 });
        (options.slice + AROUND) * slices + filling + starting
    }
}

/// The number of callers, among these, that stands for "many".
pub(super) fn many(callers: &[usize]) -> usize {
    callers.iter().copied().min_by_key(|callers| callers.abs_diff(MANY)).unwrap_or(MANY)
}
