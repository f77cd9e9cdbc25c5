use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use session_core::{
    Bytes, DeleteOutcome, Error, Expected, Operation, Owner, OwnerIndex, Record, Result, SessionKey,
    SessionStore, Ttl, Version, When, Write, WriteOutcome, async_trait,
};

/// A store in one map, behind one lock. Slow under load, and correct.
#[derive(Default)]
pub struct WorkedStore {
    records: Mutex<HashMap<SessionKey, Stored>>,
}

#[derive(Clone)]
struct Stored {
    data: Bytes,
    version: Version,
    owner: Option<Owner>,
    expires_at: Instant,
}

/// Shows neither data nor owners, because it may be logged (promise 7).
impl fmt::Debug for WorkedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkedStore").finish_non_exhaustive()
    }
}

type Records<'a> = MutexGuard<'a, HashMap<SessionKey, Stored>>;

impl WorkedStore {
    /// Locks the map, and only then reads the clock: waiting for a lock must not keep an expired
    /// record alive (promise 4).
    fn lock(&self) -> (Records<'_>, Instant) {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        (records, Instant::now())
    }
}

/// The record under `key` if it is live. All methods below use it, so an expired record whose space
/// is not freed yet is absent everywhere.
fn live<'a>(records: &'a mut Records<'_>, key: &SessionKey, now: Instant) -> Option<&'a mut Stored> {
    records.get_mut(key).filter(|stored| now < stored.expires_at)
}

fn record(stored: &Stored, now: Instant) -> Record {
    Record {
        data: stored.data.clone(),
        version: stored.version,
        expires_in: stored.expires_at - now,
        owner: stored.owner.clone(),
    }
}

#[async_trait]
impl SessionStore for WorkedStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let (mut records, now) = self.lock();
        Ok(live(&mut records, key, now).map(|stored| record(stored, now)))
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if write.data.len() > self.max_data_len() {
            return Err(Error::too_large(Operation::Write, write.data.len(), self.max_data_len()));
        }
        let (mut records, now) = self.lock();
        let current = live(&mut records, key, now);
        let current_version = current.as_ref().map(|stored| stored.version);
        if current_version == Some(write.version) {
            return Ok(WriteOutcome::Written); // this very write, delivered again
        }
        if !when.holds(current_version) {
            return Ok(WriteOutcome::Conflict(current.map(|stored| record(stored, now))));
        }
        let owner = write.owner.apply(current.and_then(|stored| stored.owner.clone()));
        let expires_at = now + write.ttl.as_duration();
        records.insert(*key, Stored { data: write.data, version: write.version, owner, expires_at });
        Ok(WriteOutcome::Written)
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let (mut records, now) = self.lock();
        let Some(stored) = live(&mut records, key, now) else { return Ok(false) };
        stored.expires_at = now + ttl.as_duration();
        Ok(true)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        let (mut records, now) = self.lock();
        match live(&mut records, key, now) {
            None => Ok(DeleteOutcome::Absent),
            Some(stored) if !expected.matches(stored.version) => Ok(DeleteOutcome::Conflict),
            Some(_) => {
                records.remove(key);
                Ok(DeleteOutcome::Deleted)
            }
        }
    }

    fn owners(&self) -> Option<&dyn OwnerIndex> {
        Some(self)
    }
}

/// Under one lock, a scan of all records misses none. A real store keeps an index in addition to
/// the records, and changes both in one step.
#[async_trait]
impl OwnerIndex for WorkedStore {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let (records, now) = self.lock();
        let theirs = |stored: &Stored| now < stored.expires_at && stored.owner.as_ref() == Some(owner);
        Ok(records.iter().filter(|(_, stored)| theirs(stored)).map(|(key, _)| *key).collect())
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        Ok(self.list(owner).await?.len() as u64)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        // The provided `rename` creates the new record before it deletes the old one. A session
        // that is being renamed could thus move from a key not yet scanned to one already scanned.
        // Under one lock it cannot.
        let (mut records, now) = self.lock();
        let mut ended = Vec::new();
        records.retain(|key, stored| {
            let theirs = stored.owner.as_ref() == Some(owner) && Some(key) != except;
            if theirs && now < stored.expires_at {
                ended.push(*key);
            }
            !theirs
        });
        Ok(ended)
    }
}
