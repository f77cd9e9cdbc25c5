use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use benches::keys::Spread;
use bytes::Bytes;
use rand::Rng as _;
use session_core::{SessionId, SessionKey, Ttl, Version};

/// How many bytes of data a session has.
const LEN: usize = 400;

/// The sessions of one candidate, with the version that each was given last.
#[derive(Clone)]
pub(crate) struct Sessions {
    keys: Arc<Vec<SessionKey>>,
    versions: Arc<Vec<Mutex<Version>>>,
    /// In which order they are visited.
    order: Arc<Vec<u32>>,
}

impl Sessions {
    pub(crate) fn draw(count: u32) -> Self {
        Self {
            keys: Arc::new((0..count).map(|_| SessionId::generate().key()).collect()),
            versions: Arc::new((0..count).map(|_| Mutex::new(Version::random())).collect()),
            order: Arc::new(Spread::Uniform.draw(count, 1 << 17, 7)),
        }
    }

    /// The same sessions with versions of their own, because another candidate gives others.
    pub(crate) fn again(&self) -> Self {
        let versions = self.versions.iter().map(|version| Mutex::new(*version.lock().expect("no panic")));
        Self { versions: Arc::new(versions.collect()), ..self.clone() }
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

    /// The session that the operation of this number reads.
    pub(crate) fn at_random(&self, number: usize) -> usize {
        self.order[number % self.order.len()] as usize
    }

    /// The session that the operation of this number changes. As long as there are fewer operations than sessions, no two have the same.
    pub(crate) fn in_turn(&self, number: usize) -> usize {
        number * 7_919 % self.keys.len()
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
