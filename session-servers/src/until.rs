//! Polling for a state that several servers agree on.

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::LaunchError;

/// The timeout for servers to reach that state.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two polls.
const POLL: Duration = Duration::from_millis(20);

/// Polls until the answer is true. The timeout allows for a loaded machine.
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
