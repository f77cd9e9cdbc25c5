use std::{future::Future, sync::Arc, time::Duration};

use session_core::{Error, ErrorKind, Event, Operation, Result, Write};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{
    connections::{Connections, Lease},
    dialect::{Connection, Dialect, Meaning, SqlResult},
    replica::Replica,
};
use crate::deadline::Deadline;

/// What all handles on one store share.
#[derive(Debug)]
pub(crate) struct Core<D: Dialect> {
    pub(crate) dialect: D,
    pub(crate) connections: Connections<D>,
    pub(crate) replica: Option<Replica<D>>,
    pub(crate) closed: watch::Sender<bool>,
    pub(crate) deadline: Duration,
    pub(crate) max_data_len: usize,
    /// Approximate limit on the bytes of data in one statement.
    pub(crate) batch_bytes: usize,
}

/// A read or a change on one connection, which takes effect as a whole or not at all.
pub(crate) trait Job<D: Dialect>: Send + Sync + 'static {
    type Outcome: Send + 'static;

    const OPERATION: Operation;

    /// Whether the job can be sent again, whatever the outcome of earlier attempts.
    const QUESTION: bool = false;

    fn run(
        &self,
        core: &Core<D>,
        connection: &mut Connection<D>,
    ) -> impl Future<Output = SqlResult<Self::Outcome>> + Send;

    /// Finds out, on another connection, the outcome of a change whose connection was lost. The
    /// default implementation returns [`Verdict::Unknown`].
    fn find_out(
        &self,
        core: &Core<D>,
        connection: &mut Connection<D>,
        by_server: bool,
    ) -> impl Future<Output = SqlResult<Verdict<Self::Outcome>>> + Send {
        let _ = (core, connection, by_server);
        async { Ok(Verdict::Unknown) }
    }
}

/// The outcome of a change whose connection was lost.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    Done(T),
    /// It was not carried out, and will not be.
    Undone,
    Unknown,
}

/// The maximum pause before the first retry of a failed job.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

/// The pauses between the attempts of a job. Each has a random length, with an upper bound that
/// doubles each time.
struct Pause {
    longest: Duration,
    most: Duration,
}

impl Pause {
    /// Waits. Returns false at once if the deadline would pass during the pause.
    async fn wait(&mut self, deadline: Deadline) -> bool {
        let wait = self.longest.mul_f64(rand::random());
        if Instant::now() + wait >= deadline.at() {
            return false;
        }
        sleep(wait).await;
        self.longest = (self.longest * 2).min(self.most);
        true
    }
}

impl<D: Dialect> Core<D> {
    fn ensure_open(&self, operation: Operation) -> Result<()> {
        if *self.closed.borrow() { Err(Error::new(ErrorKind::Closed, operation)) } else { Ok(()) }
    }

    /// Runs a job once there is a connection for it. A job that has begun runs until it ends or its
    /// deadline passes, even if its caller is dropped.
    pub(crate) async fn run<J: Job<D>>(self: &Arc<Self>, job: J) -> Result<J::Outcome> {
        self.ensure_open(J::OPERATION)?;
        let deadline = Deadline::after(self.deadline);
        let lease = self.lease(J::OPERATION, deadline).await?;
        self.ensure_open(J::OPERATION)?;
        let core = Arc::clone(self);
        let task = tokio::spawn(async move {
            let outcome = core.attempts(&job, lease, deadline).await;
            if outcome.as_ref().is_err_and(Error::may_have_applied) {
                core.dialect.tell(Event::Missed);
            }
            outcome
        });
        task.await.unwrap_or_else(|ended| {
            let lost = Error::unavailable(J::OPERATION, !J::QUESTION);
            Err(lost.because("its task was ended").with_source(ended))
        })
    }

    async fn lease(&self, operation: Operation, deadline: Deadline) -> Result<Lease<D>> {
        deadline.wait(operation, self.connections.lease(&self.dialect, operation)).await
    }

    async fn attempts<J: Job<D>>(
        &self,
        job: &J,
        mut lease: Lease<D>,
        deadline: Deadline,
    ) -> Result<J::Outcome> {
        let operation = J::OPERATION;
        let silence = || {
            Err(Error::unavailable(operation, !J::QUESTION)
                .because("there was no answer within the deadline"))
        };
        let mut pause = Pause { longest: FIRST_PAUSE, most: self.deadline / 8 };
        // Why the previous server could not serve. That is a more useful error than a timeout.
        let mut before = None;
        loop {
            let Ok(outcome) = timeout_at(deadline.at(), job.run(self, lease.connection())).await else {
                return before.filter(|_| J::QUESTION).map_or_else(silence, Err);
            };
            let error = match outcome {
                Ok(outcome) => {
                    lease.is_clean();
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            match D::meaning(operation, &error) {
                Meaning::Refused(refusal) => {
                    lease.is_clean();
                    return Err(refusal.with_source(error));
                }
                Meaning::Again => {
                    lease.is_clean();
                    if !pause.wait(deadline).await {
                        let busy = Error::unavailable(operation, false);
                        return Err(busy
                            .because("others were in the way until the deadline")
                            .with_source(error));
                    }
                }
                Meaning::Elsewhere(refusal) => {
                    self.leave(lease);
                    if !pause.wait(deadline).await {
                        return Err(refusal.with_source(error));
                    }
                    // If no other server is available, this error says why.
                    let Ok(again) = self.lease(operation, deadline).await else {
                        return Err(refusal.with_source(error));
                    };
                    lease = again;
                    before = Some(refusal.with_source(error));
                }
                Meaning::Lost { by_server } => {
                    self.leave(lease);
                    let lost = |error| {
                        Error::unavailable(operation, !J::QUESTION)
                            .because("the connection was lost")
                            .with_source(error)
                    };
                    lease = match self.lease(operation, deadline).await {
                        Ok(again) => again,
                        // A read has changed nothing, and this newer error is more useful.
                        Err(refusal) if J::QUESTION => return Err(refusal),
                        Err(_) => return Err(lost(error)),
                    };
                    if J::QUESTION {
                        if !pause.wait(deadline).await {
                            return Err(lost(error));
                        }
                        continue;
                    }
                    let found =
                        timeout_at(deadline.at(), job.find_out(self, lease.connection(), by_server)).await;
                    match found {
                        Ok(Ok(Verdict::Done(outcome))) => {
                            lease.is_clean();
                            return Ok(outcome);
                        }
                        Ok(Ok(Verdict::Undone)) => lease.is_clean(),
                        Ok(Ok(Verdict::Unknown)) => {
                            lease.is_clean();
                            return Err(lost(error));
                        }
                        _ => return Err(lost(error)),
                    }
                }
            }
        }
    }

    /// Gives up a connection. The other connections may lead to the same server, or to none, so
    /// they are checked before their next use.
    fn leave(&self, lease: Lease<D>) {
        drop(lease);
        self.connections.doubt();
        self.dialect.switched();
    }

    pub(crate) fn check_len(&self, operation: Operation, write: &Write) -> Result<()> {
        if write.data.len() > self.max_data_len {
            return Err(Error::too_large(operation, write.data.len(), self.max_data_len));
        }
        Ok(())
    }
}

/// The error of an operation whose statement failed.
pub(crate) fn failed<D: Dialect>(operation: Operation, error: &sqlx::Error) -> Error {
    match D::meaning(operation, error) {
        Meaning::Refused(refusal) | Meaning::Elsewhere(refusal) => refusal,
        Meaning::Again => Error::unavailable(operation, false).because("others were in the way"),
        Meaning::Lost { .. } => Error::unavailable(operation, operation.is_change())
            .because("the connection was lost, or could not be made"),
    }
}

/// The outcomes of a batch, with the numbers of their items.
pub(crate) type Parts<T> = Vec<(usize, Result<T>)>;
