use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use session_core::{Operation, Record, Result, SessionKey};
use tokio::time::{Instant, timeout};

use super::{connections::Connections, core::Core, dialect::Dialect, record::Found, replica_state::State};

/// A server that follows the primary, for reads that may be slightly stale.
///
/// The staleness is known, not guessed. The store periodically asks the primary for its position,
/// and the replica whether it has reached that position. If it has, the replica shows everything
/// that was there at the moment of the first question. A replica that is down, cut off or too slow
/// says no, or does not answer.
#[derive(Debug)]
pub(crate) struct Replica<D: Dialect> {
    pub(crate) dialect: D,
    pub(crate) connections: Connections<D>,
    pub(crate) max_lag: Duration,
    pub(super) state: Mutex<State>,
}

impl<D: Dialect> Replica<D> {
    #[cfg(feature = "postgres")]
    pub(crate) fn new(dialect: D, connections: Connections<D>, max_lag: Duration) -> Self {
        Self { dialect, connections, max_lag, state: Mutex::default() }
    }

    /// Records a change, so that no read of this store returns an earlier state.
    pub(crate) fn changed(&self, keys: impl IntoIterator<Item = SessionKey>, when: Instant) {
        self.state.lock().changed(keys, when, Instant::now(), self.max_lag);
    }

    /// Returns, for each key, whether it may be read from the replica.
    fn may_be_asked(&self, keys: &[SessionKey]) -> Vec<bool> {
        let (state, now) = (self.state.lock(), Instant::now());
        keys.iter().map(|key| state.may_be_asked(key, now, self.max_lag)).collect()
    }

    /// Reads from the replica; `None` if it fails or does not answer within `patience`.
    async fn read(&self, keys: &[SessionKey], patience: Duration) -> Option<Found> {
        let reading = async {
            let mut lease = self.connections.lease(&self.dialect, Operation::Read).await.ok()?;
            let found = self.dialect.read(lease.connection(), keys).await.ok()?;
            lease.is_clean();
            Some(found)
        };
        let found = timeout(patience, reading).await.ok().flatten();
        if found.is_none() {
            // The replica is bypassed until it has shown again that it works.
            self.state.lock().bypass();
        }
        found
    }
}

impl<D: Dialect> Core<D> {
    /// Reads from the replica what may be read there, and everything else from the primary.
    pub(crate) async fn read_many_stale(
        self: &Arc<Self>,
        keys: &[SessionKey],
    ) -> Vec<Result<Option<Record>>> {
        let Some(replica) = &self.replica else { return self.read_many(keys).await };
        let may_be_asked = replica.may_be_asked(keys);
        let there: Vec<SessionKey> =
            keys.iter().zip(&may_be_asked).filter(|(_, may)| **may).map(|(key, _)| *key).collect();
        let mut found = Found::new();
        for part in there.chunks(crate::chunk::MAX_ITEMS) {
            match replica.read(part, self.deadline / 4).await {
                Some(some) => found.extend(some),
                None => return self.read_many(keys).await,
            }
        }
        let here: Vec<SessionKey> =
            keys.iter().zip(&may_be_asked).filter(|(_, may)| !**may).map(|(key, _)| *key).collect();
        let mut from_primary =
            if here.is_empty() { Vec::new() } else { self.read_many(&here).await }.into_iter();
        let result = |(key, may): (&SessionKey, &bool)| {
            if *may { found.get(key).cloned().transpose() } else { from_primary.next().unwrap_or(Ok(None)) }
        };
        keys.iter().zip(&may_be_asked).map(result).collect()
    }

    /// Records that a change has begun, for reads from the replica. It takes effect by the
    /// deadline, if at all.
    pub(crate) fn changing(&self, keys: impl IntoIterator<Item = SessionKey>) {
        if let Some(replica) = &self.replica {
            replica.changed(keys, Instant::now() + self.deadline);
        }
    }

    /// Records that a change has ended.
    pub(crate) fn changed(&self, keys: impl IntoIterator<Item = SessionKey>) {
        if let Some(replica) = &self.replica {
            replica.changed(keys, Instant::now());
        }
    }
}
