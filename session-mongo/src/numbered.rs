use mongodb::{Client, ClientSession, error::Result};
use parking_lot::Mutex;

/// Sessions of the driver whose commands are numbered, so that the server recognises one that is sent again.
///
/// The driver numbers its own retryable writes and lets nobody else do so. It does count the transactions that are begun, also those that are
/// aborted before anything was sent, so that a session which goes back to the driver has a number that is not lower than any that was used here.
pub(crate) struct NumberedSessions {
    client: Client,
    idle: Mutex<Vec<Numbered>>,
}

/// A session, and the number of its last command.
pub(crate) struct Numbered {
    pub(crate) session: ClientSession,
    pub(crate) number: i64,
    /// Whether the server has refused that number, because it knows a higher one.
    pub(crate) too_low: bool,
}

impl NumberedSessions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, idle: Mutex::default() }
    }

    /// A session, with the number for its next command.
    pub(crate) async fn take(&self) -> Result<Numbered> {
        let idle = self.idle.lock().pop();
        let mut numbered = match idle {
            Some(numbered) => numbered,
            None => {
                let session = self.client.start_session().causal_consistency(false).await?;
                Numbered { session, number: 0, too_low: false }
            }
        };
        numbered.advance(1).await?;
        Ok(numbered)
    }

    /// Takes back a session whose last command was answered.
    pub(crate) fn put(&self, numbered: Numbered) {
        self.idle.lock().push(numbered);
    }

    /// Gives all sessions back to the driver.
    pub(crate) fn clear(&self) {
        self.idle.lock().clear();
    }
}

impl Numbered {
    /// Goes on by so many numbers. Sends nothing.
    pub(crate) async fn advance(&mut self, by: i64) -> Result<()> {
        for _ in 0..by {
            self.session.start_transaction().await?;
            self.session.abort_transaction().await?;
            self.number += 1;
        }
        self.too_low = false;
        Ok(())
    }
}

impl std::fmt::Debug for NumberedSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NumberedSessions").field("idle", &self.idle.lock().len()).finish_non_exhaustive()
    }
}
