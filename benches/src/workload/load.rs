use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::Workload;
use crate::{
    candidate::{Candidate, NewSession, Result, TTL},
    keys::Spread,
    payload::Payload,
};

/// Session numbers above the population for sessions that a workload creates. More than there are
/// callers, so that no two callers use the same one.
pub const RING: usize = 8_192;

/// Session numbers above the ring for sessions that expire.
pub const WAVE: usize = 2_000;

/// The TTL of sessions in the expiry wave.
const WAVE_TTL: Duration = Duration::from_millis(100);

/// One page view in this many needs a touch.
const TOUCH_DUE: usize = 10;

/// The next unused user number of this process.
static NEXT_OWNER: AtomicUsize = AtomicUsize::new(0);

/// One candidate under one workload.
#[derive(Clone)]
pub struct Load {
    /// The candidate under load.
    pub candidate: Arc<dyn Candidate>,
    /// The workload.
    pub workload: Workload,
    /// The number of sessions.
    pub sessions: usize,
    /// Their data.
    pub payload: Payload,
    /// The order in which sessions are used.
    pub order: Arc<Vec<u32>>,
    /// The number of sessions that `chat` writes to.
    pub rooms: usize,
    /// The number of sessions that expire at a time.
    pub wave: usize,
}

impl Load {
    /// Draws the order in which sessions are used.
    ///
    /// # Panics
    ///
    /// With no sessions, or more than four billion.
    pub fn order(spread: Spread, sessions: usize) -> Arc<Vec<u32>> {
        let sessions = u32::try_from(sessions).expect("no more than four billion sessions");
        Arc::new(spread.draw(sessions, 1 << 18, 7))
    }

    /// Carries out the operation of this number, and returns the number of conflicts that it met.
    ///
    /// # Errors
    ///
    /// The candidate's error, or an error if the result is wrong.
    pub async fn operate(&self, number: usize) -> Result<u32> {
        let session = self.order[number % self.order.len()] as usize;
        let candidate = &*self.candidate;
        match self.workload {
            Workload::A if number.is_multiple_of(2) => self.update(session).await,
            Workload::B | Workload::Expiry if number.is_multiple_of(20) => self.update(session).await,
            Workload::A | Workload::B | Workload::C | Workload::Expiry => self.read(session).await,
            Workload::Browse => {
                self.read(session).await?;
                if number.is_multiple_of(TOUCH_DUE) {
                    candidate.touch(session).await?;
                }
                Ok(0)
            }
            Workload::Login => {
                let session = self.sessions + number % RING;
                candidate.create(session, NewSession::new(self.payload.next())).await?;
                candidate.rotate(session, self.owned(NEXT_OWNER.fetch_add(1, Ordering::Relaxed))).await?;
                Ok(0)
            }
            Workload::Logout => self.log_out_everywhere(number).await,
            Workload::Chat => self.update(number % self.rooms).await,
        }
    }

    fn owned(&self, owner: usize) -> NewSession {
        NewSession { data: self.payload.next(), ttl: TTL, owner: Some(owner) }
    }

    async fn read(&self, session: usize) -> Result<u32> {
        match self.candidate.read(session).await? {
            // Some stores wrap the data, but none keeps less than it was given.
            Some(len) if len >= self.payload.len() => Ok(0),
            Some(len) => Err(format!("{len} bytes were read, not {}", self.payload.len()).into()),
            None => Err("a live session was not there".into()),
        }
    }

    async fn update(&self, session: usize) -> Result<u32> {
        self.candidate.update(session, self.payload.next()).await
    }

    async fn log_out_everywhere(&self, number: usize) -> Result<u32> {
        let owner = NEXT_OWNER.fetch_add(1, Ordering::Relaxed);
        let first = self.sessions + 2 * number % RING;
        for session in [first, first + 1] {
            self.candidate.create(session, self.owned(owner)).await?;
        }
        match self.candidate.logout_everywhere(owner).await {
            Some(Ok(2)) => Ok(0),
            Some(Ok(ended)) => Err(format!("{ended} sessions were ended, not two").into()),
            Some(Err(error)) => Err(error),
            None => Err("it cannot be done".into()),
        }
    }

    /// Whether the candidate supports this workload.
    pub async fn is_possible(&self) -> bool {
        self.workload != Workload::Logout || self.candidate.logout_everywhere(usize::MAX).await.is_some()
    }

    /// Prepares a run: for the expiry wave, stores sessions that will have expired.
    ///
    /// # Errors
    ///
    /// The candidate's error.
    pub async fn prepare(&self) -> Result<()> {
        if self.workload == Workload::Expiry {
            let begin = self.sessions + RING;
            self.candidate.fill(begin..begin + self.wave, &self.payload, WAVE_TTL).await?;
            tokio::time::sleep(WAVE_TTL + self.candidate.lives_longer()).await;
        }
        Ok(())
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("workload", &self.workload).finish_non_exhaustive()
    }
}
