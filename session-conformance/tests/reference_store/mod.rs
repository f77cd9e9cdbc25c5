//! A store that keeps every promise, has every ability, and can be given any one flaw.
//!
//! Its "server" is a map in this process that a switch can break. Thereby the outage cases of the
//! suite are also shown to pass on a correct store and to fail on broken ones.

mod contract;
mod extras;
mod flaw;
mod renames;
mod server;
mod space;
mod targets;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

pub(crate) use flaw::Flaw;
use server::Server;
use session_core::{
    DeleteItem, DeleteOutcome, Error, ErrorKind, Event, Expected, Operation, Owner, OwnerChange, Record,
    Result, SessionKey, SessionStore, Ttl, Version, When, Write, WriteOutcome,
};
use space::{Slot, Space, Stored};
#[allow(unused_imports, reason = "each test program has use for one of them")]
pub(crate) use targets::{target, target_under};
use tokio::task::yield_now;

#[derive(Debug)]
struct World {
    spaces: Mutex<BTreeMap<String, Space>>,
    flaw: Option<Flaw>,
}

/// One handle, which is one node. It has its own cache, if a flaw makes it use one.
pub(crate) struct ReferenceStore {
    world: Arc<World>,
    namespace: String,
    server: Arc<Server>,
    cache: Mutex<HashMap<SessionKey, Option<Record>>>,
    number: usize,
    /// The keys that a flaw keeps locked.
    held: Mutex<HashSet<SessionKey>>,
    closed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Yields to other tasks a few times. Simulates the gap in "check, then act".
async fn gap() {
    for _ in 0..4 {
        yield_now().await;
    }
}

impl fmt::Debug for ReferenceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ReferenceStore");
        if self.has(Flaw::DebugShowsRecords) {
            out.field("world", &self.world);
        }
        out.finish_non_exhaustive()
    }
}

impl Drop for ReferenceStore {
    fn drop(&mut self) {
        if self.has(Flaw::DroppedHandleEndsStreams) {
            self.locked(Space::begin_events);
        }
    }
}

impl ReferenceStore {
    fn has(&self, flaw: Flaw) -> bool {
        self.world.flaw == Some(flaw)
    }

    /// One round trip: a request, one atomic step of the server on the records, and the reply.
    async fn call<T>(
        &self,
        operation: Operation,
        change: bool,
        work: impl FnOnce(&mut Space, Instant) -> T,
    ) -> Result<T> {
        if self.closed.load(Ordering::Relaxed) && self.has(Flaw::ClosedIsInternal) {
            return Err(Error::new(ErrorKind::Internal, operation));
        }
        let sent = self.server.request(operation).await?;
        let result = self.locked(work);
        self.server.reply(sent, operation, change).await?;
        Ok(result)
    }

    /// One atomic step of the server on the records.
    fn locked<T>(&self, work: impl FnOnce(&mut Space, Instant) -> T) -> T {
        let mut spaces = lock(&self.world.spaces);
        let space = spaces.get_mut(&self.namespace).expect("opening made the space");
        work(space, Instant::now())
    }

    fn write_now(
        &self,
        space: &mut Space,
        now: Instant,
        key: &SessionKey,
        mut write: Write,
        when: When,
    ) -> Result<WriteOutcome> {
        let max = self.max_data_len();
        if write.data.len() > max {
            if self.has(Flaw::TooLargeDeletes) {
                space.remove(key);
            }
            if !self.has(Flaw::CutsWhatIsTooLarge) {
                return Err(Error::too_large(Operation::Write, write.data.len(), max));
            }
            write.data.truncate(max);
        }
        match self.world.flaw {
            Some(Flaw::CutsAtNul) => {
                write.data.truncate(write.data.iter().position(|byte| *byte == 0).unwrap_or(max));
            }
            Some(Flaw::CutsLongData) => write.data.truncate(65_535),
            Some(Flaw::DataIsText) => write.data = String::from_utf8_lossy(&write.data).into_owned().into(),
            _ => {}
        }
        let found = match space.find(key, now, Operation::Write) {
            Err(_) if self.has(Flaw::ForeignIsOverwritten) && when == When::Absent => None,
            Err(_) if self.has(Flaw::ForeignIsGone) => return Ok(WriteOutcome::Conflict(None)),
            found => found?.cloned(),
        };
        let expired = match space.slots.get(key) {
            Some(Slot::Ours(stored)) if found.is_none() => Some(stored.clone()),
            _ => None,
        };
        let current = found.as_ref().map(|stored| stored.version);
        let forgets_itself = self.has(Flaw::RedeliveryConflicts)
            || self.has(Flaw::WritesItselfAgain) && when == When::Version(write.version);
        if current == Some(write.version) && !forgets_itself {
            if let Some(Slot::Ours(stored)) = space.slots.get_mut(key)
                && stored.handle != self.number
                && self.has(Flaw::RenewsWhatAnotherDelivers)
            {
                stored.expires_at = now + write.ttl.as_duration();
            }
            return Ok(WriteOutcome::Written);
        }
        if !self.holds(space, key, when, found.as_ref(), expired.as_ref()) {
            return Ok(self.conflict(space, now, key, &write, found));
        }
        let inherited = found.as_ref().and_then(|stored| stored.owner.clone());
        let inherited = if self.has(Flaw::ExpiredOwnerInherited) {
            inherited.or(expired.and_then(|stored| stored.owner))
        } else {
            inherited
        };
        self.keep(space, now, key, write, found.as_ref(), inherited);
        Ok(WriteOutcome::Written)
    }

    fn holds(
        &self,
        space: &Space,
        key: &SessionKey,
        when: When,
        found: Option<&Stored>,
        expired: Option<&Stored>,
    ) -> bool {
        let buried = || space.graveyard.get(key).map(|stored| stored.version);
        match when {
            When::Any => true,
            When::Absent => match self.world.flaw {
                Some(Flaw::AbsentOverwrites) => true,
                Some(Flaw::ExpiredBlocksAbsent) => found.is_none() && expired.is_none(),
                _ => found.is_none(),
            },
            When::Version(expected) => {
                let cached = || lock(&self.cache).get(key).cloned().flatten().map(|record| record.version);
                found.is_some_and(|stored| stored.version == expected)
                    || match self.world.flaw {
                        Some(Flaw::AnyVersionWins) => found.is_some(),
                        Some(Flaw::VersionIsTheData) => {
                            found.is_some_and(|stored| stored.same_data.contains(&expected))
                        }
                        Some(Flaw::WriteRevives) => found.is_none() && buried() == Some(expected),
                        Some(Flaw::VersionOutlivesDeletion) => found.is_some() && buried() == Some(expected),
                        Some(Flaw::ExpiredTakesWrites) => {
                            expired.is_some_and(|stored| stored.version == expected)
                        }
                        Some(Flaw::JudgesByCache) => cached() == Some(expected),
                        _ => false,
                    }
            }
        }
    }

    fn conflict(
        &self,
        space: &mut Space,
        now: Instant,
        key: &SessionKey,
        write: &Write,
        found: Option<Stored>,
    ) -> WriteOutcome {
        let Some(mut stored) = found else { return WriteOutcome::Conflict(None) };
        let mut record = space.record(&stored, now);
        match self.world.flaw {
            Some(Flaw::ConflictWithoutRecord) => return WriteOutcome::Conflict(None),
            Some(Flaw::ConflictWithoutOwner) => record.owner = None,
            Some(Flaw::ConflictCarriesAnOldRecord) => record.version = Version::random(),
            Some(Flaw::ConflictRenews) => stored.expires_at = now + write.ttl.as_duration(),
            Some(Flaw::ConflictSetsOwner) => stored.owner = write.owner.clone().apply(stored.owner),
            _ => {}
        }
        space.slots.insert(*key, Slot::Ours(stored));
        WriteOutcome::Conflict(Some(record))
    }

    fn keep(
        &self,
        space: &mut Space,
        now: Instant,
        key: &SessionKey,
        write: Write,
        found: Option<&Stored>,
        inherited: Option<Owner>,
    ) {
        let lifetime = space.lifetime(write.ttl.as_duration());
        let expires_at = now + lifetime;
        let mut stored = Stored {
            data: write.data,
            version: write.version,
            owner: write.owner.clone().apply(inherited),
            expires_at,
            ttl: lifetime,
            first_expiry: expires_at,
            same_data: Vec::new(),
            former_owners: Vec::new(),
            indexed: !self.has(Flaw::IndexComesLater),
            handle: self.number,
        };
        if let Some(before) = found {
            stored.first_expiry = before.first_expiry;
            if before.data == stored.data {
                stored.same_data.clone_from(&before.same_data);
                stored.same_data.push(before.version);
            }
            if self.has(Flaw::WriteKeepsTtl) {
                stored.expires_at = before.expires_at;
            }
            if self.has(Flaw::IndexKeepsCleared) && write.owner == OwnerChange::Clear {
                stored.former_owners.extend(before.owner.clone());
            }
        }
        space.tell(Event::Changed { key: *key, version: Some(stored.version) });
        space.slots.insert(*key, Slot::Ours(stored));
    }

    fn touch_now(&self, space: &mut Space, now: Instant, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let live = space.find(key, now, Operation::Touch)?.is_some();
        let lifetime = space.lifetime(ttl.as_duration());
        if !live
            && self.has(Flaw::TouchRevives)
            && let Some(stored) = space.graveyard.remove(key)
        {
            space.slots.insert(*key, Slot::Ours(stored));
            return Ok(false);
        }
        if !live && self.has(Flaw::TouchCreates) {
            self.keep(space, now, key, Write::new("", ttl), None, None);
            return Ok(false);
        }
        if !live && !self.has(Flaw::TouchRevivesExpired) {
            return Ok(false);
        }
        let Some(Slot::Ours(stored)) = space.slots.get_mut(key) else { return Ok(false) };
        let until = now + lifetime;
        stored.expires_at = match self.world.flaw {
            Some(Flaw::TouchOnlyProlongs) => until.max(stored.expires_at),
            _ => until,
        };
        stored.ttl = lifetime;
        match self.world.flaw {
            Some(Flaw::TouchChangesVersion) => stored.version = Version::random(),
            Some(Flaw::TouchDropsOwner) => stored.owner = None,
            _ => {}
        }
        let version = stored.version;
        if !self.has(Flaw::WatchMissesTouches) {
            space.tell(Event::Changed { key: *key, version: Some(version) });
        }
        Ok(true)
    }

    fn delete_now(&self, space: &mut Space, now: Instant, item: DeleteItem) -> Result<DeleteOutcome> {
        let DeleteItem { key, expected } = item;
        let found = match space.find(&key, now, Operation::Delete) {
            Ok(found) => found.map(|stored| stored.version),
            Err(_) if expected == Expected::Any => {
                space.slots.remove(&key);
                space.tell(Event::Deleted { key });
                return Ok(DeleteOutcome::Deleted);
            }
            Err(error) => return Err(error),
        };
        match found {
            None if self.has(Flaw::DeleteAlwaysSucceeds) => Ok(DeleteOutcome::Deleted),
            None => Ok(DeleteOutcome::Absent),
            Some(version) if !expected.matches(version) && !self.has(Flaw::DeleteIgnoresVersion) => {
                Ok(DeleteOutcome::Conflict)
            }
            Some(_) => {
                space.remove(&key);
                if !self.has(Flaw::CallerTellsDeletions) {
                    space.tell(Event::Deleted { key });
                }
                Ok(DeleteOutcome::Deleted)
            }
        }
    }

    fn judged_alone(&self, when: When) -> bool {
        match when {
            When::Any => false,
            When::Absent | When::Version(_) => self.has(Flaw::CheckThenWrite),
        }
    }
}
