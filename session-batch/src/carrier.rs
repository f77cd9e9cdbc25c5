use std::{mem, sync::Arc};

use session_core::SessionStore;
use tokio::task::coop::consume_budget;

use crate::{
    batch::{Batch, tell, turn_away},
    channel::Channel,
    kind::Kind,
    waiting::Departing,
};

/// Carries a batch to the store, and then the next one for as long as something waits.
pub(crate) struct Carrier<S: SessionStore + 'static, K: Kind> {
    channel: Arc<Channel<S, K>>,
    batch: Option<Batch<K>>,
}

impl<S: SessionStore + 'static, K: Kind> Carrier<S, K> {
    pub(crate) fn new(channel: Arc<Channel<S, K>>, batch: Departing<K>) -> Self {
        Self { channel, batch: Some(Batch::new(batch)) }
    }

    pub(crate) async fn run(mut self) {
        while let Some(batch) = &mut self.batch {
            let mut outcomes = batch.send(&*self.channel.store).await;
            let (settled, next) = self.channel.change(|lane| {
                let settled = batch.settle(&mut outcomes, &mut lane.queue);
                lane.back(batch.keys());
                (settled, lane.next_batch())
            });
            let done = mem::replace(&mut self.batch, next.map(Batch::new));
            // The callers are told last, so that what they do next finds the way as free as it can be.
            if let Some(done) = done {
                done.answer(outcomes);
            }
            for (waiting, outcome) in settled {
                tell(waiting.reply, outcome);
            }
            // With a store that never waits, this would keep a thread to itself.
            consume_budget().await;
        }
    }
}

impl<S: SessionStore + 'static, K: Kind> Drop for Carrier<S, K> {
    /// Only a runtime that shuts down drops a carrier that still has a batch, and then drops the next one, too. So nobody will carry what waits,
    /// and its callers, who may live in another runtime, are told.
    fn drop(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        let abandoned = self.channel.change(|lane| {
            lane.back(batch.keys());
            lane.abandon()
        });
        turn_away(abandoned);
    }
}
