use std::{fmt, sync::Arc};

use redis::{Cmd, Value, cmd};
use session_core::SessionKey;

use crate::{node::Node, scripts::Script};

/// One command for a server, and what may be done with it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) to: To,
    pub(crate) command: Cmd,
    pub(crate) script: Option<&'static Script>,
    pub(crate) again: Again,
    pub(crate) while_moving: Option<Rebuild>,
    /// The session whose index it needs, if there is one.
    pub(crate) about: Option<SessionKey>,
}

/// Makes the command anew, for a key that is at another node already while its slot moves, or with
/// the index that it turned out to need.
pub(crate) type Rebuild = Arc<dyn Fn(&Moving) -> Cmd + Send + Sync>;

/// How far the move of a slot is known, and the index that a session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moving {
    /// Not at all.
    No,
    /// The key has moved.
    Key,
    /// The record has this owner, or none if it is empty, whose index must be named; the key may
    /// have moved.
    Owner(Vec<u8>),
}

/// Which node a request is for.
#[derive(Clone, Debug)]
pub(crate) enum To {
    /// The one that has this shard.
    Shard(u8),
    /// This one.
    Node(Arc<Node>),
}

/// Whether a request may be sent again after its reply was lost. It may then be carried out twice, the first one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Again {
    /// A question: always.
    Question,
    /// A change that knows itself by its version, or that does not mind: yes.
    Change,
    /// A change that could undo what was done since: never.
    Never,
}

/// What a server replied to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    /// The server's time in microseconds since 1970, if it was asked for.
    pub(crate) now: u64,
    /// Whether the request was sent before and may have been carried out then.
    pub(crate) doubt: bool,
}

impl Request {
    /// A question that is a plain command.
    pub(crate) fn question(to: To, command: Cmd) -> Self {
        Self { to, command, script: None, again: Again::Question, while_moving: None, about: None }
    }

    /// A call of a script.
    pub(crate) fn call(to: To, script: &'static Script, again: Again, command: Cmd) -> Self {
        Self { to, command, script: Some(script), again, while_moving: None, about: None }
    }

    /// The same, for this session, whose index it may need.
    pub(crate) fn about(self, key: SessionKey) -> Self {
        Self { about: Some(key), ..self }
    }

    /// A call of a script that can be made anew while its slot moves.
    pub(crate) fn movable(
        to: To,
        script: &'static Script,
        again: Again,
        command: impl Fn(&Moving) -> Cmd + Send + Sync + 'static,
    ) -> Self {
        let first = command(&Moving::No);
        Self { while_moving: Some(Arc::new(command)), ..Self::call(to, script, again, first) }
    }
}

/// The beginning of a call of a script with so many keys.
pub(crate) fn evalsha(script: &Script, keys: usize) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.hash()).arg(keys);
    command
}

impl fmt::Debug for Request {
    /// Without the command, which holds data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("to", &self.to).field("again", &self.again).finish_non_exhaustive()
    }
}
