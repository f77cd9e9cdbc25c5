use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use session_core::{
    DeleteOutcome, Error, Expected, Operation, Record, Result, SessionKey, SessionStore, StoredRecord, Ttl,
    Version, When, Write, WriteOutcome, async_trait,
};

use crate::engine::{Engine, Lost};

/// A store in an engine with compare-and-swap.
pub struct SwapStore {
    engine: Arc<Engine>,
}

/// Shows neither data nor owners, because it may be logged (promise 7).
impl fmt::Debug for SwapStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwapStore").finish_non_exhaustive()
    }
}

/// The clock that decides about expiry, in milliseconds since 1970. The engine has no clock with
/// millisecond resolution, so this is the clock of the node.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long the engine must keep a value, in whole seconds: never less than the ttl. One second is
/// added because the engine may already be within the current second.
fn seconds(ttl: Ttl) -> u64 {
    ttl.as_millis().div_ceil(1_000) + 1
}

/// The failure of a change that may have been carried out.
fn unanswered(operation: Operation) -> Error {
    Error::unavailable(operation, true).because("the reply was lost")
}

impl SwapStore {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// The value that the engine has under `key`, and its token.
    async fn get(&self, operation: Operation, key: &SessionKey) -> Result<Option<(StoredRecord, u64)>> {
        match self.engine.get(key).await {
            Ok(Some((bytes, token))) => Ok(Some((StoredRecord::decode(bytes, operation)?, token))),
            Ok(None) => Ok(None),
            // A read has changed nothing.
            Err(Lost) => Err(Error::unavailable(operation, false).because("the reply was lost")),
        }
    }

    /// The live record under `key`, and the token under which to change it.
    ///
    /// An expired record is removed before it is reported absent: another node may have read it
    /// while it was live, and be about to swap it. After the removal, that swap fails and revives
    /// nothing.
    async fn look(&self, operation: Operation, key: &SessionKey) -> Result<Option<(Record, u64)>> {
        while let Some((stored, token)) = self.get(operation, key).await? {
            if let Some(record) = stored.live(now()) {
                return Ok(Some((record, token)));
            }
            if self.engine.remove(key, token).await.is_err() {
                return Err(Error::unavailable(operation, false).because("the reply was lost"));
            }
        }
        Ok(None)
    }

    /// The outcome of a write whose reply was lost. Only its version tells: a write that is not
    /// there may still arrive, so the only other correct answer is `may_have_applied`.
    async fn find_out(&self, key: &SessionKey, version: Version) -> Result<WriteOutcome> {
        match self.look(Operation::Write, key).await {
            Ok(Some((record, _))) if record.version == version => Ok(WriteOutcome::Written),
            _ => Err(unanswered(Operation::Write)),
        }
    }
}

#[async_trait]
impl SessionStore for SwapStore {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        Ok(self.look(Operation::Read, key).await?.map(|(record, _)| record))
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        if write.data.len() > self.max_data_len() {
            return Err(Error::too_large(Operation::Write, write.data.len(), self.max_data_len()));
        }
        // Read, decide, swap. Each further iteration means that a change of another caller
        // succeeded.
        loop {
            let found = self.look(Operation::Write, key).await?;
            let live = found.as_ref().map(|(record, _)| record.version);
            if live == Some(write.version) {
                return Ok(WriteOutcome::Written); // this very write, delivered again
            }
            if !when.holds(live) {
                return Ok(WriteOutcome::Conflict(found.map(|(record, _)| record)));
            }
            let (owner, token) = found.map_or((None, None), |(record, token)| (record.owner, Some(token)));
            let bytes = StoredRecord::new(write.clone(), owner, now()).encode();
            let changed = match token {
                Some(token) => self.engine.swap(key, token, bytes, seconds(write.ttl)).await,
                None => self.engine.add(key, bytes, seconds(write.ttl)).await,
            };
            match changed {
                Ok(true) => return Ok(WriteOutcome::Written),
                Ok(false) => {}
                Err(Lost) => return self.find_out(key, write.version).await,
            }
        }
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        while let Some((record, token)) = self.look(Operation::Touch, key).await? {
            let Record { data, version, owner, .. } = record;
            let stored = StoredRecord { data, version, owner, expires_at: now() + ttl.as_millis() };
            match self.engine.swap(key, token, stored.encode(), seconds(ttl)).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(Lost) => return Err(unanswered(Operation::Touch)),
            }
        }
        Ok(false)
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        loop {
            let Ok(value) = self.engine.get(key).await else {
                return Err(Error::unavailable(Operation::Delete, false).because("the reply was lost"));
            };
            let Some((bytes, token)) = value else { return Ok(DeleteOutcome::Absent) };
            let removed = match (StoredRecord::decode(bytes, Operation::Delete), expected) {
                (Ok(stored), _) => match stored.live(now()) {
                    Some(record) if expected.matches(record.version) => DeleteOutcome::Deleted,
                    Some(_) => return Ok(DeleteOutcome::Conflict),
                    None => DeleteOutcome::Absent,
                },
                // Foreign bytes are removed, too, so that the key is free again (promise 15).
                (Err(_), Expected::Any) => DeleteOutcome::Deleted,
                (Err(error), Expected::Version(_)) => return Err(error),
            };
            match self.engine.remove(key, token).await {
                Ok(true) => return Ok(removed),
                Ok(false) => {}
                Err(Lost) => return Err(unanswered(Operation::Delete)),
            }
        }
    }
}
