use std::{sync::atomic::Ordering, time::Instant};

use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Expected, Maintenance, Operation, OwnerChange, OwnerIndex,
    Record, RenameOutcome, Result, SessionKey, SessionStore, TouchItem, Ttl, Version, Watch, When, Write,
    WriteItem, WriteOutcome, async_trait,
};

use tokio::sync::broadcast;

use super::{Flaw, ReferenceStore, gap, lock, space::Slot};

#[async_trait]
impl SessionStore for ReferenceStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        if self.has(Flaw::CachesReads)
            && let Some(cached) = lock(&self.cache).get(key)
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
        lock(&self.cache).retain(|cached, _| cached != key || self.has(Flaw::JudgesByCache));
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
        let outcome = self
            .call(Operation::Write, true, |space, now| self.write_now(space, now, key, write, when))
            .await;
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
            let ttl = if self.has(Flaw::BatchTouchesAlike) { items[0].ttl } else { item.ttl };
            results.push(self.touch(&item.key, ttl).await);
        }
        results
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let mut results = Vec::new();
        for item in items {
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
        if !self.has(Flaw::StreamsOutliveClose) {
            let mut spaces = lock(&self.world.spaces);
            let space = spaces.get_mut(&self.namespace).expect("opening made the space");
            // Dropping the sender ends the streams.
            space.events = broadcast::channel(1_024).0;
        }
        if self.has(Flaw::ClosedIsInternal) {
            self.closed.store(true, Ordering::Relaxed);
        }
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
