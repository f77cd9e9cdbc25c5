use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use session_core::Operation;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    core::Core,
    dialect::{Connection, Dialect, SqlResult},
    replica::Replica,
};

/// Servers that can report how far a replica follows its primary.
pub(crate) trait Follow: Dialect {
    /// The primary's current position in its history of changes.
    fn place(&self, connection: &mut Connection<Self>) -> impl Future<Output = SqlResult<String>> + Send;

    /// Returns true if a replica shows everything up to that position.
    fn has_reached(
        &self,
        connection: &mut Connection<Self>,
        place: &str,
    ) -> impl Future<Output = SqlResult<bool>> + Send;
}

/// Checks the state of the replica until the store is closed or its last handle is dropped.
pub(crate) fn look_after<D: Follow>(core: &Arc<Core<D>>) {
    let Some(replica) = &core.replica else { return };
    let pause = (replica.max_lag / 4).clamp(Duration::from_millis(5), Duration::from_secs(1));
    tokio::spawn(run(Arc::downgrade(core), core.closed.subscribe(), pause));
}

async fn run<D: Follow>(core: Weak<Core<D>>, mut closed: watch::Receiver<bool>, pause: Duration) {
    loop {
        {
            let Some(core) = core.upgrade() else { return };
            if let Some(replica) = &core.replica {
                let moment = Instant::now();
                let asked =
                    timeout(replica.max_lag.max(Duration::from_millis(100)), compare(&core, replica)).await;
                if matches!(asked, Ok(Ok(true))) {
                    replica.state.lock().now_shows(moment);
                }
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            // An error means that the last handle was dropped.
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// Returns true if the replica has reached the position of the primary when this call began.
async fn compare<D: Follow>(core: &Core<D>, replica: &Replica<D>) -> SqlResult<bool> {
    let gone = |error: session_core::Error| sqlx::Error::AnyDriverError(Box::new(error));
    let mut lease = core.connections.lease(&core.dialect, Operation::Ping).await.map_err(gone)?;
    let place = core.dialect.place(lease.connection()).await?;
    lease.is_clean();
    drop(lease);
    let mut lease = replica.connections.lease(&replica.dialect, Operation::Ping).await.map_err(gone)?;
    let reached = replica.dialect.has_reached(lease.connection(), &place).await?;
    lease.is_clean();
    Ok(reached)
}
