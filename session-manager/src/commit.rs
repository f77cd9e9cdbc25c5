//! Sending a conditional write, and finding out what came of it.

use std::time::Instant;

use session_core::{SessionKey, Version, When, Write, WriteOutcome};

use crate::{
    Result, SessionManager, backoff,
    base::Base,
    line::{InTurn, Place},
    state::Prepared,
};

/// How often a write whose reply was lost is sent again.
const RESENDS: u32 = 3;

/// What came of a conditional write.
pub(crate) enum Sent {
    /// It took effect.
    Written,
    /// It took effect, and others have written since.
    Superseded(Box<Base>),
    /// It did not and will not take effect, because this is there.
    Conflict(Box<Base>),
    /// It did not and will not take effect, because nothing is there; or it did, and the session ended since.
    Gone,
}

impl SessionManager {
    /// As [`send`](Self::send), for those who may stand in line: shows what is on its way to who comes next.
    pub(crate) async fn send_in_turn<'a>(
        &'a self,
        key: &SessionKey,
        prepared: &Prepared,
        expected: Version,
        place: Option<Place<'a>>,
    ) -> InTurn<'a> {
        let sending = self.send(key, prepared.write.clone(), expected);
        let base = || prepared.clone().into_base(Instant::now());
        match place {
            Some(place) => place.send(base, sending).await,
            None => self.lines().send_alone(key, base, sending).await,
        }
    }

    /// After a conflict in this attempt: waits for this task's turn among those of the process, unless it has it still, and now and then for a moment.
    ///
    /// Who was answered at once has lost nothing, and does not wait for its turn at first: to pass it on takes longer than to try again, and
    /// those who come find somebody in line and stand behind.
    pub(crate) async fn stand_in_line<'a>(
        &'a self,
        key: &SessionKey,
        attempt: u32,
        at_once: bool,
        place: &mut Option<Place<'a>>,
    ) {
        if place.is_none() && !(at_once && backoff::is_in_streak(attempt)) {
            *place = Some(self.lines().join(key).await);
        }
        backoff::pause(attempt).await;
    }

    /// Sends `write` on the condition that `expected` is the stored version.
    ///
    /// If the reply is lost, the same write is sent again, which is safe: it has the same token, so that a store which has carried it out
    /// recognises it, and the same condition, so that it cannot take effect after another write. If another write is there
    /// by then, its trace tells whether this one came before it.
    ///
    /// # Errors
    /// `may_have_applied` is true only if the store could not be asked again, or more writes have passed than the trace remembers.
    pub(crate) async fn send(&self, key: &SessionKey, write: Write, expected: Version) -> Result<Sent> {
        let mut attempt = 0;
        loop {
            let asked = Instant::now();
            let lost = match self.store().write(key, write.clone(), When::Version(expected)).await {
                Ok(WriteOutcome::Written) => return Ok(Sent::Written),
                Ok(WriteOutcome::Conflict(None)) => return Ok(Sent::Gone),
                Ok(WriteOutcome::Conflict(Some(record))) => {
                    let now = Base::of(record, asked)?;
                    if attempt == 0 {
                        return Ok(Sent::Conflict(now));
                    }
                    return after_loss(now, write.version, expected);
                }
                Err(error) if error.may_have_applied() => error,
                // Whatever the first attempt came to, this one has not told.
                Err(error) if attempt > 0 => {
                    session_core::Error::unavailable(error.operation(), true).with_source(error)
                }
                Err(error) => return Err(error.into()),
            };
            attempt += 1;
            if attempt > RESENDS {
                return Err(lost.into());
            }
            // No pause and no waiting for a turn: the lost reply has taken its time, and while the outcome is open, others had better not
            // write it out of the trace.
        }
    }
}

/// Whether `mine`, which was to replace `expected` and whose reply was lost, came before what is there `now`.
fn after_loss(now: Box<Base>, mine: Version, expected: Version) -> Result<Sent> {
    if now.has_seen(mine) {
        Ok(Sent::Superseded(now))
    } else if now.has_seen(expected) {
        // Another write has replaced what mine was to replace.
        Ok(Sent::Conflict(now))
    } else {
        Err(session_core::Error::unavailable(session_core::Operation::Write, true)
            .because(
                "the reply was lost, and too many others have written since to tell what came of the change",
            )
            .into())
    }
}
