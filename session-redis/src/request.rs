use std::{fmt, sync::Arc};

use redis::{Cmd, Value, cmd};
use session_core::SessionKey;

use crate::{node::Node, scripts::Script};

/// One command for a server, and how it may be routed and retried.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) to: Route,
    pub(crate) command: Cmd,
    pub(crate) script: Option<&'static Script>,
    pub(crate) again: Idempotency,
    pub(crate) while_moving: Option<Rebuild>,
    /// The session whose owner index the command needs, if there is one.
    pub(crate) about: Option<SessionKey>,
}

/// Rebuilds the command for a key that has already moved to another node while its slot is being
/// migrated, or with the owner index that the script needs.
pub(crate) type Rebuild = Arc<dyn Fn(&SlotMigration) -> Cmd + Send + Sync>;

/// What is known of a slot migration, and of the owner index that a session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SlotMigration {
    /// No migration is known.
    No,
    /// The key has moved to another node.
    Key,
    /// The index of this owner must be named; if empty, the record has no owner. The key may have
    /// moved.
    Owner(Vec<u8>),
}

/// Which node a request is for.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// The node that has this shard.
    Shard(u8),
    /// This node.
    Node(Arc<Node>),
}

/// Whether a request may be sent again after its reply was lost. It may then be carried out twice,
/// and the first attempt may come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Idempotency {
    /// Always: it changes nothing.
    Query,
    /// Yes: a change that recognises itself by its version, or that may be carried out twice.
    Repeatable,
    /// Never: a change that could undo later changes.
    Once,
}

/// What a server replied to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    /// The server's time in microseconds since 1970; zero if it was not asked for.
    pub(crate) now: u64,
    /// Whether the request was sent before and may have been carried out then.
    pub(crate) doubt: bool,
}

impl Request {
    /// A plain command that changes nothing.
    pub(crate) fn question(to: Route, command: Cmd) -> Self {
        Self { to, command, script: None, again: Idempotency::Query, while_moving: None, about: None }
    }

    /// A call of a script.
    pub(crate) fn call(to: Route, script: &'static Script, again: Idempotency, command: Cmd) -> Self {
        Self { to, command, script: Some(script), again, while_moving: None, about: None }
    }

    /// The same request, about this session, whose owner index it may need.
    pub(crate) fn about(self, key: SessionKey) -> Self {
        Self { about: Some(key), ..self }
    }

    /// A script call that can be rebuilt while its slot is being migrated.
    pub(crate) fn movable(
        to: Route,
        script: &'static Script,
        again: Idempotency,
        command: impl Fn(&SlotMigration) -> Cmd + Send + Sync + 'static,
    ) -> Self {
        let first = command(&SlotMigration::No);
        Self { while_moving: Some(Arc::new(command)), ..Self::call(to, script, again, first) }
    }
}

/// The beginning of a script call with this many keys.
pub(crate) fn evalsha(script: &Script, keys: usize) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.hash()).arg(keys);
    command
}

impl fmt::Debug for Request {
    /// Omits the command, which holds session data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("to", &self.to).field("again", &self.again).finish_non_exhaustive()
    }
}
