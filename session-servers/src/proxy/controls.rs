//! The settings of a proxy and its live connections.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The id of a connection of one proxy. Later connections have greater ids. No id is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The shared state that all tasks of a proxy watch. A connection is live while it has an entry
/// here. Its task ends the connection as soon as the entry is removed.
#[derive(Debug, Default)]
pub(super) struct Controls {
    pub(super) delay: Duration,
    pub(super) frozen: bool,
    replies: Replies,
    ended: bool,
    opened: u64,
    connections: BTreeMap<ConnectionId, Condition>,
}

/// What the proxy does with the server's replies.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Replies {
    #[default]
    Pass,
    /// Discards replies. None has arrived yet.
    Vanish,
    /// Discards replies. Some have been discarded.
    Vanished,
}

#[derive(Debug, Default)]
struct Condition {
    frozen: bool,
    /// A reply was discarded, so the next bytes of the server are not what the client expects.
    out_of_step: bool,
    /// The next bytes of a reply reset the connection.
    cut_at_reply: bool,
}

impl Controls {
    /// Adds a connection. Returns `None` if the proxy has ended, because its accepting task can be
    /// one step behind.
    pub(super) fn open(&mut self) -> Option<ConnectionId> {
        if self.ended {
            return None;
        }
        self.opened += 1;
        let id = ConnectionId(self.opened);
        self.connections.insert(id, Condition::default());
        Some(id)
    }

    pub(super) fn live(&self) -> impl Iterator<Item = ConnectionId> {
        self.connections.keys().copied()
    }

    pub(super) fn is_live(&self, id: ConnectionId) -> bool {
        self.connections.contains_key(&id)
    }

    pub(super) fn is_frozen(&self, id: ConnectionId) -> bool {
        self.frozen || self.connections.get(&id).is_some_and(|condition| condition.frozen)
    }

    pub(super) fn set_frozen(&mut self, id: ConnectionId, frozen: bool) -> bool {
        let condition = self.connections.get_mut(&id);
        condition.map(|condition| condition.frozen = frozen).is_some()
    }

    pub(super) fn close(&mut self, id: ConnectionId) -> bool {
        self.connections.remove(&id).is_some()
    }

    pub(super) fn close_all(&mut self) {
        self.connections.clear();
    }

    /// Sets for all live connections whether the next bytes of a reply reset them. Later
    /// connections are not affected.
    pub(super) fn set_cut_at_reply(&mut self, cut: bool) {
        for condition in self.connections.values_mut() {
            condition.cut_at_reply = cut;
        }
    }

    /// Closes the connection if its next reply must reset it. Returns true if it closed one.
    pub(super) fn cut_at_reply(&mut self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|condition| condition.cut_at_reply) && self.close(id)
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.close_all();
    }

    pub(super) fn set_swallowing(&mut self, swallow: bool) {
        self.replies = if swallow { Replies::Vanish } else { Replies::Pass };
        if !swallow {
            self.connections.retain(|_, condition| !condition.out_of_step);
        }
    }

    /// Returns true if a piece of a reply on this connection must be discarded.
    ///
    /// The check and the bookkeeping are one step, so no connection can lose bytes and be
    /// overlooked when swallowing ends.
    pub(super) fn swallow(&mut self, id: ConnectionId) -> bool {
        if self.replies == Replies::Pass {
            return false;
        }
        self.replies = Replies::Vanished;
        if let Some(condition) = self.connections.get_mut(&id) {
            condition.out_of_step = true;
        }
        true
    }

    pub(super) fn has_swallowed(&self) -> bool {
        self.replies == Replies::Vanished
    }
}
