use std::{mem, sync::Arc, time::Duration};

use session_core::Result;
use tokio::{sync::Notify, task::coop::consume_budget};

use super::{
    batch::{Batch, reject, reply},
    batch_op::BatchOp,
    close_gate::still_in_flight,
    message::ReadyBatch,
    queue_room::QueueRoom,
    runtime::{Mutex, Runtime},
    scheduler::Scheduler,
    settings::BatchSettings,
};
use crate::Backend;

/// Sends one kind of operation: its scheduler under a lock, and the workers that carry out what the
/// scheduler decides.
pub(crate) struct Dispatcher<B, O: BatchOp> {
    pub(crate) backend: Arc<B>,
    pub(crate) scheduler: Mutex<Scheduler<O>>,
    pub(crate) room: QueueRoom,
    /// The time that an operation has.
    pub(crate) deadline: Duration,
    runtime: Runtime,
    /// Is notified when a closed scheduler is drained.
    drained: Notify,
}

impl<B: Backend, O: BatchOp> Dispatcher<B, O> {
    pub(crate) fn new(backend: &Arc<B>, settings: &BatchSettings, runtime: &Runtime) -> Arc<Self> {
        Arc::new(Self {
            backend: Arc::clone(backend),
            scheduler: Mutex::new(Scheduler::new(*settings, backend.max_data_len())),
            room: QueueRoom::new(settings),
            deadline: settings.deadline,
            runtime: runtime.clone(),
            drained: Notify::new(),
        })
    }

    /// Changes the scheduler, then starts workers for the batches that it has, and wakes
    /// [`drain`](Self::drain) if nothing is left.
    ///
    /// Change and decision are one step under the lock, so no message stays behind that could be
    /// sent, and no wake-up is lost.
    pub(crate) fn update<T>(self: &Arc<Self>, change: impl FnOnce(&mut Scheduler<O>) -> T) -> T {
        let (changed, mut ready, is_drained) = {
            let mut scheduler = self.scheduler.lock();
            (change(&mut scheduler), scheduler.next_batch(), scheduler.is_drained())
        };
        if is_drained {
            self.drained.notify_waiters();
        }
        while let Some(batch) = ready {
            self.runtime.spawn(Worker::new(Arc::clone(self), batch).run());
            ready = self.scheduler.lock().next_batch();
        }
        changed
    }

    /// Refuses further operations. Those that wait are still sent.
    pub(crate) fn close(&self) {
        self.scheduler.lock().close();
    }

    /// Waits after [`close`](Self::close) until nothing waits or is in flight.
    pub(crate) async fn drain(&self) -> Result<()> {
        let drained = async {
            loop {
                // Registered before the look, so that no notification is missed.
                let notified = self.drained.notified();
                if self.scheduler.lock().is_drained() {
                    return;
                }
                notified.await;
            }
        };
        Runtime::until(Runtime::now() + self.deadline, drained).await.ok_or_else(still_in_flight)
    }
}

/// A task that sends a batch, and then the next one for as long as messages wait.
struct Worker<B: Backend, O: BatchOp> {
    dispatcher: Arc<Dispatcher<B, O>>,
    batch: Option<Batch<O>>,
}

impl<B: Backend, O: BatchOp> Worker<B, O> {
    fn new(dispatcher: Arc<Dispatcher<B, O>>, batch: ReadyBatch<O>) -> Self {
        Self { dispatcher, batch: Some(Batch::new(batch)) }
    }

    async fn run(mut self) {
        while let Some(batch) = &mut self.batch {
            let mut outcomes = batch.send(&*self.dispatcher.backend).await;
            let (settled, next) = self.dispatcher.update(|scheduler| {
                let settled = batch.settle(&mut outcomes, &mut scheduler.queue);
                scheduler.batch_done(batch.keys());
                (settled, scheduler.next_batch())
            });
            let done = mem::replace(&mut self.batch, next.map(Batch::new));
            // Replies come last, so that what the callers do next finds as much room as there can be.
            if let Some(done) = done {
                done.reply(outcomes);
            }
            for (message, outcome) in settled {
                reply(message.reply, outcome);
            }
            // With a backend that never waits, this task would keep a thread to itself.
            consume_budget().await;
        }
    }
}

impl<B: Backend, O: BatchOp> Drop for Worker<B, O> {
    /// A worker that still has a batch is dropped only by a runtime that shuts down, which drops each
    /// further worker as well. So the messages that wait are rejected; their callers may live in
    /// another runtime.
    fn drop(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        let abandoned = self.dispatcher.update(|scheduler| {
            scheduler.batch_done(batch.keys());
            scheduler.abandon()
        });
        reject(abandoned);
    }
}
