use std::sync::Arc;

use mongodb::{Client, ClientSession, error::Result};
use parking_lot::Mutex;

/// Sessions of the driver for retryable writes: the server recognises a command that is sent again
/// by its `txnNumber`.
///
/// The server takes a command with a used number for a retry and does not carry it out, so a number
/// must never be used twice in a session. The driver does not tell which numbers it has used, and
/// reuses dropped sessions for its own numbered commands. Therefore these sessions belong to a
/// client of the store alone, and none is returned to the driver while the store is open.
pub(crate) struct RetryableSessions {
    client: Client,
    idle: Mutex<Vec<(ClientSession, i64)>>,
}

/// A session and the number of its command. When dropped, it goes back to the idle sessions.
pub(crate) struct RetryableWrites {
    session: Option<ClientSession>,
    number: i64,
    home: Arc<RetryableSessions>,
}

impl RetryableSessions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, idle: Mutex::default() }
    }

    /// A session with a new number.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<RetryableWrites> {
        let idle = self.idle.lock().pop();
        let (session, last) = match idle {
            Some(idle) => idle,
            None => (self.client.start_session().causal_consistency(false).await?, 0),
        };
        Ok(RetryableWrites { session: Some(session), number: last + 1, home: Arc::clone(self) })
    }

    /// Returns all idle sessions to the driver.
    pub(crate) fn clear(&self) {
        self.idle.lock().clear();
    }
}

impl RetryableWrites {
    /// Whether this is one of these sessions. To the server, a session belongs to the user that
    /// began it.
    pub(crate) fn is_of(&self, sessions: Option<&Arc<RetryableSessions>>) -> bool {
        sessions.is_some_and(|sessions| Arc::ptr_eq(&self.home, sessions))
    }

    /// The session, and the number of its command.
    pub(crate) fn parts(&mut self) -> Option<(&mut ClientSession, i64)> {
        self.session.as_mut().map(|session| (session, self.number))
    }
}

impl Drop for RetryableWrites {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.home.idle.lock().push((session, self.number));
        }
    }
}

impl std::fmt::Debug for RetryableSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryableSessions").field("idle", &self.idle.lock().len()).finish_non_exhaustive()
    }
}
