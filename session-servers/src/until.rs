//! Waiting for what several servers agree on.

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::LaunchError;

/// How long servers may take to find each other.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two questions.
const POLL: Duration = Duration::from_millis(20);

/// Asks until the answer is a good one, for as long as a loaded machine may need.
pub(crate) async fn until<A>(
    what: &'static str,
    good: impl Fn() -> A + Send + Sync,
) -> Result<(), LaunchError>
where
    A: Future<Output = io::Result<bool>> + Send,
{
    let asking = async {
        loop {
            if good().await.map_err(LaunchError::io(what))? {
                return Ok(());
            }
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
        Err(LaunchError::io(what)(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("not within {PATIENCE:?}"),
        )))
    })
}
