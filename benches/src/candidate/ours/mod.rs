//! The stores of this workspace, with their defaults, alone and behind `Cached`.

mod lines;
mod open;
mod slots;
mod specs;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use session_core::{
    DeleteOutcome, Expected, Owner, OwnerChange, RenameOutcome, SessionId, SessionStore, Ttl, When, Write,
    WriteItem, WriteOutcome,
};

use super::{Candidate, NewSession, Place, Result, TTL};
use crate::{
    engine::{Engine, size},
    payload::Payload,
};
use lines::Lines;
pub use slots::{Slot, Slots};
pub use specs::specs;

/// Sessions per call when a store is filled: at most a second of work, so that no deadline passes.
const FILL: usize = 2_000;

/// A caller retries this many times without queueing while its attempts complete at the first poll,
/// as in `session-manager`.
const STREAK: u32 = 8;

/// A store of this workspace. Every write is conditional on the last seen version.
#[derive(Debug)]
pub struct Ours {
    store: Arc<dyn SessionStore>,
    place: Place,
    slots: Slots,
    lines: Lines,
}

impl Ours {
    /// Wraps this store, with room for this many sessions.
    pub fn over(store: Arc<dyn SessionStore>, place: Place, sessions: usize) -> Self {
        Self { store, place, slots: Slots::new(sessions), lines: Lines::default() }
    }
}

fn owner(number: usize) -> Result<Owner> {
    Ok(Owner::new(format!("user-{number}"))?)
}

fn write_of(new: NewSession) -> Result<Write> {
    let owner = match new.owner {
        Some(number) => OwnerChange::Set(owner(number)?),
        None => OwnerChange::Keep,
    };
    Ok(Write::new(new.data, Ttl::new(new.ttl)?).owner(owner))
}

#[async_trait]
impl Candidate for Ours {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let (slot, write) = (Slot::of(SessionId::generate()), write_of(new)?);
        let slot = slot.at(write.version);
        match self.store.write(&slot.key, write, When::Absent).await? {
            WriteOutcome::Written => self.slots.set(session, slot),
            WriteOutcome::Conflict(_) => return Err("a new id was taken".into()),
        }
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let key = self.slots.key(session)?;
        let record = self.store.read(&key).await?;
        Ok(record.map(|record| {
            if self.lines.is_idle(session) {
                self.slots.seen(session, &key, record.version);
            }
            record.data.len()
        }))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        let ttl = Ttl::new(TTL)?;
        let mut conflicts = 0;
        let mut place = self.lines.join_if_contended(session).await;
        // After the wait, because the version may have changed during it.
        let (key, mut version) = self.slots.key_and_version(session)?;
        loop {
            if place.as_ref().is_some_and(|place| place.looks_first) {
                version = self.store.read(&key).await?.ok_or("the session is gone")?.version;
            }
            let expected = place.as_ref().and_then(lines::Place::ground).unwrap_or(version);
            let write = Write::new(data.clone(), ttl);
            let written = write.version;
            let writing = self.store.write(&key, write, When::Version(expected));
            let sent = match place.take() {
                Some(place) => place.send(written, writing).await,
                None => self.lines.send_alone(session, written, writing).await,
            };
            match sent.outcome? {
                WriteOutcome::Written => {
                    if sent.is_last {
                        self.slots.seen(session, &key, written);
                    }
                    return Ok(conflicts);
                }
                // The answer contains the record, so an application merges without another read.
                WriteOutcome::Conflict(Some(record)) => version = record.version,
                WriteOutcome::Conflict(None) => return Err("the session is gone".into()),
            }
            conflicts += 1;
            if !sent.at_once || conflicts % STREAK == 0 {
                place = Some(self.lines.join(session).await);
            }
        }
    }

    async fn touch(&self, session: usize) -> Result<()> {
        let key = self.slots.key(session)?;
        if self.store.touch(&key, Ttl::new(TTL)?).await? {
            return Ok(());
        }
        Err("the session is gone".into())
    }

    async fn delete(&self, session: usize) -> Result<()> {
        match self.store.delete(&self.slots.key(session)?, Expected::Any).await? {
            DeleteOutcome::Deleted => Ok(()),
            other => Err(format!("nothing was deleted: {other:?}").into()),
        }
    }

    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        let old = self.slots.get(session)?;
        let write = write_of(new)?;
        let slot = Slot::of(old.id.rotate()).at(write.version);
        match self.store.rename(&old.key, &slot.key, write, old.version).await? {
            RenameOutcome::Renamed => self.slots.set(session, slot),
            other => return Err(format!("nothing was renamed: {other:?}").into()),
        }
        Ok(())
    }

    async fn logout_everywhere(&self, number: usize) -> Option<Result<u64>> {
        let owners = self.store.owners()?;
        let owner = match owner(number) {
            Ok(owner) => owner,
            Err(error) => return Some(Err(error)),
        };
        Some(owners.delete_all(&owner, None).await.map(|ended| ended.len() as u64).map_err(Into::into))
    }

    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        // Large sessions are sent in smaller calls.
        let step = (FILL * 1_024 / payload.len().max(1_024)).max(1);
        for begin in sessions.clone().step_by(step) {
            let some = begin..(begin + step).min(sessions.end);
            let mut items = Vec::with_capacity(some.len());
            for session in some {
                let (slot, write) =
                    (Slot::of(SessionId::generate()), Write::new(payload.next(), Ttl::new(ttl)?));
                let slot = slot.at(write.version);
                items.push(WriteItem { key: slot.key, write, when: When::Absent });
                self.slots.set(session, slot);
            }
            for outcome in self.store.write_many(&items).await {
                if !outcome?.is_written() {
                    return Err("a new id was taken".into());
                }
            }
        }
        Ok(())
    }

    async fn purge(&self) -> Option<Result<Option<u64>>> {
        // Redis removes expired sessions by itself. The call would only scan everything at once.
        if self.place.engine == Engine::Redis {
            return None;
        }
        let maintenance = self.store.maintenance()?;
        let mut purged = 0;
        loop {
            match maintenance.purge_expired(10_000).await {
                Ok(0) => return Some(Ok(Some(purged))),
                Ok(some) => purged += some,
                Err(error) => return Some(Err(error.into())),
            }
        }
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}
