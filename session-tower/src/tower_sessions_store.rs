use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use session_manager::session_core::{
    Error, Expected, SessionKey, SessionStore, Ttl, When, Write, WriteOutcome,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// Maximum number of attempts of a save when others save the same session at the same time.
const MOST_ATTEMPTS: usize = 64;

/// Maximum number of ids that are tried for a new session, in case one is taken.
const MOST_IDS: usize = 8;

/// An adapter that makes any store of this workspace a store of the crate `tower-sessions`.
///
/// Applications change only the line that creates their `SessionManagerLayer`. The feature
/// `tower-sessions` supports release 0.15; `tower-sessions-014` supports 0.14, which `axum-login`
/// 0.18 uses. Both can be enabled.
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
/// | Deleted stays deleted | A save of a session that has ended is an error, which `tower-sessions` answers with 500. It brings nothing back. |
/// | Ids | The store sees a digest of an id, never the id. |
/// | Expiry | Counted by the store's clock, from the time that is left when a session is saved. |
/// | Outage | An error, never an empty session. |
/// | **Concurrent requests** | The interface of `tower-sessions` passes whole sessions without a version, so the last save wins, and changes of the other request are lost, as with all stores of `tower-sessions`. [`SessionLayer`](crate::SessionLayer) merges. |
/// | **"Log out everywhere"** | The interface has no owners, so [`OwnerIndex`](session_manager::session_core::OwnerIndex) finds none of these sessions. |
/// | **New id at login** | `cycle_id` of `tower-sessions` deletes the session and stores it again: a crash in between loses it. |
///
/// This adapter and [`SessionLayer`](crate::SessionLayer) cannot read each other's sessions: give
/// each its own namespace.
#[derive(Clone)]
pub struct TowerSessionsStore {
    store: Arc<dyn SessionStore>,
    purpose: Arc<str>,
}

impl TowerSessionsStore {
    /// Stores the sessions of `tower-sessions` in this store.
    pub fn new(store: impl SessionStore + 'static) -> Self {
        Self { store: Arc::new(store), purpose: "".into() }
    }

    /// The same adapter, restricted to ids of this purpose, such as the name of the layer's cookie.
    ///
    /// With two layers over one store, an id opens the same session under both cookies unless each
    /// layer has its own purpose.
    #[must_use]
    pub fn for_purpose(mut self, name: &str) -> Self {
        self.purpose = name.into();
        self
    }

    /// The ids of `tower-sessions` are 128-bit numbers from the operating system's generator.
    fn key(&self, id: i128) -> SessionKey {
        let id = id.to_le_bytes();
        let mut digest = Sha256::new();
        digest.update(b"tower-sessions");
        digest.update(id);
        digest.update(self.purpose.as_bytes());
        let mut key = [id[0]; SessionKey::LEN];
        key[1..].copy_from_slice(&digest.finalize());
        SessionKey::from_bytes(key)
    }

    /// Stores a new session under a free id, `first` if that is free, and returns the id.
    async fn create(
        &self,
        first: i128,
        draw: impl Fn() -> i128 + Send,
        data: &(impl Serialize + Sync),
        expiry_date: OffsetDateTime,
    ) -> Result<i128, Failure> {
        let mut id = first;
        for _ in 0..MOST_IDS {
            let Some(write) = write(data, expiry_date)? else { return Ok(id) };
            match self.store.write(&self.key(id), write, When::Absent).await? {
                WriteOutcome::Written => return Ok(id),
                WriteOutcome::Conflict(_) => id = draw(),
            }
        }
        Err(Failure::Backend("no free id was found".to_owned()))
    }

    async fn save(
        &self,
        id: i128,
        data: &(impl Serialize + Sync),
        expiry_date: OffsetDateTime,
    ) -> Result<(), Failure> {
        let key = self.key(id);
        let ended = || Failure::Backend("the session has ended, and was not saved".to_owned());
        let mut current = self.store.read(&key).await?;
        for _ in 0..MOST_ATTEMPTS {
            let found = current.ok_or_else(ended)?;
            let Some(write) = write(data, expiry_date)? else { return self.delete(id).await };
            match self.store.write(&key, write, When::Version(found.version)).await? {
                WriteOutcome::Written => return Ok(()),
                WriteOutcome::Conflict(other) => current = other,
            }
        }
        Err(Failure::Backend("too many others save the same session".to_owned()))
    }

    async fn load<D: DeserializeOwned>(&self, id: i128) -> Result<Option<(D, OffsetDateTime)>, Failure> {
        let Some(found) = self.store.read(&self.key(id)).await? else { return Ok(None) };
        let (data, expiry): (D, i128) = rmp_serde::from_slice(&found.data)
            .map_err(|_| Failure::Decode("it is damaged, or no session of tower-sessions"))?;
        let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(expiry)
            .map_err(|_| Failure::Decode("its date of expiry is no date"))?;
        Ok(Some((data, expiry_date)))
    }

    async fn delete(&self, id: i128) -> Result<(), Failure> {
        Ok(self.store.delete(&self.key(id), Expected::Any).await.map(drop)?)
    }
}

impl fmt::Debug for TowerSessionsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsStore").finish_non_exhaustive()
    }
}

/// The error categories of `tower-sessions`. Messages of serde quote values, so they are not passed
/// on.
enum Failure {
    Encode(&'static str),
    Decode(&'static str),
    Backend(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Backend(error.to_string())
    }
}

/// Returns `None` if the expiry date has passed.
fn write(data: &impl Serialize, expiry_date: OffsetDateTime) -> Result<Option<Write>, Failure> {
    let left = expiry_date - OffsetDateTime::now_utc();
    let Ok(left) = Duration::try_from(left) else { return Ok(None) };
    // A fraction of a millisecond counts as one millisecond.
    let Ok(ttl) = Ttl::new(left.max(Duration::from_millis(1))) else {
        return Err(Failure::Backend(format!("{expiry_date} lies too far in the future")));
    };
    let data = rmp_serde::to_vec_named(&(data, expiry_date.unix_timestamp_nanos()))
        .map_err(|_| Failure::Encode("MessagePack cannot carry a value of the session"))?;
    Ok(Some(Write::new(data, ttl)))
}

/// Implements the trait `SessionStore`, which is a separate type in each release of
/// `tower-sessions`.
macro_rules! implement {
    ($core:ident) => {
        impl From<Failure> for $core::session_store::Error {
            fn from(failure: Failure) -> Self {
                match failure {
                    Failure::Encode(reason) => Self::Encode(reason.to_owned()),
                    Failure::Decode(reason) => Self::Decode(reason.to_owned()),
                    Failure::Backend(reason) => Self::Backend(reason),
                }
            }
        }

        #[async_trait]
        impl $core::SessionStore for TowerSessionsStore {
            async fn create(&self, record: &mut $core::session::Record) -> $core::session_store::Result<()> {
                let draw = || $core::session::Id::default().0;
                record.id.0 = self.create(record.id.0, draw, &record.data, record.expiry_date).await?;
                Ok(())
            }

            async fn save(&self, record: &$core::session::Record) -> $core::session_store::Result<()> {
                Ok(self.save(record.id.0, &record.data, record.expiry_date).await?)
            }

            async fn load(
                &self,
                id: &$core::session::Id,
            ) -> $core::session_store::Result<Option<$core::session::Record>> {
                let found = self.load(id.0).await?;
                Ok(found.map(|(data, expiry_date)| $core::session::Record { id: *id, data, expiry_date }))
            }

            async fn delete(&self, id: &$core::session::Id) -> $core::session_store::Result<()> {
                Ok(self.delete(id.0).await?)
            }
        }
    };
}

#[cfg(feature = "tower-sessions")]
implement!(tower_sessions_core);

#[cfg(feature = "tower-sessions-014")]
implement!(tower_sessions_core_014);
