use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Event, Expected, Maintenance, Operation, OwnerChange,
    OwnerIndex, Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch,
    When, Write, WriteItem, WriteOutcome, async_trait,
};

use super::{Flaw, ReferenceStore, extras::rest_of_batch, gap, lock, server::DEADLINE, space::Slot};

impl ReferenceStore {
    /// Gives every record that existed at this moment its whole ttl again.
    fn renew_all(&self, died: Instant) {
        for space in lock(&self.world.spaces).values_mut() {
            for slot in space.slots.values_mut() {
                if let Slot::Ours(stored) = slot
                    && stored.expires_at < died + stored.ttl
                {
                    stored.expires_at = Instant::now() + stored.ttl + Duration::from_millis(20);
                }
            }
        }
    }
}

#[async_trait]
impl SessionStore for ReferenceStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        if let Some(cached) = lock(&self.cache).get(key)
            && (self.has(Flaw::CachesReads) || self.has(Flaw::RemembersAbsence) && cached.is_none())
        {
            return Ok(cached.clone());
        }
        let found = self
            .call(Operation::Read, false, |space, now| {
                space
                    .find(key, now, Operation::Read)
                    .map(|found| found.map(|stored| space.record(stored, now)))
            })
            .await;
        if let Some(died) = self.server.died().filter(|_| self.has(Flaw::DeathRenewsTtls)) {
            self.renew_all(died);
        }
        let mut found = match found {
            Err(_) if self.has(Flaw::OutageIsEmpty) => return Ok(None),
            found => found??,
        };
        if found.is_none() && self.has(Flaw::ReadIgnoresNamespace) {
            let now = Instant::now();
            let spaces = lock(&self.world.spaces);
            found = spaces.values().find_map(|space| match space.find(key, now, Operation::Read) {
                Ok(Some(stored)) => Some(space.record(stored, now)),
                _ => None,
            });
        }
        lock(&self.cache).insert(*key, found.clone());
        Ok(found)
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let keeps_much = lock(&self.cache).len() > 100;
        lock(&self.cache).retain(|cached, _| {
            cached != key || self.has(Flaw::JudgesByCache) || keeps_much && self.has(Flaw::RemembersAbsence)
        });
        if lock(&self.held).contains(key) {
            return Err(Error::unavailable(Operation::Write, false));
        }
        if self.judged_alone(when) {
            let current = self.read(key).await?;
            if !when.holds(current.as_ref().map(|record| record.version)) {
                return Ok(WriteOutcome::Conflict(current));
            }
            gap().await;
            return self
                .call(Operation::Write, true, |space, now| self.write_now(space, now, key, write, When::Any))
                .await?;
        }
        if self.has(Flaw::ChecksOutsideTheLock) {
            let sent = self.server.request(Operation::Write).await?;
            let judged = self.locked(|space, now| match space.find(key, now, Operation::Write) {
                Ok(found) if when.holds(found.map(|stored| stored.version)) => Some(When::Any),
                _ => None,
            });
            let outcome =
                self.locked(|space, now| self.write_now(space, now, key, write, judged.unwrap_or(when)));
            self.server.reply(sent, Operation::Write, true).await?;
            return outcome;
        }
        if self.has(Flaw::WriteTears) {
            let data = write.data.clone();
            self.call(Operation::Write, true, |space, _| match space.slots.get_mut(key) {
                Some(Slot::Ours(stored)) if when == When::Version(stored.version) => stored.data = data,
                _ => {}
            })
            .await?;
            gap().await;
        }
        let again = write.clone();
        if self.has(Flaw::IndexComesLater) {
            let outcome = self
                .call(Operation::Write, true, |space, now| self.write_now(space, now, key, write, when))
                .await?;
            gap().await;
            self.call(Operation::Write, true, |space, _| {
                if let Some(Slot::Ours(stored)) = space.slots.get_mut(key) {
                    stored.indexed = true;
                }
            })
            .await?;
            return outcome;
        }
        let begun = Instant::now();
        let outcome = self
            .call(Operation::Write, true, |space, now| self.write_now(space, now, key, write, when))
            .await;
        if self.has(Flaw::LateCallerKeepsTheKey) && begun.elapsed() > DEADLINE * 5 / 4 {
            lock(&self.held).insert(*key);
        }
        match outcome {
            Err(error) if error.may_have_applied() && self.has(Flaw::RetryMeetsItself) => {
                let mut spaces = lock(&self.world.spaces);
                let space = spaces.get_mut(&self.namespace).expect("opening made the space");
                let found = space.find(key, Instant::now(), Operation::Write)?.cloned();
                Ok(self.conflict(space, Instant::now(), key, &again, found))
            }
            outcome => outcome?,
        }
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        if self.has(Flaw::TouchRewrites) {
            let Some(record) = self.read(key).await? else { return Ok(false) };
            gap().await;
            let rewritten =
                Write { data: record.data, version: record.version, ttl, owner: OwnerChange::Keep };
            let _ = self
                .call(Operation::Touch, true, |space, now| {
                    space.slots.remove(key);
                    self.write_now(space, now, key, rewritten, When::Any)
                })
                .await?;
            return Ok(true);
        }
        self.call(Operation::Touch, true, |space, now| self.touch_now(space, now, key, ttl)).await?
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        lock(&self.cache).remove(key);
        let item = DeleteItem { key: *key, expected };
        if self.has(Flaw::DeleteInTwoSteps) && expected == Expected::Any {
            if self.read(key).await?.is_none() {
                return Ok(DeleteOutcome::Absent);
            }
            gap().await;
            let _ =
                self.call(Operation::Delete, true, |space, now| self.delete_now(space, now, item)).await?;
            return Ok(DeleteOutcome::Deleted);
        }
        if self.has(Flaw::CallerTellsDeletions) {
            let outcome =
                self.call(Operation::Delete, true, |space, now| self.delete_now(space, now, item)).await?;
            gap().await;
            if matches!(outcome, Ok(DeleteOutcome::Deleted)) {
                self.call(Operation::Delete, true, |space, _| space.tell(Event::Deleted { key: *key }))
                    .await?;
            }
            return outcome;
        }
        if self.has(Flaw::DeleteTears) {
            self.call(Operation::Delete, true, |space, _| {
                if let Some(Slot::Ours(stored)) = space.slots.get_mut(key) {
                    stored.version = Version::random();
                }
            })
            .await?;
            gap().await;
            let item = DeleteItem { key: *key, expected: Expected::Any };
            return self
                .call(Operation::Delete, true, |space, now| self.delete_now(space, now, item))
                .await?;
        }
        self.call(Operation::Delete, true, |space, now| self.delete_now(space, now, item)).await?
    }

    async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let in_steps = [Flaw::RenameDeletesFirst, Flaw::RenameForgetsToCheck, Flaw::RenameTrustsTheNewRecord];
        if in_steps.iter().any(|flaw| self.has(*flaw)) {
            return self.rename_in_steps((old, new), write, expected).await;
        }
        lock(&self.cache).remove(old);
        lock(&self.cache).remove(new);
        self.call(Operation::Rename, true, |space, now| {
            self.rename_now(space, now, (old, new), write, expected)
        })
        .await?
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.read_batch(keys).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        self.write_batch(items).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let mut results = Vec::new();
        for item in items {
            if rest_of_batch(&mut results) {
                continue;
            }
            let ttl = if self.has(Flaw::BatchTouchesAlike) { items[0].ttl } else { item.ttl };
            results.push(self.touch(&item.key, ttl).await);
        }
        results
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let mut results = Vec::new();
        for item in items {
            if rest_of_batch(&mut results) {
                continue;
            }
            let expected =
                if self.has(Flaw::BatchDeleteIgnoresVersion) { Expected::Any } else { item.expected };
            results.push(self.delete(&item.key, expected).await);
        }
        results
    }

    async fn close(&self) -> Result<()> {
        if self.has(Flaw::CloseFails) {
            return Err(Error::new(ErrorKind::Internal, Operation::Close));
        }
        if self.has(Flaw::DeathStopsClose) && self.server.died().is_some() {
            return Err(Error::unavailable(Operation::Close, false));
        }
        if self.has(Flaw::SecondCloseIsEarly) {
            if self.closed.swap(true, Ordering::Relaxed) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if !self.has(Flaw::StreamsOutliveClose) {
            let mut spaces = lock(&self.world.spaces);
            let space = spaces.get_mut(&self.namespace).expect("opening made the space");
            // Dropping the sender ends the streams.
            space.events = None;
        }
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }

    fn watch(&self) -> Option<&dyn Watch> {
        Some(self)
    }
}
