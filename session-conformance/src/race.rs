//! Bringing two operations into as many orders as can be had from outside.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use rand::RngExt;

use crate::failure::Checked;

/// Runs both at once and returns what they give. Which one is ahead, and by how much, differs from `round` to `round`.
///
/// Odd rounds poll both from one thread in an order that the bits of a random number give, which reaches interleavings of the
/// steps within an operation; even rounds run them as two tasks, one of which starts a little late.
pub(crate) async fn race<A, B>(round: u32, a: A, b: B) -> Checked<(A::Output, B::Output)>
where
    A: Future<Output: Send + 'static> + Send + 'static,
    B: Future<Output: Send + 'static> + Send + 'static,
{
    if round % 2 == 1 {
        return Ok(interleave(rand::random(), a, b).await);
    }
    let late = rand::rng().random_range(0..64);
    let a_is_late = round.is_multiple_of(4);
    let a = tokio::spawn(async move {
        stagger(if a_is_late { late } else { 0 }).await;
        a.await
    });
    let b = tokio::spawn(async move {
        stagger(if a_is_late { 0 } else { late }).await;
        b.await
    });
    Ok((a.await?, b.await?))
}

async fn stagger(steps: u32) {
    for _ in 0..steps {
        tokio::task::yield_now().await;
    }
}

/// Polls `a` where the next bit of `order` is 0 and `b` where it is 1, until both are done.
async fn interleave<A: Future, B: Future>(mut order: u64, a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    poll_fn(move |cx| {
        // Each wake-up takes a few steps, and then lets both register their wakers.
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

/// Polls a future up to `polls` times as it is woken, and then drops it. Returns its output if it was done by then.
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
