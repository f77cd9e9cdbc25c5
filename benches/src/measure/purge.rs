//! The cost of removing expired sessions while live ones remain.

use std::time::{Duration, Instant};

use super::{Context, stage};
use crate::{payload::Payload, report::Purge};

/// The TTL of the sessions that are to expire: long enough to store most of them. Candidates that
/// fill slowly get additional time.
const TTL: Duration = Duration::from_millis(200);

/// Times the purge of each candidate that has one. Excludes caches, which have no purge of their
/// own.
pub(super) async fn run(context: &mut Context) {
    let numbers = context.options.purges.clone();
    let Some(&most) = numbers.iter().max() else { return };
    let payload = Payload::of_len(context.options.payload);
    let live = most;
    for spec in context.specs.clone() {
        if spec.description.kind.is_cached() || context.interrupt.has_come() {
            continue;
        }
        let Some(opened) = stage::open(context, &spec, live + most, false).await else { continue };
        let can = context.interrupt.or(opened.candidate.purge()).await.flatten().is_some();
        if can && opened.fill(context, 0, live, payload).await {
            for &expired in &numbers {
                context.progress.say(format!("{}: purging {expired} expired sessions", opened.id));
                let interrupt = context.interrupt.clone();
                let Some(measured) = interrupt.or(time(&*opened.candidate, live, expired, payload)).await
                else {
                    break;
                };
                context.progress.step();
                match measured {
                    Ok((Some(0), _)) if expired > 0 => {
                        context.report.purges.retain(|purge| purge.candidate != opened.id);
                        context.skip(
                            format!("{}: purge", opened.id),
                            &"the engine removes what has expired by itself",
                        );
                        break;
                    }
                    Ok((purged, took)) => context.report.purges.push(Purge {
                        candidate: opened.id.clone(),
                        live,
                        expired,
                        purged,
                        milliseconds: took.as_secs_f64() * 1e3,
                    }),
                    Err(error) => context.skip(format!("{}: purge", opened.id), &error),
                }
            }
        }
        opened.remove(context).await;
    }
}

async fn time(
    candidate: &dyn crate::candidate::Candidate,
    live: usize,
    expired: usize,
    payload: Payload,
) -> crate::candidate::Result<(Option<u64>, Duration)> {
    candidate.fill(live..live + expired, &payload, TTL).await?;
    tokio::time::sleep(TTL + Duration::from_millis(50) + candidate.lives_longer()).await;
    let begin = Instant::now();
    let purged = candidate.purge().await.unwrap_or(Ok(None))?;
    Ok((purged, begin.elapsed()))
}
