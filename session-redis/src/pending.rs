use std::sync::Arc;

use redis::{Pipeline, pipe};
use session_core::{Error, Operation, Result};

use crate::{
    node::Node,
    request::{Answer, Moving, Request},
    scripts::Script,
};

/// A request that has no answer yet.
pub(crate) struct Pending {
    /// Its place in the batch.
    pub(crate) place: usize,
    pub(crate) request: Request,
    /// The node that it must ask for itself, because its slot moves there.
    pub(crate) ask: Option<Arc<Node>>,
    pub(crate) moving: Moving,
    /// Whether its script must be loaded first.
    pub(crate) load: bool,
    /// Whether it was sent, and may have been carried out.
    pub(crate) doubt: bool,
    pub(crate) lost: u32,
    /// How often it was sent to another place, or with its script.
    pub(crate) turns: u32,
}

/// What came of an attempt.
pub(crate) enum Fate {
    Done(Result<Answer>),
    /// Try again at once.
    Again(Pending),
    /// Try again a little later.
    Later(Pending, Error),
}

/// After so many turns, a request takes a pause.
const MAX_TURNS: u32 = 5;

impl Fate {
    /// Who is sent from one place to another again and again goes slower.
    pub(crate) fn patiently(self, operation: Operation) -> Self {
        match self {
            Self::Again(mut pending) if pending.turns >= MAX_TURNS => {
                pending.turns = 0;
                Self::Later(
                    pending,
                    Error::unavailable(operation, false).because("the cluster does not agree"),
                )
            }
            Self::Again(mut pending) => {
                pending.turns += 1;
                Self::Again(pending)
            }
            other => other,
        }
    }
}

impl Pending {
    pub(crate) fn new((place, request): (usize, Request)) -> Self {
        Self { place, request, ask: None, moving: Moving::No, load: false, doubt: false, lost: 0, turns: 0 }
    }

    /// The error for a request that has failed now, and may have been carried out before.
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

    /// Goes by the map again.
    pub(crate) fn settle(&mut self) {
        self.ask = None;
        if self.moving != Moving::No {
            self.moving = Moving::No;
            self.rebuild();
        }
    }
}

pub(crate) fn all(group: Vec<Pending>, mut fate: impl FnMut(Pending) -> Fate) -> Vec<(usize, Fate)> {
    group.into_iter().map(|pending| (pending.place, fate(pending))).collect()
}

/// Answered with an error by a replica, whatever it is configured to allow, and with a number by a
/// primary at once. It is no write, so that a primary whose disk is full, or which has lost its
/// replicas, answers, too.
const GUARD: [&str; 3] = ["WAIT", "0", "0"];

/// The commands for these requests, and how many replies come between that of the guard and theirs
/// or the time.
///
/// The guard is for what replicas do as if they were primaries: they answer reads, and scripts that
/// turn out to change nothing. All commands are carried out in a row, so that what follows a guard
/// that holds was said by a primary.
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
