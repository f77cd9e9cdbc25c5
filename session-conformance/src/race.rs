//! Brings two operations into as many orders as can be produced from outside.

use std::{
    future::{Future, poll_fn},
    hint,
    pin::pin,
    sync::{Arc, Barrier},
    task::Poll,
};

use rand::RngExt;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
};

use crate::failure::Checked;

/// Runs both at once and returns their outputs. Which one is ahead, and by how much, varies by
/// `round`.
///
/// Odd rounds poll both from one thread, in an order given by the bits of a random number, which
/// reaches interleavings of the steps within an operation. Even rounds run them on two threads that
/// start together, one of them slightly late.
pub(crate) async fn race<A, B>(round: u32, a: A, b: B) -> Checked<(A::Output, B::Output)>
where
    A: Future<Output: Send + 'static> + Send + 'static,
    B: Future<Output: Send + 'static> + Send + 'static,
{
    if round % 2 == 1 {
        return Ok(interleave(rand::random(), a, b).await);
    }
    let start = Arc::new(Barrier::new(2));
    let late = rand::rng().random_range(0..500);
    let (a_waits, b_waits) = if round.is_multiple_of(4) { (late, 0) } else { (0, late) };
    let a = on_a_thread(a, Arc::clone(&start), a_waits);
    let b = on_a_thread(b, start, b_waits);
    Ok((a.await?, b.await?))
}

/// Runs a future on its own thread, so that even one that never yields does not block the other.
fn on_a_thread<F>(future: F, start: Arc<Barrier>, late: u32) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let runtime = Handle::current();
    spawn_blocking(move || {
        start.wait();
        for _ in 0..late {
            hint::spin_loop();
        }
        runtime.block_on(future)
    })
}

/// Starts to run a future on its own thread.
pub(crate) fn run_beside<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    on_a_thread(future, Arc::new(Barrier::new(1)), 0)
}

/// Polls `a` where the next bit of `order` is 0 and `b` where it is 1, until both are done.
async fn interleave<A: Future, B: Future>(mut order: u64, a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    poll_fn(move |cx| {
        // Each wake-up takes a few steps. In the last one, both register their wakers.
        let mut steps = 4;
        while steps > 0 && (from_a.is_none() || from_b.is_none()) {
            steps -= 1;
            let turn_of_b = order & 1 == 1;
            order = order.rotate_right(1);
            let last = steps == 0;
            if from_a.is_none()
                && (last || !turn_of_b)
                && let Poll::Ready(output) = a.as_mut().poll(cx)
            {
                from_a = Some(output);
            }
            if from_b.is_none()
                && (last || turn_of_b)
                && let Poll::Ready(output) = b.as_mut().poll(cx)
            {
                from_b = Some(output);
            }
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Polls a future up to `polls` times, each time it is woken, and then drops it. Returns its output
/// if it has finished by then.
pub(crate) async fn poll_then_drop<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
