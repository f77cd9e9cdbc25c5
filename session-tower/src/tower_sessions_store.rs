use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use session_manager::session_core::{
    Error, Expected, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tower_sessions_core::{
    SessionStore as TheirStore,
    session::{Id, Record},
    session_store::{Error as TheirError, Result as TheirResult},
};

/// How often a save is tried again when others save the same session at the same time.
const MOST_ATTEMPTS: usize = 64;

/// How often another id is drawn for a new session, should one ever be taken.
const MOST_IDS: usize = 8;

/// Any store of this workspace, for applications that are written for the crate `tower-sessions` (0.15): change the store
/// in the one line that makes their `SessionManagerLayer`.
///
/// ```
/// use session_memory::MemoryStore;
/// use session_tower::TowerSessionsStore;
/// use tower_sessions::SessionManagerLayer;
///
/// let layer = SessionManagerLayer::new(TowerSessionsStore::new(MemoryStore::new()));
/// # let _ = layer;
/// ```
///
/// | | |
/// | --- | --- |
/// | Deleted stays deleted | A save of a session that has ended is an error, which their layer answers with 500, and brings nothing back. |
/// | Ids | The store sees a digest of an id, never the id. |
/// | Expiry | Counted by the store's clock, from how much time is left when a session is saved. |
/// | Outage | An error, never an empty session. |
/// | **Two requests at once** | Their interface hands over whole sessions without a version, so the one that saves last wins, and changes of the other are lost, as with all of their stores. [`SessionLayer`](crate::SessionLayer) merges. |
/// | **"Log out everywhere"** | Their interface knows no owners, so [`OwnerIndex`](session_manager::session_core::OwnerIndex) finds none of these sessions. |
/// | **New id at login** | Their `cycle_id` deletes the session and stores it anew: a crash in between loses it. |
///
/// Sessions of this adapter and of [`SessionLayer`](crate::SessionLayer) are not each other's: give each a namespace of its own.
#[derive(Clone)]
pub struct TowerSessionsStore {
    store: Arc<dyn SessionStore>,
}

impl TowerSessionsStore {
    /// Keeps their sessions in this store.
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self { store: Arc::new(store) }
    }
}

impl fmt::Debug for TowerSessionsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsStore").finish_non_exhaustive()
    }
}

/// Their ids are numbers of 128 bits from the operating system's generator.
fn key(id: Id) -> SessionKey {
    let id = id.0.to_le_bytes();
    let mut digest = Sha256::new();
    digest.update(b"tower-sessions");
    digest.update(id);
    let mut key = [id[0]; SessionKey::LEN];
    key[1..].copy_from_slice(&digest.finalize());
    SessionKey::from_bytes(key)
}

fn write(record: &Record) -> TheirResult<Option<Write>> {
    let left = record.expiry_date - OffsetDateTime::now_utc();
    let Ok(left) = Duration::try_from(left) else { return Ok(None) };
    // What is left of a millisecond counts as one.
    let Ok(ttl) = Ttl::new(left.max(Duration::from_millis(1))) else {
        return Err(TheirError::Backend(format!("{} lies too far in the future", record.expiry_date)));
    };
    let data = rmp_serde::to_vec_named(&(&record.data, record.expiry_date.unix_timestamp_nanos()))
        .map_err(|error| TheirError::Encode(error.to_string()))?;
    Ok(Some(Write::new(data, ttl)))
}

fn backend(error: &Error) -> TheirError {
    TheirError::Backend(error.to_string())
}

#[async_trait]
impl TheirStore for TowerSessionsStore {
    async fn create(&self, record: &mut Record) -> TheirResult<()> {
        for _ in 0..MOST_IDS {
            let Some(write) = write(record)? else { return Ok(()) };
            match self.store.write(&key(record.id), write, When::Absent).await {
                Ok(WriteOutcome::Written) => return Ok(()),
                Ok(WriteOutcome::Conflict(_)) => record.id = Id::default(),
                Err(error) => return Err(backend(&error)),
            }
        }
        Err(TheirError::Backend("no free id was found".to_owned()))
    }

    async fn save(&self, record: &Record) -> TheirResult<()> {
        let key = key(record.id);
        let ended = || TheirError::Backend("the session has ended, and was not saved".to_owned());
        let mut current = self.store.read(&key).await.map_err(|error| backend(&error))?;
        for _ in 0..MOST_ATTEMPTS {
            let found = current.ok_or_else(ended)?;
            let Some(write) = write(record)? else { return self.delete(&record.id).await };
            match self.store.write(&key, write, When::Version(found.version)).await {
                Ok(WriteOutcome::Written) => return Ok(()),
                Ok(WriteOutcome::Conflict(other)) => current = other,
                Err(error) => return Err(backend(&error)),
            }
        }
        Err(TheirError::Backend("too many others save the same session".to_owned()))
    }

    async fn load(&self, id: &Id) -> TheirResult<Option<Record>> {
        let Some(found) = self.store.read(&key(*id)).await.map_err(|error| backend(&error))? else {
            return Ok(None);
        };
        let (data, expiry): (HashMap<_, _>, i128) =
            rmp_serde::from_slice(&found.data).map_err(|error| TheirError::Decode(error.to_string()))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(expiry)
            .map_err(|error| TheirError::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> TheirResult<()> {
        self.store.delete(&key(*id), Expected::Any).await.map(drop).map_err(|error| backend(&error))
    }
}
