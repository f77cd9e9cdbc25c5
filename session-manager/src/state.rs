use std::{mem, time::Instant};

use session_core::{Owner, OwnerChange, SessionId, SessionKey, Write};

use crate::{
    Codec, Result, SessionError,
    base::{Base, later},
    changes::Changes,
    payload::{
        Payload, Stored,
        meta::{self, Meta},
    },
    settings::Settings,
    twins::Twins,
};

/// What the clones of one handle share.
pub(crate) struct State {
    pub(crate) link: Link,
    /// What the client has presented beside the id of `link`.
    pub(crate) twins: Twins,
    pub(crate) changes: Changes,
    pub(crate) logged_out: bool,
    /// The client can be told no new id any more.
    pub(crate) response_sent: bool,
}

/// How the handle stands to the store.
pub(crate) enum Link {
    /// The client has presented this id, and nobody has looked it up yet.
    Presented(SessionId),
    /// Nothing is stored.
    Fresh,
    /// It was there when the store was last asked.
    Live(Live),
    /// It was there, but a rotation may or may not have taken it away.
    Unsure { id: SessionId, presented: bool },
    /// It was there, and has ended elsewhere.
    Gone,
}

pub(crate) struct Live {
    pub(crate) id: SessionId,
    /// The client has it from an earlier request.
    pub(crate) presented: bool,
    pub(crate) key: SessionKey,
    pub(crate) base: Box<Base>,
}

/// What one write is to change: all that is pending, or one key.
pub(crate) enum Part<'a> {
    All,
    Key(&'a str, Stored<'a>),
}

/// What a write does beside changing values.
#[derive(Clone, Default)]
pub(crate) struct Extra<'a> {
    pub(crate) owner: OwnerChange,
    /// It is a login, from which the absolute timeout counts.
    pub(crate) restart: bool,
    /// The keys whose values go over to another owner.
    pub(crate) kept: &'a [&'a str],
}

impl Extra<'_> {
    /// What a write on top of `base` keeps of the stored values: all, or, if it gives the session of one owner to another, those under the keys
    /// that were named.
    fn keeps(&self, base: Option<&Base>) -> Keeps<'_> {
        match (&self.owner, base.and_then(|base| base.owner.as_ref())) {
            (OwnerChange::Set(next), Some(owner)) if next != owner => Keeps::Only(self.kept),
            _ => Keeps::All,
        }
    }
}

/// Which of the stored values go on.
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

/// A write that is ready to be sent, and what the session is when it has arrived.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) write: Write,
    pub(crate) payload: Payload,
    /// Whose the session is then.
    owner: Option<Owner>,
    /// Up to which change it holds them.
    pub(crate) stamp: u64,
}

impl Prepared {
    /// The session after this write, which was sent at `sent`.
    pub(crate) fn into_base(self, sent: Instant) -> Box<Base> {
        let Self { write: Write { version, ttl, .. }, payload, owner, .. } = self;
        Box::new(Base { version, owner, payload, expires_at: later(sent, ttl.as_duration()) })
    }
}

impl State {
    pub(crate) fn gone(&self) -> SessionError {
        SessionError::Gone { unsaved: self.changes.keys() }
    }

    /// Refuses what would end in an id that no client can be told.
    pub(crate) fn may_give_new_id(&self) -> Result<()> {
        if self.response_sent {
            return Err(SessionError::TooLate { unsaved: self.changes.keys() });
        }
        Ok(())
    }

    pub(crate) fn base(&self) -> Option<&Base> {
        match &self.link {
            Link::Live(live) => Some(&live.base),
            _ => None,
        }
    }

    pub(crate) fn live_key(&self) -> Option<SessionKey> {
        match &self.link {
            Link::Live(live) => Some(live.key),
            _ => None,
        }
    }

    /// Takes note of a newer state of the session that is live.
    pub(crate) fn rebase(&mut self, base: Box<Base>) {
        if let Link::Live(live) = &mut self.link {
            live.base = base;
        }
    }

    /// Takes note of what the store has shown under the key of a session that was not [looked at](Self::unseen) before.
    pub(crate) fn found(&mut self, key: SessionKey, base: Option<Box<Base>>) {
        let (id, presented) = match mem::replace(&mut self.link, Link::Fresh) {
            Link::Presented(id) => (id, true),
            Link::Unsure { id, presented } => {
                if base.is_none() {
                    self.link = Link::Gone;
                    return;
                }
                (id, presented)
            }
            // Whoever asks the store holds the turn, so that nobody else can have changed this.
            link @ (Link::Fresh | Link::Live(_) | Link::Gone) => {
                self.link = link;
                return;
            }
        };
        self.changes.see(base.as_ref().map(|base| &base.payload));
        if let Some(base) = base {
            self.link = Link::Live(Live { id, presented, key, base });
        }
    }

    /// The id that the store must be asked about before anybody can say what is under `key`, or, without one, whether the session is there.
    pub(crate) fn unseen(&self, key: Option<&str>) -> Option<&SessionId> {
        match &self.link {
            Link::Presented(id) | Link::Unsure { id, .. } => {
                let is_pending = key.is_some_and(|key| self.changes.of(key).is_some());
                (!is_pending).then_some(id)
            }
            Link::Fresh | Link::Live(_) | Link::Gone => None,
        }
    }

    /// Whether the session is there, as far as was [seen](Self::unseen).
    pub(crate) fn is_there(&self) -> Result<bool> {
        match &self.link {
            Link::Live(_) => Ok(true),
            Link::Gone => Err(self.gone()),
            Link::Fresh | Link::Presented(_) | Link::Unsure { .. } => Ok(false),
        }
    }

    /// The value under `key`, as far as was [seen](Self::unseen).
    pub(crate) fn stored(&self, key: &str) -> Result<Option<Stored<'_>>> {
        self.stored_on(None, key)
    }

    /// The value that this handle has under `key` if `ground` is what is stored, or, without one, what was seen.
    pub(crate) fn stored_on<'a>(&'a self, ground: Option<&'a Base>, key: &str) -> Result<Option<Stored<'a>>> {
        if let Link::Gone = self.link {
            return Err(self.gone());
        }
        if let Some(pending) = self.changes.of(key) {
            return Ok(pending);
        }
        Ok(ground.or(self.base()).and_then(|base| base.payload.stored(key)))
    }

    /// The next write on top of `ground`, or, without one, of what is known.
    pub(crate) fn prepare(
        &self,
        ground: Option<&Base>,
        settings: &Settings,
        max: usize,
        part: &Part<'_>,
        extra: &Extra<'_>,
    ) -> Result<Prepared> {
        let base = ground.or(self.base());
        let keeps = extra.keeps(base);
        let meta = self.next_meta(base, matches!(part, Part::All), extra.restart, keeps);
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
        Ok(Prepared { write, payload, owner, stamp: self.changes.stamp() })
    }

    fn next_meta(&self, base: Option<&Base>, all: bool, restart: bool, keeps: Keeps<'_>) -> Meta {
        let now = meta::now();
        let old = base.map(|base| base.payload.meta());
        let kept = old.filter(|_| !restart);
        let old = old.filter(|_| matches!(keeps, Keeps::All));
        let old_label = || old.and_then(|old| old.label.clone());
        Meta {
            created: kept.map_or(now, |kept| kept.created),
            saved: now,
            family: kept.map_or_else(rand::random, |kept| kept.family),
            trace: base.map(Base::next_trace).unwrap_or_default(),
            label: match self.changes.label() {
                Some(label) if all => label.map(Into::into),
                _ => old_label(),
            },
            timeouts: self.changes.timeouts().filter(|_| all).or_else(|| old.and_then(|old| old.timeouts)),
        }
    }

    /// Merges what is stored and what was changed; both are in the order of their keys.
    fn encode(
        &self,
        base: Option<&Base>,
        keeps: Keeps<'_>,
        codec: Codec,
        schema: u16,
        meta: Meta,
        part: &Part<'_>,
    ) -> Payload {
        let old = base.into_iter().flat_map(|base| base.payload.values());
        let old = old.filter(|(key, _)| keeps.value(key));
        let values = match part {
            Part::All => merge(old, self.changes.values()),
            Part::Key(key, value) => merge(old, std::iter::once((*key, Some(*value)))),
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
