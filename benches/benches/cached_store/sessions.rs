use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use rand::Rng as _;
use session_core::{SessionId, SessionKey, Ttl, Version};

/// How many bytes of data a session has.
const LEN: usize = 400;

/// Sessions, with the version that each was given last.
#[derive(Clone)]
pub(crate) struct Sessions {
    keys: Arc<Vec<SessionKey>>,
    versions: Arc<Vec<Mutex<Version>>>,
}

impl Sessions {
    pub(crate) fn draw(count: u32) -> Self {
        Self {
            keys: Arc::new((0..count).map(|_| SessionId::generate().key()).collect()),
            versions: Arc::new((0..count).map(|_| Mutex::new(Version::random())).collect()),
        }
    }

    pub(crate) fn keys(&self) -> &[SessionKey] {
        &self.keys
    }

    pub(crate) fn version(&self, session: usize) -> Version {
        *self.versions[session].lock().expect("no panic")
    }

    pub(crate) fn set_version(&self, session: usize, version: Version) {
        *self.versions[session].lock().expect("no panic") = version;
    }
}

/// What no other session has.
pub(crate) fn data() -> Bytes {
    let mut data = vec![0; LEN];
    rand::rng().fill_bytes(&mut data);
    data.into()
}

pub(crate) fn ttl() -> Ttl {
    Ttl::new(Duration::from_hours(1)).expect("an hour is a ttl")
}
