use std::mem;

use session_core::{SessionKey, SessionStore};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    attempt::attempt,
    kind::Kind,
    queue::Queue,
    runtime::Runtime,
    waiting::{Departing, Waiting},
};

/// Operations on their way to the store together, with the ways back to their callers. However it ends, each caller is told.
pub(crate) struct Batch<K: Kind> {
    keys: Vec<SessionKey>,
    items: Vec<K>,
    replies: Vec<oneshot::Sender<K::Outcome>>,
    /// Those that leave with an item as one, for each item.
    followers: Vec<Vec<(u64, Waiting<K>)>>,
    /// The latest of the callers' deadlines: when nobody is left who wants to know.
    deadline: Instant,
    /// What waits under a higher ticket was asked for after this had left.
    ticket: u64,
    sent: bool,
}

impl<K: Kind> Batch<K> {
    /// A batch of these operations, but for those whose deadline has passed. Their places in the queue are free from now on.
    pub(crate) fn new(departing: Departing<K>) -> Self {
        let Departing { waiting, ticket } = departing;
        let keys = waiting.iter().map(|waiting| *waiting.item.key()).collect();
        let (late, timely): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| Runtime::has_passed(waiting.deadline));
        for waiting in late {
            tell_all(waiting.reply, waiting.followers, Err(K::expired()));
        }
        let deadline = timely.iter().map(|waiting| waiting.deadline).max().unwrap_or_else(Runtime::now);
        let (mut items, mut replies, mut followers) = (Vec::new(), Vec::new(), Vec::new());
        for waiting in timely {
            items.push(waiting.item);
            replies.push(waiting.reply);
            followers.push(waiting.followers);
        }
        Self { keys, items, replies, followers, deadline, ticket, sent: false }
    }

    /// The keys that are held for this batch.
    pub(crate) fn keys(&self) -> impl Iterator<Item = SessionKey> {
        self.keys.iter().copied()
    }

    /// Sends it, and returns an outcome for each operation, also if the store panics, miscounts, or does not answer in time.
    pub(crate) async fn send<S: SessionStore>(&mut self, store: &S) -> Vec<K::Outcome> {
        self.sent = true;
        let outcomes = attempt(async {
            match &*self.items {
                [] => Vec::new(),
                // The store's plain statement is at least as good for one.
                [item] => vec![item.clone().one(store).await],
                items => K::many(items, store).await,
            }
        });
        let reason = match Runtime::until(self.deadline, outcomes).await {
            Some(Ok(outcomes)) if outcomes.len() == self.items.len() => return outcomes,
            Some(Ok(outcomes)) => {
                format!("the store gave {} outcomes for {} items", outcomes.len(), self.items.len())
            }
            Some(Err(panicked)) => panicked.to_owned(),
            None => "there was no answer within the deadline".to_owned(),
        };
        self.items.iter().map(|_| Err(K::lost(&reason))).collect()
    }

    /// Takes changes out of the queue whose outcome is known from these outcomes, because they were asked for before this was sent. Their callers are to be
    /// told.
    ///
    /// What was sent as one, and did not take effect, goes back to the queue first, but for the first of it, so that each of them has an outcome of its own.
    pub(crate) fn settle(
        &mut self,
        outcomes: &mut [K::Outcome],
        queue: &mut Queue<K>,
    ) -> Vec<(Waiting<K>, K::Outcome)> {
        for ((item, outcome), followers) in self.items.iter().zip(&mut *outcomes).zip(&mut self.followers) {
            if let Some((_, next)) = followers.first()
                && let Some(first) = K::of_first(outcome, &next.item)
            {
                *outcome = first;
                queue.put_back(item.key(), mem::take(followers));
            }
        }
        let outcomes = &*outcomes;
        let answered = self.items.iter().zip(outcomes).filter(|(_, outcome)| K::tells_of_others(outcome));
        answered
            .flat_map(|(item, outcome)| {
                queue.settle(item.key(), self.ticket, |other| K::settled(outcome, other))
            })
            .collect()
    }

    /// Tells every caller its outcome.
    pub(crate) fn answer(mut self, outcomes: Vec<K::Outcome>) {
        let told = mem::take(&mut self.replies).into_iter().zip(mem::take(&mut self.followers));
        for ((reply, followers), outcome) in told.zip(outcomes) {
            tell_all(reply, followers, outcome);
        }
    }
}

impl<K: Kind> Drop for Batch<K> {
    fn drop(&mut self) {
        let told = mem::take(&mut self.replies).into_iter().zip(mem::take(&mut self.followers));
        for (reply, followers) in told {
            let error = if self.sent { K::lost(RUNTIME_GONE) } else { K::unsent(RUNTIME_GONE) };
            tell_all(reply, followers, Err(error));
        }
    }
}

const RUNTIME_GONE: &str = "the runtime that carries batches has shut down";

/// Tells callers that nobody is left to carry their operations.
pub(crate) fn turn_away<K: Kind>(abandoned: Vec<Waiting<K>>) {
    for waiting in abandoned {
        tell(waiting.reply, Err(K::unsent(RUNTIME_GONE)));
    }
}

fn tell_all<K: Kind>(
    first: oneshot::Sender<K::Outcome>,
    followers: Vec<(u64, Waiting<K>)>,
    outcome: K::Outcome,
) {
    for (_, follower) in followers {
        tell(follower.reply, outcome.clone());
    }
    tell(first, outcome);
}

pub(crate) fn tell<T>(reply: oneshot::Sender<T>, outcome: T) {
    // A caller that has given up does not want to know.
    let _ = reply.send(outcome);
}
