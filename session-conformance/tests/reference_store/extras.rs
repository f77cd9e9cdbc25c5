//! Batches, and the three optional abilities.

use std::{collections::HashSet, sync::Arc, time::Instant};

use futures_util::{StreamExt, stream};
use session_core::{
    Cursor, Error, ErrorKind, Event, EventStream, Maintenance, Operation, Owner, OwnerIndex, Page, Record,
    Result, SessionKey, SessionStore, Watch, When, WriteItem, WriteOutcome, async_trait,
};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    Flaw, ReferenceStore, gap, lock,
    space::{Slot, Space},
};

/// If an item got no answer, skips the rest of the batch, which would only wait, too. Adds the
/// answer for the next item then.
pub(super) fn rest_of_batch<T>(results: &mut Vec<Result<T>>) -> bool {
    let outage = match results.last() {
        Some(Err(error)) if error.is_transient() => Error::unavailable(error.operation(), false),
        _ => return false,
    };
    results.push(Err(outage));
    true
}

impl ReferenceStore {
    pub(super) async fn read_batch(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        if self.has(Flaw::OutageEmptiesBatches) && self.server.request(Operation::Read).await.is_err() {
            return Vec::new();
        }
        for key in keys {
            if !self.has(Flaw::BatchDropsDuplicates) || seen.insert(key) {
                found.push((key, self.read(key).await));
            }
        }
        if self.has(Flaw::BatchSortsResults) {
            found.sort_by_key(|(key, _)| *key);
        }
        if self.has(Flaw::ForeignFailsBatch)
            && let Some(Err(error)) = found.iter().map(|(_, result)| result).find(|result| result.is_err())
        {
            let error = error.clone();
            for (_, result) in &mut found {
                *result = Err(error.clone());
            }
        }
        found.into_iter().map(|(_, result)| result).collect()
    }

    pub(super) async fn write_batch(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let mut results = Vec::new();
        for (at, WriteItem { key, write, when }) in items.iter().enumerate() {
            if rest_of_batch(&mut results) {
                continue;
            }
            let when = match (self.has(Flaw::BatchRevives), when) {
                (true, When::Version(_)) => When::Any,
                (_, when) => *when,
            };
            let superseded = items[at + 1..].iter().any(|later| later.key == *key);
            if superseded && self.has(Flaw::BatchKeepsTheLast) {
                results.push(Ok(WriteOutcome::Written));
                continue;
            }
            if at > 0 && self.has(Flaw::WatchHearsFirstOfBatch) {
                // Without its event channel, the server does not report this write.
                let outcome = self
                    .call(Operation::Write, true, |space, now| {
                        let heard = space.events.take();
                        let outcome = self.write_now(space, now, key, write.clone(), when);
                        space.events = heard;
                        outcome
                    })
                    .await;
                results.push(outcome.and_then(|outcome| outcome));
                continue;
            }
            results.push(self.write(key, write.clone(), when).await);
        }
        if self.has(Flaw::BatchReadsBack) {
            for (item, result) in items.iter().zip(&mut results) {
                let now = self.read(&item.key).await.ok().flatten();
                if now.as_ref().is_none_or(|record| record.version != item.write.version) && result.is_ok() {
                    *result = Ok(WriteOutcome::Conflict(now));
                }
            }
        }
        if let Some(at) = results.iter().position(Result::is_err) {
            if self.has(Flaw::BatchBlamesTheFirst) {
                results.swap(0, at);
            } else if self.has(Flaw::BatchFailsAsOne) {
                let error = results[at].as_ref().expect_err("this one failed").clone();
                for result in &mut results {
                    *result = Err(error.clone());
                }
            }
        }
        results
    }
}

#[async_trait]
impl OwnerIndex for ReferenceStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.server.request(Operation::ListOwner).await?;
        let now = Instant::now();
        let spaces = lock(&self.world.spaces);
        let mut keys = Vec::new();
        for (namespace, space) in &*spaces {
            if *namespace != self.namespace && !self.has(Flaw::IndexIgnoresNamespace) {
                continue;
            }
            for (key, slot) in &space.slots {
                let Slot::Ours(stored) = slot else { continue };
                let is_old = || self.server.died().is_some_and(|died| stored.expires_at < died + stored.ttl);
                if self.has(Flaw::DeathEmptiesTheIndex) && is_old() {
                    continue;
                }
                let live = space.is_live(stored, now) || self.has(Flaw::IndexListsExpired);
                if live && space.belongs(stored, owner) {
                    keys.push(*key);
                }
            }
        }
        if self.has(Flaw::IndexIsCapped) {
            keys.truncate(1_000);
        }
        Ok(keys)
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let mut keys = self.list(owner).await.map_err(|error| error.during(Operation::CountOwner))?;
        if self.has(Flaw::CountsByPrefix) {
            keys.dedup_by_key(|key| key.as_bytes()[..8].to_vec());
        }
        Ok(keys.len() as u64)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let except = if self.has(Flaw::OwnerDeleteSparesNone) { None } else { except };
        let chosen = if self.has(Flaw::OwnerDeleteMissesRenamed) {
            let listed = self.list(owner).await?;
            gap().await;
            Some(listed)
        } else {
            None
        };
        self.call(Operation::DeleteOwner, true, |space, now| {
            let theirs: Vec<SessionKey> = space
                .slots
                .iter()
                .filter_map(|(key, slot)| match slot {
                    Slot::Ours(stored) if space.belongs(stored, owner) && space.is_live(stored, now) => {
                        Some(*key)
                    }
                    _ => None,
                })
                .filter(|key| {
                    Some(key) != except && chosen.as_ref().is_none_or(|chosen| chosen.contains(key))
                })
                .collect();
            for key in &theirs {
                space.remove(key);
                if !self.has(Flaw::WatchMissesOwnerDeletes) {
                    space.tell(Event::Deleted { key: *key });
                }
            }
            theirs
        })
        .await
    }
}

#[async_trait]
impl Maintenance for ReferenceStore {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let limit = limit.max(1);
        if self.has(Flaw::ForeignCursorIsCorrupt)
            && cursor.as_ref().is_some_and(|cursor| cursor.as_bytes().len() != SessionKey::LEN)
        {
            return Err(Error::new(ErrorKind::Corrupt, Operation::Page));
        }
        self.call(Operation::Page, false, |space, now| {
            let live: Vec<(SessionKey, Record)> = space
                .slots
                .iter()
                .filter_map(|(key, slot)| match slot {
                    Slot::Ours(stored) if space.is_live(stored, now) => {
                        Some((*key, space.record(stored, now)))
                    }
                    _ => None,
                })
                .collect();
            let start = match &cursor {
                None if self.has(Flaw::ListsAfterTheFirstKey) => {
                    live.partition_point(|(key, _)| *key.as_bytes() == [0; SessionKey::LEN])
                }
                None => 0,
                Some(cursor) if self.has(Flaw::PagesByPosition) => {
                    usize::from_le_bytes(cursor.as_bytes().try_into().unwrap_or_default())
                }
                Some(cursor) => live.partition_point(|(key, _)| key.as_bytes()[..] <= *cursor.as_bytes()),
            };
            let ends = self.has(Flaw::LongPagesEnd) && limit > 1_000;
            let len = if ends { 1_000 } else { limit };
            let mut records: Vec<_> = live.iter().skip(start).take(len).cloned().collect();
            let more = start.saturating_add(limit) < live.len();
            let next = records.last().filter(|_| more).map(|(key, _)| match self.world.flaw {
                Some(Flaw::PagesByPosition) => Cursor::new((start + limit).to_le_bytes().to_vec()),
                _ => Cursor::new(key.as_bytes().to_vec()),
            });
            if self.has(Flaw::PageDropsLast) {
                records.pop();
            }
            Page { records, next }
        })
        .await
    }

    async fn count(&self) -> Result<u64> {
        self.server.request(Operation::Count).await?;
        let now = Instant::now();
        let mut spaces = lock(&self.world.spaces);
        if let Some(space) =
            spaces.get_mut(&self.namespace).filter(|space| space.has(Flaw::CountFreesSilently))
        {
            space.slots.retain(|_, slot| !matches!(slot, Slot::Ours(stored) if stored.expires_at <= now));
        }
        let counted = spaces
            .iter()
            .filter(|(name, _)| **name == self.namespace || self.has(Flaw::CountIgnoresNamespace));
        let live = counted.map(|(_, space)| {
            let counts = |slot: &&Slot| match slot {
                Slot::Ours(stored) if self.has(Flaw::CountsRenewed) => {
                    space.is_live(stored, now) || stored.first_expiry < stored.expires_at
                }
                Slot::Ours(stored) => space.is_live(stored, now) || self.has(Flaw::CountsExpired),
                Slot::Foreign(_) => false,
            };
            space.slots.values().filter(counts).count() as u64
        });
        Ok(live.sum())
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let due = self
            .call(Operation::Purge, true, |space, now| {
                let due = |slot: &Slot| match slot {
                    _ if self.has(Flaw::PurgeFreesNothing) => false,
                    Slot::Ours(stored) if self.has(Flaw::PurgeForgetsRenewal) => stored.first_expiry <= now,
                    Slot::Ours(stored) if self.has(Flaw::CountsRenewed) => {
                        !space.is_live(stored, now) && stored.first_expiry >= stored.expires_at
                    }
                    Slot::Ours(stored) => !space.is_live(stored, now),
                    Slot::Foreign(_) => false,
                };
                let keys: Vec<SessionKey> = space
                    .slots
                    .iter()
                    .filter(|(_, slot)| due(slot))
                    .map(|(key, _)| *key)
                    .take(limit.max(1))
                    .collect();
                let is_silent = self.has(Flaw::WatchMissesExpiry)
                    || self.has(Flaw::FullPurgeIsSilent) && keys.len() == limit.max(1);
                if !self.has(Flaw::PurgeInTwoSteps) {
                    for key in &keys {
                        space.slots.remove(key);
                        if !is_silent {
                            space.tell(Event::Expired { key: *key });
                        }
                    }
                }
                keys
            })
            .await?;
        if self.has(Flaw::ForeignHoldsThePurge) {
            let is_foreign = |slot: &Slot| matches!(slot, Slot::Foreign(_));
            if self.call(Operation::Purge, false, |space, _| space.slots.values().any(is_foreign)).await? {
                std::future::pending::<()>().await;
            }
        }
        if self.has(Flaw::PurgeInTwoSteps) {
            gap().await;
            self.call(Operation::Purge, true, |space, _| {
                for key in &due {
                    space.slots.remove(key);
                    space.tell(Event::Expired { key: *key });
                }
            })
            .await?;
        }
        let mut freed = due.len() as u64;
        if self.has(Flaw::PurgeCountsRenewed) {
            // Each record is counted once.
            let was_due = |slot: &mut Slot| match slot {
                Slot::Ours(stored) => {
                    let was_due = stored.first_expiry <= Instant::now();
                    stored.first_expiry = stored.expires_at;
                    was_due
                }
                Slot::Foreign(_) => false,
            };
            let count = |space: &mut Space, _| {
                space.slots.values_mut().map(was_due).filter(|was_due| *was_due).count()
            };
            freed += self.call(Operation::Purge, false, count).await? as u64;
        }
        Ok(freed)
    }
}

#[async_trait]
impl Watch for ReferenceStore {
    async fn subscribe(&self) -> Result<EventStream> {
        let receiver = match self
            .call(Operation::Watch, false, |space, _| {
                space.drowns = self.has(Flaw::SubscribingDrowns);
                space.events.as_ref().map(broadcast::Sender::subscribe)
            })
            .await
        {
            Err(error) if error.is_transient() && self.has(Flaw::WatchBeginsDeaf) => {
                return Ok(stream::pending().boxed());
            }
            receiver => receiver?.ok_or_else(|| Error::new(ErrorKind::Closed, Operation::Watch))?,
        };
        let silent = self.has(Flaw::WatchDropsSilently);
        let (server, dies) = (Arc::clone(&self.server), self.has(Flaw::WatchDiesWithServer));
        let events = stream::unfold(receiver, move |mut receiver| {
            let server = Arc::clone(&server);
            async move {
                loop {
                    if dies && server.was_broken() {
                        std::future::pending::<()>().await;
                    }
                    return match receiver.recv().await {
                        Ok(event) => Some((event, receiver)),
                        Err(RecvError::Lagged(_)) if silent => continue,
                        Err(RecvError::Lagged(_)) => Some((Event::Missed, receiver)),
                        Err(RecvError::Closed) => None,
                    };
                }
            }
        });
        Ok(events.boxed())
    }

    fn hears_all_nodes(&self) -> bool {
        !self.has(Flaw::WatchDisownsOtherNodes)
    }
}
