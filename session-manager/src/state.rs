use std::{mem, time::Instant};

use session_core::{Owner, OwnerChange, SessionId, SessionKey, Write};

use crate::{
    Codec, Result, SessionError,
    changes::Changes,
    payload::{
        Payload, Stored,
        meta::{self, Meta},
    },
    settings::Settings,
    snapshot::{Snapshot, later},
    twins::Twins,
};

/// The state that all clones of a handle share.
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The ids that the client presented beside the id of `phase`.
    pub(crate) twins: Twins,
    pub(crate) changes: Changes,
    pub(crate) logged_out: bool,
    /// The response was sent, so the client can get no new id.
    pub(crate) response_sent: bool,
}

/// The life cycle of the session, as far as this handle knows it.
pub(crate) enum Phase {
    /// The client presented this id, and the store was not asked about it yet.
    Unloaded(SessionId),
    /// Nothing is stored.
    New,
    /// The session was live when the store was last asked.
    Live(Live),
    /// The session was live, but a rotation whose outcome is unknown may have moved it.
    Unknown { id: SessionId, presented: bool },
    /// The session has ended. All further changes fail.
    Ended,
}

pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The client has the id from an earlier request.
    pub(crate) presented: bool,
    pub(crate) key: SessionKey,
    pub(crate) base: Box<Snapshot>,
}

/// The scope of a write: all pending changes, or one key.
pub(crate) enum WriteScope<'a> {
    All,
    Key(&'a str, Stored<'a>),
}

/// What a write does in addition to changing values.
#[derive(Clone, Default)]
pub(crate) struct WriteOptions<'a> {
    pub(crate) owner: OwnerChange,
    /// The absolute timeout counts from this write, as after a login.
    pub(crate) restart: bool,
    /// The keys whose values are kept when the session passes to another owner.
    pub(crate) kept: &'a [&'a str],
}

impl WriteOptions<'_> {
    /// Which stored values a write on top of `base` keeps: all, or, if it passes the session from
    /// one owner to another, those under the keys in `kept`.
    fn keeps(&self, base: Option<&Snapshot>) -> Keeps<'_> {
        match (&self.owner, base.and_then(|base| base.owner.as_ref())) {
            (OwnerChange::Set(next), Some(owner)) if next != owner => Keeps::Only(self.kept),
            _ => Keeps::All,
        }
    }
}

/// Which stored values a write keeps.
#[derive(Clone, Copy)]
enum Keeps<'a> {
    All,
    Only(&'a [&'a str]),
}

impl Keeps<'_> {
    fn value(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(&key),
        }
    }
}

/// A write that is ready to be sent, and the session as it is once the write has taken effect.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) write: Write,
    pub(crate) payload: Payload,
    /// The owner once the write has taken effect.
    owner: Option<Owner>,
    /// The number of the latest change that the write contains.
    pub(crate) change_seq: u64,
}

impl Prepared {
    /// The session after this write, which was sent at `sent`.
    pub(crate) fn into_base(self, sent: Instant) -> Box<Snapshot> {
        let Self { write: Write { version, ttl, .. }, payload, owner, .. } = self;
        Box::new(Snapshot { version, owner, payload, expires_at: later(sent, ttl.as_duration()) })
    }
}

impl State {
    pub(crate) fn gone(&self) -> SessionError {
        SessionError::Gone { unsaved: self.changes.keys() }
    }

    /// Fails if the response was sent, because the client could not get a new id.
    pub(crate) fn may_give_new_id(&self) -> Result<()> {
        if self.response_sent {
            return Err(SessionError::TooLate { unsaved: self.changes.keys() });
        }
        Ok(())
    }

    pub(crate) fn base(&self) -> Option<&Snapshot> {
        match &self.phase {
            Phase::Live(live) => Some(&live.base),
            _ => None,
        }
    }

    pub(crate) fn live_key(&self) -> Option<SessionKey> {
        match &self.phase {
            Phase::Live(live) => Some(live.key),
            _ => None,
        }
    }

    /// Records a newer state of the live session.
    pub(crate) fn rebase(&mut self, base: Box<Snapshot>) {
        if let Phase::Live(live) = &mut self.phase {
            live.base = base;
        }
    }

    /// Records what the store returned for `key`, for a session that was not [loaded](Self::unseen)
    /// before.
    pub(crate) fn found(&mut self, key: SessionKey, base: Option<Box<Snapshot>>) {
        let (id, presented) = match mem::replace(&mut self.phase, Phase::New) {
            Phase::Unloaded(id) => (id, true),
            Phase::Unknown { id, presented } => {
                if base.is_none() {
                    self.phase = Phase::Ended;
                    return;
                }
                (id, presented)
            }
            // The caller holds `turn`, so no other task can have changed this.
            phase @ (Phase::New | Phase::Live(_) | Phase::Ended) => {
                self.phase = phase;
                return;
            }
        };
        self.changes.see(base.as_ref().map(|base| &base.payload));
        if let Some(base) = base {
            self.phase = Phase::Live(Live { id, presented, key, base });
        }
    }

    /// The id that the store must be asked about before the value under `key` is known. Without a
    /// key: before it is known whether the session exists.
    pub(crate) fn unseen(&self, key: Option<&str>) -> Option<&SessionId> {
        match &self.phase {
            Phase::Unloaded(id) | Phase::Unknown { id, .. } => {
                let is_pending = key.is_some_and(|key| self.changes.of(key).is_some());
                (!is_pending).then_some(id)
            }
            Phase::New | Phase::Live(_) | Phase::Ended => None,
        }
    }

    /// Whether the session exists, as far as it was [loaded](Self::unseen).
    pub(crate) fn is_there(&self) -> Result<bool> {
        match &self.phase {
            Phase::Live(_) => Ok(true),
            Phase::Ended => Err(self.gone()),
            Phase::New | Phase::Unloaded(_) | Phase::Unknown { .. } => Ok(false),
        }
    }

    /// The value under `key`, as far as the session was [loaded](Self::unseen).
    pub(crate) fn stored(&self, key: &str) -> Result<Option<Stored<'_>>> {
        self.stored_on(None, key)
    }

    /// The value that this handle has under `key` if `ground` is stored. Without `ground`: if the
    /// session is stored as it was loaded.
    pub(crate) fn stored_on<'a>(
        &'a self,
        ground: Option<&'a Snapshot>,
        key: &str,
    ) -> Result<Option<Stored<'a>>> {
        if let Phase::Ended = self.phase {
            return Err(self.gone());
        }
        if let Some(pending) = self.changes.of(key) {
            return Ok(pending);
        }
        Ok(ground.or(self.base()).and_then(|base| base.payload.stored(key)))
    }

    /// Prepares the next write on top of `ground`, or, without it, of the session as it is known.
    pub(crate) fn prepare(
        &self,
        ground: Option<&Snapshot>,
        settings: &Settings,
        max: usize,
        part: &WriteScope<'_>,
        extra: &WriteOptions<'_>,
    ) -> Result<Prepared> {
        let base = ground.or(self.base());
        let keeps = extra.keeps(base);
        let meta = self.next_meta(base, matches!(part, WriteScope::All), extra.restart, keeps);
        let ttl = settings.ttl(&meta).ok_or_else(|| self.gone())?;
        let schema = base.map_or(0, |base| base.payload.schema_version()).max(settings.schema_version);
        let payload = self.encode(base, keeps, settings.codec, schema, meta, part);
        let bytes = payload.bytes();
        if bytes.len() > max {
            let largest = payload.values().max_by_key(|(_, value)| value.bytes.len());
            let largest = largest.map_or_else(String::new, |(key, _)| key.to_owned());
            return Err(SessionError::TooLarge { len: bytes.len(), max, largest });
        }
        let write = Write::new(bytes, ttl).owner(extra.owner.clone());
        let owner = extra.owner.clone().apply(base.and_then(|base| base.owner.clone()));
        Ok(Prepared { write, payload, owner, change_seq: self.changes.change_seq() })
    }

    fn next_meta(&self, base: Option<&Snapshot>, all: bool, restart: bool, keeps: Keeps<'_>) -> Meta {
        let now = meta::now();
        let old = base.map(|base| base.payload.meta());
        let kept = old.filter(|_| !restart);
        let old = old.filter(|_| matches!(keeps, Keeps::All));
        let old_label = || old.and_then(|old| old.label.clone());
        Meta {
            created: kept.map_or(now, |kept| kept.created),
            saved: now,
            family: kept.map_or_else(rand::random, |kept| kept.family),
            trace: base.map(Snapshot::next_trace).unwrap_or_default(),
            label: match self.changes.label() {
                Some(label) if all => label.map(Into::into),
                _ => old_label(),
            },
            timeouts: self.changes.timeouts().filter(|_| all).or_else(|| old.and_then(|old| old.timeouts)),
        }
    }

    /// Merges the stored values and the changes. Both are sorted by key.
    fn encode(
        &self,
        base: Option<&Snapshot>,
        keeps: Keeps<'_>,
        codec: Codec,
        schema: u16,
        meta: Meta,
        part: &WriteScope<'_>,
    ) -> Payload {
        let old = base.into_iter().flat_map(|base| base.payload.values());
        let old = old.filter(|(key, _)| keeps.value(key));
        let values = match part {
            WriteScope::All => merge(old, self.changes.values()),
            WriteScope::Key(key, value) => merge(old, std::iter::once((*key, Some(*value)))),
        };
        Payload::encode(codec, schema, meta, &values)
    }
}

type Value<'a> = (&'a str, Stored<'a>);

fn merge<'a>(
    old: impl Iterator<Item = Value<'a>>,
    changes: impl Iterator<Item = (&'a str, Option<Stored<'a>>)>,
) -> Vec<Value<'a>> {
    let mut merged = Vec::with_capacity(old.size_hint().0 + 8);
    let mut old = old.peekable();
    for (key, change) in changes {
        while let Some(value) = old.next_if(|(old_key, _)| *old_key < key) {
            merged.push(value);
        }
        old.next_if(|(old_key, _)| *old_key == key);
        merged.extend(change.map(|value| (key, value)));
    }
    merged.extend(old);
    merged
}

impl State {
    /// All keys with a value, ascending.
    pub(crate) fn keys(&self) -> Vec<String> {
        let old = self.base().into_iter().flat_map(|base| base.payload.values());
        merge(old, self.changes.values()).into_iter().map(|(key, _)| key.to_owned()).collect()
    }
}
