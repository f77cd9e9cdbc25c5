//! Throughput and latency, in interleaved rounds.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};

use super::{
    Cell, Context, Group,
    stage::{self, Opened},
};
use crate::{
    candidate::{Candidate, Error},
    payload::Payload,
    report::{Measurement, Mode, Spread},
    workload::{Load, RING, Slice, WAVE, Workload, closed_loop, open_loop},
};

/// The highest arrival rate per second that one thread can sustain on time.
const MOST_ARRIVALS: f64 = 50_000.0;

/// The slices of the open loop are longer by this factor, for the sake of their percentiles.
const LONGER: u32 = 3;

/// A candidate, and the number of its next operation.
struct Runner {
    opened: Opened,
    next: Arc<AtomicUsize>,
}

/// Runs all cells of a group.
pub(super) async fn run(context: &mut Context, group: &Group) {
    let payload = Payload::of_len(group.payload);
    let mut runners = Vec::new();
    for spec in context.specs.clone() {
        let Some(opened) = stage::open(context, &spec, group.sessions + RING + WAVE, true).await else {
            continue;
        };
        if opened.fill(context, 0, group.sessions, payload).await {
            runners.push(Runner { opened, next: Arc::default() });
        } else {
            opened.remove(context).await;
        }
    }
    // The first calls open connections and prepare statements. Reading everything once fills a
    // cache, as on a server that has been up for a while.
    for runner in &runners {
        if runner.opened.kind.is_cached() {
            let _ = context.interrupt.or(read_all(&runner.opened.candidate, group.sessions)).await;
        }
        let cell = Cell {
            workload: Workload::B,
            keys: crate::keys::Spread::Zipf,
            mode: Mode::Closed { callers: 64 },
        };
        if !context.interrupt.has_come() {
            one_slice(context, runner, &load(context, runner, group, cell, payload), cell, None).await;
        }
    }
    for cell in &group.cells {
        measure(context, &runners, group, *cell, payload).await;
    }
    for runner in runners {
        runner.opened.remove(context).await;
    }
}

/// Reads every session once.
async fn read_all(candidate: &Arc<dyn Candidate>, sessions: usize) {
    stream::iter(0..sessions)
        // Whether the sessions can be read is measured later.
        .for_each_concurrent(64, |session| async move { drop(candidate.read(session).await) })
        .await;
}

fn load(context: &Context, runner: &Runner, group: &Group, cell: Cell, payload: Payload) -> Load {
    let callers = match cell.mode {
        Mode::Closed { callers } => callers,
        Mode::Open { .. } => 64,
    };
    Load {
        candidate: Arc::clone(&runner.opened.candidate),
        workload: cell.workload,
        sessions: group.sessions,
        payload,
        order: Load::order(cell.keys, group.sessions),
        rooms: (callers / 8).max(1),
        wave: if context.options.quick { WAVE / 50 } else { WAVE },
    }
}

/// Measures all candidates in one cell.
async fn measure(context: &mut Context, runners: &[Runner], group: &Group, cell: Cell, payload: Payload) {
    let mut able = Vec::new();
    for runner in runners {
        let load = load(context, runner, group, cell, payload);
        if load.is_possible().await {
            let rate = match cell.mode {
                Mode::Closed { .. } => None,
                Mode::Open { share } => rate_of(context, runner, cell, share),
            };
            if matches!(cell.mode, Mode::Closed { .. }) || rate.is_some() {
                able.push((runner, load, rate));
            }
        }
    }
    let mut slices: Vec<Vec<Slice>> = vec![Vec::new(); able.len()];
    for round in 0..context.options.rounds {
        for turn in 0..able.len() {
            let index = (round + turn) % able.len();
            let (runner, load, rate) = &able[index];
            if context.interrupt.has_come() {
                break;
            }
            context.progress.say(format!("{}: {}", runner.opened.id, cell.workload.title()));
            if let Some(slice) = one_slice(context, runner, load, cell, *rate).await {
                slices[index].push(slice);
            }
            context.progress.step();
        }
    }
    for ((runner, ..), slices) in able.iter().zip(slices) {
        context.report.measurements.extend(summarised(&runner.opened.id, group, cell, &slices));
    }
}

/// The arrival rate: a share of what the candidate achieved with many callers.
fn rate_of(context: &Context, runner: &Runner, cell: Cell, share: f64) -> Option<f64> {
    let callers = super::plan::many(&context.options.callers);
    let achieved = context.report.measurements.iter().find(|measured| {
        measured.candidate == runner.opened.id
            && measured.workload == cell.workload
            && measured.keys == cell.keys.name()
            && measured.mode == Mode::Closed { callers }
    })?;
    Some((achieved.throughput.median * share).min(MOST_ARRIVALS))
}

async fn one_slice(
    context: &Context,
    runner: &Runner,
    load: &Load,
    cell: Cell,
    rate: Option<f64>,
) -> Option<Slice> {
    let prepared = context.interrupt.or(load.prepare()).await?;
    let (pid, duration) = (runner.opened.pid, context.options.slice);
    let purged = async {
        match cell.workload {
            Workload::Expiry => load.candidate.purge().await.unwrap_or(Ok(None)),
            _ => Ok(None),
        }
    };
    let running = async {
        match (cell.mode, rate) {
            (Mode::Closed { callers }, _) => closed_loop(load, callers, duration, pid, &runner.next).await,
            (Mode::Open { .. }, rate) => {
                open_loop(load, rate.unwrap_or(1.0), duration * LONGER, pid, &runner.next).await
            }
        }
    };
    let (mut slice, purged) = context.interrupt.or(async { tokio::join!(running, purged) }).await?;
    for failed in [prepared.err(), purged.err()].into_iter().flatten() {
        slice.record(Duration::ZERO, Err(Error::from(format!("before or beside the callers: {failed}"))));
    }
    Some(slice)
}

/// Summarises the rounds. `None` if there were none.
fn summarised(id: &str, group: &Group, cell: Cell, slices: &[Slice]) -> Option<Measurement> {
    let of = |value: &dyn Fn(&Slice) -> f64| Spread::of(slices.iter().map(value));
    Some(Measurement {
        candidate: id.to_owned(),
        workload: cell.workload,
        keys: cell.keys.name().to_owned(),
        sessions: group.sessions,
        payload: group.payload,
        mode: cell.mode,
        throughput: of(&Slice::throughput)?,
        p50: of(&|slice| slice.at(0.5))?,
        p90: of(&|slice| slice.at(0.9))?,
        p99: of(&|slice| slice.at(0.99))?,
        p999: of(&|slice| slice.at(0.999))?,
        client_cpu: of(&|slice| slice.each(slice.client_cpu))?,
        server_cpu: Spread::of(slices.iter().filter_map(|slice| Some(slice.each(slice.server_cpu?)))),
        operations: slices.iter().map(Slice::operations).sum(),
        conflicts: slices.iter().map(|slice| slice.conflicts).sum(),
        failed: slices.iter().map(|slice| slice.failed).sum(),
        first_failure: slices.iter().find_map(|slice| slice.first_failure.clone()),
    })
}
