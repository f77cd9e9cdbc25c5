use std::sync::Arc;

use async_trait::async_trait;
use session_core::{Owner, SessionId, SessionStore};
use session_manager::{Session, SessionManager};

use super::{Probe, Request};
use crate::candidate::Result;

/// An application with `session-manager` over any store.
#[derive(Debug)]
pub struct Ours(SessionManager);

impl Ours {
    /// Uses this store, with all settings at their defaults.
    ///
    /// # Errors
    ///
    /// None with these settings.
    pub fn over(store: Arc<dyn SessionStore>) -> Result<Self> {
        Ok(Self(SessionManager::builder_shared(store).build()?))
    }

    async fn load(&self, id: &str) -> Result<Option<Session>> {
        let id: SessionId = id.parse()?;
        Ok(self.0.load(&id).await?)
    }
}

#[async_trait]
impl Probe for Ours {
    async fn login(&self, user: &str) -> Result<String> {
        let session = self.0.create();
        session.insert("user", user)?;
        session.login(Owner::new(user)?).await?;
        let id = session.id().ok_or("a login that gave no id")?;
        Ok(id.expose().as_str().to_owned())
    }

    async fn begin(&self, id: &str) -> Result<Box<dyn Request>> {
        let session = self.load(id).await?.ok_or("there is no such session")?;
        Ok(Box::new(OurRequest(session)))
    }

    async fn logout(&self, id: &str) -> Result<()> {
        let session = self.load(id).await?.ok_or("there is no such session")?;
        Ok(session.logout().await?)
    }

    async fn is_logged_in(&self, id: &str) -> Result<bool> {
        match self.load(id).await? {
            Some(session) => Ok(session.owner().await?.is_some()),
            None => Ok(false),
        }
    }

    async fn get(&self, id: &str, key: &str) -> Result<Option<String>> {
        match self.load(id).await? {
            Some(session) => Ok(session.get(key).await?),
            None => Ok(None),
        }
    }

    async fn logout_everywhere(&self, user: &str) -> Option<Result<()>> {
        let owner = match Owner::new(user) {
            Ok(owner) => owner,
            Err(error) => return Some(Err(error.into())),
        };
        Some(self.0.logout_everywhere(&owner).await.map(drop).map_err(Into::into))
    }
}

struct OurRequest(Session);

#[async_trait]
impl Request for OurRequest {
    async fn set(&mut self, key: &str, value: &str) -> Result<()> {
        Ok(self.0.insert(key, value)?)
    }

    async fn save(self: Box<Self>) -> Result<()> {
        Ok(self.0.save().await.map(drop)?)
    }
}
