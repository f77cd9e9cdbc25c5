//! Changes whose outcome a fault hides. What the store reports of each must be true, and no change
//! is made twice.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use session_core::SessionId;
use tokio::{task::yield_now, time::sleep};

use crate::{
    Breakable, Context, Fault,
    assertions::{await_service, spin},
    failure::Checked,
    model::{
        By,
        run::Run,
        step::{Act, Guess, Step},
        table::{self, Row},
    },
    product::AT_ONCE,
};

/// The time for a resent request to arrive after the fault.
const ARRIVAL: Duration = Duration::from_millis(150);

/// What happens to a session after the change of unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The change is redelivered.
    Again,
    /// The session is ended, and must not come back.
    Logout,
}

/// Makes each change while a fault begins, before it or at a random moment of it, and compares the
/// reports of the store with the stored records.
pub(crate) async fn each_change_tells_the_truth(cx: &Context, fault: Fault, usual: u32) -> Checked {
    let broken = cx.breakable().await?;
    for round in cx.rounds(usual).for_longer() {
        // A thawed server executes its buffered requests, even after a logout. A killed server may
        // have lost acknowledged changes.
        let is_down = matches!(fault, Fault::Freeze | Fault::Kill);
        let then = if round % 2 == 0 || is_down { Then::Again } else { Then::Logout };
        // A slow store does only the first rounds. The second one begins its fault amid the
        // changes.
        let is_first = matches!(round % 4, 0 | 3);
        let found = one_round(cx, &broken, fault, is_first, then).await;
        found.map_err(|failure| failure.within(&format!("fault {fault:?}, round {round}")))?;
    }
    Ok(())
}

async fn one_round(cx: &Context, broken: &Breakable, fault: Fault, is_first: bool, then: Then) -> Checked {
    let mut handles = vec![broken.store.clone()];
    handles.extend(broken.beside.clone().filter(|_| fault != Fault::Kill));
    let mut changes = cx.effective();
    changes.extend(cx.idle());
    if then == Then::Logout {
        // A change that names no version may still be executed after its caller has given up. Other
        // cases test those.
        changes.retain(|row| !row.change.iter().any(asks_for_no_version));
    }
    let rows = changes.into_iter().map(|row| prepare(cx.run_on(handles.clone()), row));
    let prepared: Vec<_> = stream::iter(rows).buffer_unordered(AT_ONCE).try_collect().await?;
    let latency = latency(broken).await?;
    if is_first {
        broken.control.inject(fault).await;
    }
    let changing: Vec<_> = prepared.into_iter().map(|(run, row)| tokio::spawn(change(run, row))).collect();
    if !is_first {
        a_moment(latency).await;
        broken.control.inject(fault).await;
    }
    let mut runs = Vec::new();
    for changed in changing {
        runs.push(changed.await??);
    }
    let past_the_fault = broken.beside.as_ref().map(|_| 1);
    if let (Then::Logout, Some(beside)) = (then, past_the_fault) {
        log_out(&mut runs, beside).await?;
    }
    broken.control.heal(fault).await;
    await_service(broken).await?;
    if then == Then::Logout && past_the_fault.is_none() {
        log_out(&mut runs, 0).await?;
    }
    sleep(ARRIVAL).await;
    let looked = runs.into_iter().map(|mut run| async move {
        if fault == Fault::Kill {
            run.forget_what_is_lost().await?;
        }
        run.look_everywhere().await?;
        if then == Then::Again && !run.has_renamed() {
            run.step(&Step { handle: 0, act: Act::Again }).await?;
            run.look_everywhere().await?;
        }
        Ok(())
    });
    stream::iter(looked).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

async fn prepare(mut run: Run, row: Row) -> Checked<(Run, Row)> {
    run.steps(&row.before).await?;
    Ok((run, row))
}

async fn change(mut run: Run, row: Row) -> Checked<Run> {
    run.expect_faults(true);
    run.steps(&row.change).await?;
    run.expect_faults(false);
    Ok(run)
}

async fn log_out(runs: &mut [Run], handle: usize) -> Checked {
    for run in runs {
        // On a busy machine the delete may fail, and must then report that truly.
        run.expect_faults(true);
        let keys = [table::KEY, table::NEW, table::FAR].map(|key| (key, Guess::Any));
        run.step(&Step { handle, act: Act::Delete(keys.to_vec(), By::Single) }).await?;
        run.expect_faults(false);
    }
    Ok(())
}

fn asks_for_no_version(step: &Step) -> bool {
    let Act::Write(planned, _) = &step.act else { return false };
    planned.iter().any(|planned| matches!(planned.guess, Guess::Any | Guess::Absent))
}

/// Measures the current duration of a call.
pub(crate) async fn latency(broken: &Breakable) -> Checked<Duration> {
    let begun = Instant::now();
    for _ in 0..3 {
        let _ = broken.store.read(&SessionId::generate().key()).await?;
    }
    Ok(begun.elapsed() / 3)
}

/// Yields to other tasks for up to about the duration of a change of a few steps. If that is almost
/// zero, yields a number of times.
pub(crate) async fn a_moment(latency: Duration) {
    if latency < Duration::from_micros(50) {
        let turns = rand::random_range(0..60);
        for _ in 0..turns {
            yield_now().await;
        }
        return;
    }
    let moment = latency.mul_f64(rand::random_range(0.0..4.0));
    spin(moment).await;
}
