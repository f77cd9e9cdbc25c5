use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use session_core::{Error, ErrorKind, Operation, Result, SessionKey};
use tokio::time::Instant;

use crate::{
    core::{Core, PAUSES, rest},
    errors::{Failure, failed, refusal_kind, unexpected},
    expressions::REFUSED,
    retryable_writes::RetryableWrites,
    update::Answer,
};

/// A change of one document, which contains its condition: the server refuses the change if the
/// condition does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) key: SessionKey,
    /// The only stage of the update's pipeline.
    pub(crate) stage: RawDocumentBuf,
    pub(crate) again: Again,
}

/// Whether a change may be sent again if it is unknown whether it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// Only if the server will recognise it by its number, because it leaves no version by which it
    /// could recognise itself.
    ByNumber,
    /// Always: its version shows whether it was carried out.
    Always,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    Refused,
    /// It was refused, but an earlier attempt may have been carried out.
    RefusedInDoubt,
}

/// A change that has no outcome yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    place: usize,
    /// Whether it was sent before, and may have been carried out.
    doubt: bool,
    /// Whether the server will recognise it by its number if it was carried out.
    known: bool,
}

/// `DuplicateKey`: a concurrent write has just inserted the document. Nothing was changed.
const DUPLICATE_KEY: i32 = 11_000;

/// `BSONObjectTooLarge`, for the change itself and for the resulting document.
const TOO_LARGE: [i32; 2] = [10_334, 17_419];

/// The state of some changes that are being sent.
struct Sending<'a> {
    operation: Operation,
    changes: &'a [Change],
    outcomes: Vec<Option<Result<Changed>>>,
    /// The changes to send again, each with the error that applies if there is no time for that.
    left: Vec<(Pending, Error)>,
}

impl Core {
    /// Makes changes of different documents by one command, and finds out the outcome of each.
    /// Further commands are sent only for changes with an unclear outcome, and for those that were
    /// aborted by concurrent changes or refused for now.
    pub(crate) async fn change(
        &self,
        operation: Operation,
        changes: &[Change],
        until: Instant,
    ) -> Vec<Result<Changed>> {
        let mut sending = Sending { operation, changes, outcomes: Vec::new(), left: Vec::new() };
        sending.outcomes.resize_with(changes.len(), || None);
        let new = |place| Pending { place, doubt: false, known: true };
        let mut pending: Vec<Pending> = (0..changes.len()).map(new).collect();
        let (mut pause, mut failures) = (PAUSES.0, 0);
        // Kept while a command has no answer: the server recognises the command by its number.
        let mut retryable: Option<RetryableWrites> = None;
        while !pending.is_empty() {
            let connection = self.connections.current();
            if retryable.as_ref().is_some_and(|session| !session.is_of(connection.retryable.as_ref())) {
                // With another login, the server does not recognise the number.
                retryable = None;
                for item in &mut pending {
                    item.known = !item.doubt;
                }
                pending = sending.harmless(pending);
            }
            let statements: Vec<(usize, &Change)> =
                pending.iter().map(|item| (item.place, &changes[item.place])).collect();
            let again = retryable.is_some();
            match self.update(operation, &connection, &statements, retryable.take(), until).await {
                Ok((Ok(answer), _)) if answer.recognised && !again => {
                    // A change that was never carried out must not be reported as done because an
                    // earlier command has used its number.
                    let error = Error::new(ErrorKind::Internal, operation)
                        .because("another command had its number; give the store a client of its own");
                    sending.failed(pending, Failure::Refused(ErrorKind::Internal), false, &error);
                }
                Ok((Ok(answer), session)) => sending.answered(pending, answer, session.is_some()),
                Ok((Err(error), session)) => {
                    match self.judge(operation, &connection, &error, pending.len(), until).await {
                        Ok(failure) => {
                            let error = failed(operation, failure, true, error);
                            sending.failed(pending, failure, session.is_some(), &error);
                        }
                        Err(refused) => {
                            sending.failed(pending, Failure::Refused(refused.kind()), false, &refused);
                        }
                    }
                    retryable = session;
                }
                Err(error) => {
                    sending.failed(pending, Failure::Refused(error.kind()), false, &error);
                }
            }
            failures += 1;
            pending = sending.next(failures <= self.max_retries, &mut pause, until).await;
        }
        let complete = |outcome: Option<_>| outcome.unwrap_or_else(|| Err(unexpected(operation, "complete")));
        sending.outcomes.into_iter().map(complete).collect()
    }
}

impl Sending<'_> {
    /// Decides by the server's answer what happens to each statement.
    fn answered(&mut self, pending: Vec<Pending>, answer: Answer, retryable: bool) {
        let mut errors = answer.errors.into_iter().peekable();
        for (index, mut item) in pending.into_iter().enumerate() {
            let refusal = errors.next_if(|(at, ..)| *at == index).map(|(_, code, words)| (code, words));
            let error = match (refusal, &answer.not_replicated) {
                (None, None) => {
                    self.settle(item, Ok(Changed::Done));
                    continue;
                }
                (Some((REFUSED, _)), None) => {
                    let sure = !item.doubt || (retryable && item.known);
                    self.settle(item, Ok(if sure { Changed::Refused } else { Changed::RefusedInDoubt }));
                    continue;
                }
                (None, Some(words)) => {
                    item.doubt = true;
                    self.unavailable(
                        true,
                        &format!("it was carried out, but a failover can still undo it: {words}"),
                    )
                }
                (Some((REFUSED, _)), Some(words)) => self.unavailable(
                    item.doubt,
                    &format!("a failover can still undo what is in its way: {words}"),
                ),
                (Some((code, words)), _) => match statement_error(self.operation, code, &words) {
                    Some(error) => {
                        self.settle(item, Err(in_doubt(self.operation, item.doubt, &error)));
                        continue;
                    }
                    None => self.unavailable(item.doubt, &format!("the server refuses for now: {words}")),
                },
            };
            // The next command has another number.
            item.known = !item.doubt;
            self.again(item, error);
        }
    }

    /// Decides what a failure of the whole command means for each statement. With `retryable`, the
    /// command had a number.
    fn failed(&mut self, pending: Vec<Pending>, failure: Failure, retryable: bool, error: &Error) {
        for mut item in pending {
            match failure {
                Failure::NotSent => self.left.push((item, error.clone())),
                Failure::Unclear => {
                    item.doubt = true;
                    item.known &= retryable;
                    self.again(item, error.clone());
                }
                Failure::Refused(_) => {
                    let error = in_doubt(self.operation, item.doubt, error);
                    self.settle(item, Err(error));
                }
            }
        }
    }

    /// Sends a change again unless that could do harm: a change that overlaps a deletion must not
    /// be carried out after it.
    fn again(&mut self, item: Pending, error: Error) {
        if self.is_harmless(item) {
            self.left.push((item, error));
        } else {
            self.settle(item, Err(error));
        }
    }

    fn is_harmless(&self, item: Pending) -> bool {
        !item.doubt
            || match self.changes[item.place].again {
                Again::Never => false,
                Again::ByNumber => item.known,
                Again::Always => true,
            }
    }

    /// The changes that may be sent again although the server no longer recognises their number.
    /// The others have failed.
    fn harmless(&mut self, pending: Vec<Pending>) -> Vec<Pending> {
        let (harmless, others) = pending.into_iter().partition(|item| self.is_harmless(*item));
        for item in others {
            let error = self.unavailable(true, "an earlier attempt was not answered");
            self.settle(item, Err(error));
        }
        harmless
    }

    fn settle(&mut self, item: Pending, outcome: Result<Changed>) {
        self.outcomes[item.place] = Some(outcome);
    }

    fn unavailable(&self, may_have_applied: bool, reason: &str) -> Error {
        Error::unavailable(self.operation, may_have_applied).because(reason)
    }

    /// The changes to send again, after a pause. If there is no time for that, they have failed.
    async fn next(&mut self, again: bool, pause: &mut Duration, until: Instant) -> Vec<Pending> {
        let left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return Vec::new();
        }
        if again && rest(pause, until).await {
            return left.into_iter().map(|(item, _)| item).collect();
        }
        for (item, error) in left {
            let error = in_doubt(self.operation, item.doubt, &error);
            self.settle(item, Err(error));
        }
        Vec::new()
    }
}

/// The error for a statement that was not carried out, or `None` if it can be retried.
fn statement_error(operation: Operation, code: i32, words: &str) -> Option<Error> {
    if code == DUPLICATE_KEY {
        return None;
    }
    let kind = if TOO_LARGE.contains(&code) { ErrorKind::Config } else { refusal_kind(code)? };
    Some(Error::new(kind, operation).because(format!("the server refuses it: {words}")))
}

/// The error for a change that has failed now, but may have been carried out before.
fn in_doubt(operation: Operation, doubt: bool, error: &Error) -> Error {
    if doubt && !error.may_have_applied() {
        return Error::unavailable(operation, true)
            .because("an earlier attempt was not answered")
            .with_source(error.clone());
    }
    error.clone()
}
