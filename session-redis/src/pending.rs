use std::sync::Arc;

use redis::{Pipeline, pipe};
use session_core::{Error, Operation, Result};

use crate::{
    node::Node,
    request::{Answer, Request, SlotMigration},
    scripts::Script,
};

/// A request that has no answer yet.
pub(crate) struct Pending {
    /// Its position in the batch.
    pub(crate) place: usize,
    pub(crate) request: Request,
    /// The node to send it to after `ASKING`, because its slot is being migrated there.
    pub(crate) ask: Option<Arc<Node>>,
    pub(crate) moving: SlotMigration,
    /// Whether its script must be loaded first.
    pub(crate) load: bool,
    /// Whether it was sent before, and may have been carried out.
    pub(crate) doubt: bool,
    pub(crate) lost: u32,
    /// How many immediate retries it had, such as after a redirection or with its script, since its
    /// last pause.
    pub(crate) turns: u32,
}

/// The outcome of an attempt.
pub(crate) enum Disposition {
    Done(Result<Answer>),
    /// Retry at once.
    Retry(Pending),
    /// Retry after a pause.
    RetryLater(Pending, Error),
}

/// After this many immediate retries, a request pauses.
const MAX_TURNS: u32 = 5;

impl Disposition {
    /// Slows down a request that is redirected again and again.
    pub(crate) fn patiently(self, operation: Operation) -> Self {
        match self {
            Self::Retry(mut pending) if pending.turns >= MAX_TURNS => {
                pending.turns = 0;
                Self::RetryLater(
                    pending,
                    Error::unavailable(operation, false).because("the cluster does not agree"),
                )
            }
            Self::Retry(mut pending) => {
                pending.turns += 1;
                Self::Retry(pending)
            }
            other => other,
        }
    }
}

impl Pending {
    pub(crate) fn new((place, request): (usize, Request)) -> Self {
        Self {
            place,
            request,
            ask: None,
            moving: SlotMigration::No,
            load: false,
            doubt: false,
            lost: 0,
            turns: 0,
        }
    }

    /// The error for a request that has failed now, but may have been carried out before.
    pub(crate) fn failed(&self, operation: Operation, error: &Error) -> Error {
        if self.doubt && !error.may_have_applied() {
            return Error::unavailable(operation, true)
                .because("an earlier attempt was not answered")
                .with_source(error.clone());
        }
        error.clone()
    }

    pub(crate) fn rebuild(&mut self) {
        if let Some(rebuild) = &self.request.while_moving {
            self.request.command = rebuild(&self.moving);
        }
    }

    /// Routes the request by the cluster map again.
    pub(crate) fn settle(&mut self) {
        self.ask = None;
        if self.moving != SlotMigration::No {
            self.moving = SlotMigration::No;
            self.rebuild();
        }
    }
}

pub(crate) fn all(
    group: Vec<Pending>,
    mut disposition: impl FnMut(Pending) -> Disposition,
) -> Vec<(usize, Disposition)> {
    group.into_iter().map(|pending| (pending.place, disposition(pending))).collect()
}

/// A replica answers this with an error, whatever it is configured to allow; a primary answers it
/// with a number at once. It is not a write, so a primary whose disk is full, or which has lost its
/// replicas, answers it, too.
const GUARD: [&str; 3] = ["WAIT", "0", "0"];

/// The pipeline for these requests, and the number of its `SCRIPT LOAD` commands. The replies are
/// those of the guard, of `SCRIPT LOAD`, of `TIME` with `clock`, and of the requests.
///
/// The guard detects a replica that acts like a primary: replicas answer reads, and scripts that
/// turn out to change nothing. The server carries out all commands in a row, so the replies after a
/// successful guard come from a primary.
pub(crate) fn pipeline(group: &[Pending], clock: bool) -> (Pipeline, usize) {
    let mut commands = pipe();
    commands.cmd(GUARD[0]).arg(&GUARD[1..]);
    let mut loaded: Vec<&'static Script> = Vec::new();
    for script in group.iter().filter(|pending| pending.load).filter_map(|pending| pending.request.script) {
        if !loaded.iter().any(|known| std::ptr::eq(*known, script)) {
            commands.cmd("SCRIPT").arg("LOAD").arg(script.text);
            loaded.push(script);
        }
    }
    if clock {
        commands.cmd("TIME");
    }
    for pending in group {
        if pending.ask.is_some() {
            commands.cmd("ASKING");
        }
        commands.add_command(pending.request.command.clone());
    }
    (commands, loaded.len())
}
