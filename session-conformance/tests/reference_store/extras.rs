//! Batches, and the three optional abilities.

use std::{collections::HashSet, sync::Arc, time::Instant};

use futures_util::{StreamExt, stream};
use session_core::{
    Cursor, Event, EventStream, Maintenance, Operation, Owner, OwnerIndex, Page, Record, Result, SessionKey,
    SessionStore, Watch, When, WriteItem, WriteOutcome, async_trait,
};
use tokio::sync::broadcast::error::RecvError;

use super::{Flaw, ReferenceStore, gap, lock, space::Slot};

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
                // The server's events go where nobody listens for the time of this write.
                let outcome = self
                    .call(Operation::Write, true, |space, now| {
                        let heard =
                            std::mem::replace(&mut space.events, tokio::sync::broadcast::channel(1).0);
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
        Ok(self.list(owner).await?.len() as u64)
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
                None => 0,
                Some(cursor) if self.has(Flaw::PagesByPosition) => {
                    usize::from_le_bytes(cursor.as_bytes().try_into().unwrap_or_default())
                }
                Some(cursor) => live.partition_point(|(key, _)| key.as_bytes()[..] <= *cursor.as_bytes()),
            };
            let mut records: Vec<_> = live.iter().skip(start).take(limit).cloned().collect();
            let more = start + limit < live.len();
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
        let spaces = lock(&self.world.spaces);
        let counted = spaces
            .iter()
            .filter(|(name, _)| **name == self.namespace || self.has(Flaw::CountIgnoresNamespace));
        let live = counted.map(|(_, space)| {
            let counts = |slot: &&Slot| match slot {
                Slot::Ours(stored) => space.is_live(stored, now) || self.has(Flaw::CountsExpired),
                Slot::Foreign(_) => false,
            };
            space.slots.values().filter(counts).count() as u64
        });
        Ok(live.sum())
    }

    async fn purge_expired(&self, _: usize) -> Result<u64> {
        let due = self
            .call(Operation::Purge, true, |space, now| {
                let due = |slot: &Slot| match slot {
                    Slot::Ours(stored) if self.has(Flaw::PurgeForgetsRenewal) => stored.first_expiry <= now,
                    Slot::Ours(stored) => !space.is_live(stored, now),
                    Slot::Foreign(_) => false,
                };
                let keys: Vec<SessionKey> =
                    space.slots.iter().filter(|(_, slot)| due(slot)).map(|(key, _)| *key).collect();
                if !self.has(Flaw::PurgeInTwoSteps) {
                    for key in &keys {
                        space.slots.remove(key);
                        if !self.has(Flaw::WatchMissesExpiry) {
                            space.tell(Event::Expired { key: *key });
                        }
                    }
                }
                keys
            })
            .await?;
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
        Ok(due.len() as u64)
    }
}

#[async_trait]
impl Watch for ReferenceStore {
    async fn subscribe(&self) -> Result<EventStream> {
        let receiver = self.call(Operation::Watch, false, |space, _| space.events.subscribe()).await?;
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
}
