use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use session_core::{Operation, Record, Result, SessionKey};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    connections::Connections,
    core::Core,
    dialect::{Dialect, SqlResult},
    found::Found,
};

/// A server that follows the primary, for reads that may be a little stale.
///
/// How stale is known, and not guessed: now and then the primary is asked how far it is, and the replica whether it is as far. When it says yes, it shows
/// everything that was there at the moment of the first question. A replica that is down, cut off, or too slow says no, or nothing.
#[derive(Debug)]
pub(crate) struct Replica<D: Dialect> {
    pub(crate) dialect: D,
    pub(crate) connections: Connections<D>,
    pub(crate) max_lag: Duration,
    pub(crate) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The replica shows everything that was there at this moment.
    shows: Option<Instant>,
    /// When sessions were changed through this store, as long as the replica may not show it.
    changed: HashMap<SessionKey, Instant>,
}

impl<D: Dialect> Replica<D> {
    /// Notes a change, so that nobody here reads what was there before.
    pub(crate) fn changed(&self, keys: impl IntoIterator<Item = SessionKey>, when: Instant) {
        self.state.lock().changed.extend(keys.into_iter().map(|key| (key, when)));
    }

    /// Whether the replica may be asked for each of these keys.
    fn may_be_asked(&self, keys: &[SessionKey]) -> Vec<bool> {
        let state = self.state.lock();
        let Some(shows) = state.shows.filter(|shows| shows.elapsed() <= self.max_lag) else {
            return vec![false; keys.len()];
        };
        keys.iter().map(|key| state.changed.get(key).is_none_or(|changed| *changed < shows)).collect()
    }

    fn now_shows(&self, moment: Instant) {
        let mut state = self.state.lock();
        state.changed.retain(|_, changed| *changed >= moment);
        state.shows = Some(moment);
    }

    /// Reads from the replica; `None` if it has no answer soon.
    async fn read(&self, keys: &[SessionKey], patience: Duration) -> Option<Found> {
        let reading = async {
            let mut lease = self.connections.lease(&self.dialect, Operation::Read).await.ok()?;
            let found = self.dialect.read(lease.connection(), keys).await.ok()?;
            lease.is_clean();
            Some(found)
        };
        let found = timeout(patience, reading).await.ok().flatten();
        if found.is_none() {
            // Until it has shown again that it works.
            self.state.lock().shows = None;
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

    /// Notes a change for those who read from the replica: it takes effect until the deadline, or was made by now.
    pub(crate) fn changing(&self, keys: impl IntoIterator<Item = SessionKey>) {
        if let Some(replica) = &self.replica {
            replica.changed(keys, Instant::now() + self.deadline);
        }
    }

    /// Notes that a change is over.
    pub(crate) fn changed(&self, keys: impl IntoIterator<Item = SessionKey>) {
        if let Some(replica) = &self.replica {
            replica.changed(keys, Instant::now());
        }
    }
}

/// Looks after the replica, until the store is closed or its last handle is gone.
pub(crate) fn look_after<D: Dialect>(core: &Arc<Core<D>>) {
    let Some(replica) = &core.replica else { return };
    let pause = (replica.max_lag / 4).clamp(Duration::from_millis(5), Duration::from_secs(1));
    tokio::spawn(run(Arc::downgrade(core), core.closed.subscribe(), pause));
}

async fn run<D: Dialect>(core: Weak<Core<D>>, mut closed: watch::Receiver<bool>, pause: Duration) {
    loop {
        {
            let Some(core) = core.upgrade() else { return };
            if let Some(replica) = &core.replica {
                let moment = Instant::now();
                let asked =
                    timeout(replica.max_lag.max(Duration::from_millis(100)), compare(&core, replica)).await;
                if matches!(asked, Ok(Ok(true))) {
                    replica.now_shows(moment);
                }
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            // An error says that the last handle was dropped.
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// Whether the replica is as far as the primary was when this began.
async fn compare<D: Dialect>(core: &Core<D>, replica: &Replica<D>) -> SqlResult<bool> {
    let gone = |error: session_core::Error| sqlx::Error::AnyDriverError(Box::new(error));
    let mut lease = core.connections.lease(&core.dialect, Operation::Ping).await.map_err(gone)?;
    let place = core.dialect.place(lease.connection()).await?;
    lease.is_clean();
    drop(lease);
    let Some(place) = place else { return Ok(false) };
    let mut lease = replica.connections.lease(&replica.dialect, Operation::Ping).await.map_err(gone)?;
    let reached = replica.dialect.has_reached(lease.connection(), &place).await?;
    lease.is_clean();
    Ok(reached)
}
