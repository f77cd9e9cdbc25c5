//! Throughput, latency and bytes as the store grows.

use std::{sync::Arc, time::Instant};

use super::{Context, footprint, stage};
use crate::{
    engine::{Engine, rss},
    keys::Spread as Keys,
    memory,
    payload::Payload,
    report::{Growth, Spread},
    workload::{Load, RING, Slice, Workload, closed_loop},
};

/// Grows each of our stores, and the plain drivers, from the smallest to the largest size.
pub(super) async fn run(context: &mut Context) {
    let sizes = context.options.growth.clone();
    let Some(&most) = sizes.iter().max() else { return };
    let payload = Payload::of_len(context.options.payload);
    for spec in context.specs.clone() {
        // A cache does not grow beyond its bound, and filling peers one session at a time takes an
        // hour.
        if spec.description.kind.is_cached()
            || spec.description.kind.is_peer()
            || context.interrupt.has_come()
        {
            continue;
        }
        let Some(opened) = stage::open(context, &spec, most + RING, true).await else { continue };
        let engine = spec.description.engine;
        let base = opened.candidate.size().await.ok().flatten().unwrap_or_default();
        let memory_before = memory::resident_bytes();
        let mut filled = 0;
        for &sessions in &sizes {
            let begin = Instant::now();
            if !opened.fill(context, filled, sessions, payload).await {
                break;
            }
            let (stored, took) = (sessions - filled, begin.elapsed());
            filled = sessions;
            let (process_memory, size) = if engine == Engine::Memory {
                context.progress.say(format!("{}: the memory of {sessions} sessions", opened.id));
                let interrupt = context.interrupt.clone();
                match interrupt.or(footprint::of(&opened.id, sessions, payload.len())).await {
                    Some(Ok(bytes)) => (bytes, Some(bytes)),
                    Some(Err(error)) => {
                        context.skip(format!("{}: its memory", opened.id), &error);
                        break;
                    }
                    None => break,
                }
            } else {
                let size = opened.candidate.size().await.ok().flatten();
                let grown = memory::resident_bytes().saturating_sub(memory_before);
                (grown, size.map(|size| size.saturating_sub(base)))
            };
            let load = Load {
                candidate: Arc::clone(&opened.candidate),
                workload: Workload::B,
                sessions,
                payload,
                order: Load::order(Keys::Zipf, sessions),
                rooms: 1,
                wave: 0,
            };
            let slices = measure(context, &load, opened.pid).await;
            context.progress.step();
            let throughput = Spread::of(slices.iter().map(Slice::throughput));
            let p99 = Spread::of(slices.iter().map(|slice| slice.at(0.99)));
            let (Some(throughput), Some(p99)) = (throughput, p99) else { break };
            #[expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]
            context.report.growth.push(Growth {
                candidate: opened.id.clone(),
                sessions,
                filled: stored as f64 / took.as_secs_f64(),
                throughput,
                p99,
                bytes_per_session: size.map(|size| size as f64 / sessions as f64),
                process_memory,
                server_memory: opened.pid.map(rss::of_tree),
                failed: slices.iter().map(|slice| slice.failed).sum(),
            });
        }
        opened.remove(context).await;
    }
}

async fn measure(context: &Context, load: &Load, pid: Option<u32>) -> Vec<Slice> {
    let (mut slices, next) = (Vec::new(), Arc::default());
    let callers = super::plan::many(&context.options.callers);
    for _ in 0..context.options.rounds {
        let slice = closed_loop(load, callers, context.options.slice, pid, &next);
        slices.extend(context.interrupt.or(slice).await);
    }
    slices
}
