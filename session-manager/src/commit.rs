//! Sends a conditional write, and determines its outcome.

use std::time::Instant;

use session_core::{SessionKey, Version, When, Write, WriteOutcome};

use crate::{
    Result, SessionManager, backoff,
    commit_outcome::CommitOutcome,
    snapshot::Snapshot,
    state::Prepared,
    write_queue::{Attempt, WriteTurn},
};

/// How many more times at most a write is sent after a lost reply.
const MAX_RETRIES: u32 = 3;

impl SessionManager {
    /// As [`send`](Self::send), for writes that may queue. Later tasks of this process see the
    /// write while it is in flight.
    pub(crate) async fn send_in_turn<'a>(
        &'a self,
        key: &SessionKey,
        prepared: &Prepared,
        expected: Version,
        place: Option<WriteTurn<'a>>,
    ) -> Attempt<'a> {
        let sending = self.send(key, prepared.write.clone(), expected);
        let base = || prepared.clone().into_base(Instant::now());
        match place {
            Some(place) => place.send(base, sending).await,
            None => self.write_queues().send_alone(key, base, sending).await,
        }
    }

    /// After a conflict in this attempt: waits for this task's turn in the queue of the process,
    /// unless the task still has it. Before each eighth attempt, it also pauses.
    ///
    /// A task whose write was answered at once has lost no time, and does not queue at first:
    /// handing over the turn takes longer than another attempt, and later tasks queue behind a task
    /// that is queued.
    pub(crate) async fn await_turn<'a>(
        &'a self,
        key: &SessionKey,
        attempt: u32,
        at_once: bool,
        place: &mut Option<WriteTurn<'a>>,
    ) {
        if place.is_none() && !(at_once && backoff::is_in_streak(attempt)) {
            *place = Some(self.write_queues().join(key).await);
        }
        backoff::pause(attempt).await;
    }

    /// Sends `write` on the condition that `expected` is the stored version.
    ///
    /// If the reply is lost, the same write is delivered again. This is safe: it carries the same
    /// version, so a store that has carried it out recognises it, and the same condition, so it
    /// cannot take effect after another write. If another write is stored by then, the versions that
    /// the stored session lists tell whether this one came before it.
    ///
    /// # Errors
    /// `may_have_applied` is true only if every reply was lost, if more writes have followed than the
    /// stored session lists, or if what is stored cannot be read.
    pub(crate) async fn send(
        &self,
        key: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<CommitOutcome> {
        let mut attempt = 0;
        loop {
            let asked = Instant::now();
            let lost = match self.store().write(key, write.clone(), When::Version(expected)).await {
                Ok(WriteOutcome::Written) => return Ok(CommitOutcome::Written),
                Ok(WriteOutcome::Conflict(None)) => return Ok(CommitOutcome::Ended),
                Ok(WriteOutcome::Conflict(Some(record))) => {
                    let now = Snapshot::of(record, asked);
                    if attempt == 0 {
                        return now.map(CommitOutcome::Conflict);
                    }
                    // A record that cannot be read does not show the outcome either.
                    let now = now.map_err(|error| {
                        session_core::Error::unavailable(session_core::Operation::Write, true)
                            .because("the reply was lost, and what is stored now cannot be read")
                            .with_source(error)
                    })?;
                    return after_loss(now, write.version, expected);
                }
                Err(error) if error.may_have_applied() => error,
                // This attempt has not shown the outcome of the first one.
                Err(error) if attempt > 0 => {
                    session_core::Error::unavailable(error.operation(), true).with_source(error)
                }
                Err(error) => return Err(error.into()),
            };
            attempt += 1;
            if attempt > MAX_RETRIES {
                return Err(lost.into());
            }
            // No pause and no queue: the lost reply has taken its time, and while the outcome is
            // open, other writes could push this one out of the trace.
        }
    }
}

/// Determines whether `mine`, which was to replace `expected` and whose reply was lost, came before
/// the write that is stored `now`.
fn after_loss(now: Box<Snapshot>, mine: Version, expected: Version) -> Result<CommitOutcome> {
    if now.has_seen(mine) {
        Ok(CommitOutcome::CommittedThenReplaced(now))
    } else if now.has_seen(expected) {
        // Another write has replaced `expected`.
        Ok(CommitOutcome::Conflict(now))
    } else {
        Err(session_core::Error::unavailable(session_core::Operation::Write, true)
            .because(
                "the reply was lost, and too many others have written since to tell what came of the change",
            )
            .into())
    }
}
