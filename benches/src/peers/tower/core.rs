//! The same adapters for each release of the core of tower-sessions.

use tower_sessions_core_014::session_store::ExpiredDeletion;

/// Defines a candidate and a probe over the stores of this release of the core. `$create` is its
/// call for a new session.
macro_rules! adapters {
    ($core:ident, $create:ident) => {
        use std::sync::Arc;

        use async_trait::async_trait;
        use bytes::Bytes;
        use futures_util::future::BoxFuture;
        use tower_sessions::cookie::time::{Duration, OffsetDateTime};
        use $core::{
            Expiry, Session, SessionStore,
            session::{Id, Record},
        };

        use crate::{
            candidate::{Candidate, NewSession, Place, Result, TTL},
            engine::size,
            peers::{DATA, Ids, USER, WHOLE_SECONDS, text, ttl_seconds},
            probe::{Probe, Request},
        };

        /// A store, called as the library's `Session` calls it.
        pub(in crate::peers::tower) struct Tower<S> {
            store: S,
            /// Removes expired sessions, for stores whose server does not.
            pub(super) delete_expired: Option<DeleteExpired<S>>,
            ids: Ids<Id>,
            place: Place,
        }

        impl<S> Tower<S> {
            pub(in crate::peers::tower) fn over(store: S, place: Place, sessions: usize) -> Self {
                Self { store, delete_expired: None, ids: Ids::new(sessions), place }
            }
        }

        /// The call that removes the expired sessions of a store.
        pub(super) type DeleteExpired<S> = for<'a> fn(&'a S) -> BoxFuture<'a, Result<()>>;

        fn record(id: Id, data: &Bytes, ttl: std::time::Duration) -> Result<Record> {
            let data = [(DATA.to_owned(), text(data)?.into())].into_iter().collect();
            Ok(Record { id, data, expiry_date: OffsetDateTime::now_utc() + ttl })
        }

        #[async_trait]
        impl<S: SessionStore> Candidate for Tower<S> {
            async fn create(&self, session: usize, new: NewSession) -> Result<()> {
                let mut record = record(Id::default(), &new.data, new.ttl)?;
                self.store.$create(&mut record).await?;
                self.ids.set(session, record.id);
                Ok(())
            }

            async fn read(&self, session: usize) -> Result<Option<usize>> {
                let record = self.store.load(&self.ids.get(session)?).await?;
                Ok(record.and_then(|record| record.data.get(DATA)?.as_str().map(str::len)))
            }

            async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
                self.store.save(&record(self.ids.get(session)?, &data, TTL)?).await?;
                Ok(0)
            }

            /// There is no touch: the session is loaded and saved as a whole.
            async fn touch(&self, session: usize) -> Result<()> {
                let found = self.store.load(&self.ids.get(session)?).await?;
                let mut record = found.ok_or("the session is gone")?;
                record.expiry_date = OffsetDateTime::now_utc() + TTL;
                Ok(self.store.save(&record).await?)
            }

            async fn delete(&self, session: usize) -> Result<()> {
                Ok(self.store.delete(&self.ids.get(session)?).await?)
            }

            /// Does what `cycle_id` and the save after it do.
            async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
                self.store.delete(&self.ids.get(session)?).await?;
                self.create(session, new).await
            }

            async fn purge(&self) -> Option<Result<Option<u64>>> {
                let delete_expired = self.delete_expired?;
                Some(delete_expired(&self.store).await.map(|()| None))
            }

            fn lives_longer(&self) -> std::time::Duration {
                WHOLE_SECONDS
            }

            async fn size(&self) -> Result<Option<u64>> {
                size::of(&self.place).await
            }
        }

        /// An application whose handlers receive a `Session`.
        pub(in crate::peers::tower) struct TowerApp<S>(Arc<S>);

        impl<S: SessionStore> TowerApp<S> {
            pub(in crate::peers::tower) fn over(store: S) -> Self {
                Self(Arc::new(store))
            }

            /// Makes a session from a cookie, as the middleware does. It is loaded at the first
            /// use.
            fn session(&self, id: Option<Id>) -> Session {
                let expiry = Expiry::OnInactivity(Duration::seconds(ttl_seconds()));
                Session::new(id, self.0.clone(), Some(expiry))
            }

            fn of(&self, id: &str) -> Result<Session> {
                Ok(self.session(Some(id.parse()?)))
            }
        }

        #[async_trait]
        impl<S: SessionStore> Probe for TowerApp<S> {
            async fn login(&self, user: &str) -> Result<String> {
                let session = self.session(None);
                session.insert(USER, user).await?;
                session.save().await?;
                Ok(session.id().ok_or("a login that gave no id")?.to_string())
            }

            async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
                let session = self.of(id)?;
                session.get::<String>(USER).await?.ok_or("there is no such session")?;
                Ok(Box::new(TowerRequest(session)))
            }

            async fn logout(&self, id: &str) -> Result<()> {
                Ok(self.of(id)?.flush().await?)
            }

            async fn is_logged_in(&self, id: &str) -> Result<bool> {
                Ok(self.of(id)?.get::<String>(USER).await?.is_some())
            }

            async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
                Ok(self.of(id)?.get(key).await?)
            }
        }

        struct TowerRequest(Session);

        #[async_trait]
        impl Request for TowerRequest {
            async fn set(&mut self, key: &str, value: &str) -> Result<()> {
                Ok(self.0.insert(key, value).await?)
            }

            /// Does what the middleware does when a session was modified.
            async fn save(self: Box<Self>) -> Result<()> {
                Ok(self.0.save().await?)
            }
        }
    };
}

/// The adapters for tower-sessions 0.15 itself.
pub(super) mod newest {
    adapters!(tower_sessions, create);
}

/// The adapters for the Redis, sqlx and moka stores.
pub(super) mod core_014 {
    adapters!(tower_sessions_core_014, create);
}

impl<S: ExpiredDeletion> core_014::Tower<S> {
    /// Adds the purge, which the application has to run.
    pub(super) fn with_purge(mut self) -> Self {
        self.delete_expired = Some(|store| Box::pin(async { Ok(store.delete_expired().await?) }));
        self
    }
}

/// The adapters for the MongoDB store, which saves a new session like any other.
pub(super) mod core_011 {
    adapters!(tower_sessions_core_011, save);
}
