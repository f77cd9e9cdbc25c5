use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::Rng as _;
use session_core::{SessionId, SessionKey, Ttl};

/// Bytes of data per session.
const LEN: usize = 400;

/// The keys of sessions.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Vec<SessionKey>>);

impl Sessions {
    pub(crate) fn draw(count: u32) -> Self {
        Self(Arc::new((0..count).map(|_| SessionId::generate().key()).collect()))
    }

    pub(crate) fn keys(&self) -> &[SessionKey] {
        &self.0
    }
}

/// Data that is unique to a session.
pub(crate) fn data() -> Bytes {
    let mut data = vec![0; LEN];
    rand::rng().fill_bytes(&mut data);
    data.into()
}

pub(crate) fn ttl() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("an hour is a ttl")
}
