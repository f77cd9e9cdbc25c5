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

/// How many numbers above the population are for sessions that a workload creates. More than there are callers, so that no two meet.
pub const RING: usize = 8_192;

/// How many numbers above those are for sessions that expire.
pub const WAVE: usize = 2_000;

/// How long sessions of the wave live.
const WAVE_TTL: Duration = Duration::from_millis(100);

/// One page view in so many is due to touch.
const TOUCH_DUE: usize = 10;

/// Numbers that no operation of this process had before, for users.
static NEXT_OWNER: AtomicUsize = AtomicUsize::new(0);

/// One candidate under one workload.
#[derive(Clone)]
pub struct Load {
    /// Who does it.
    pub candidate: Arc<dyn Candidate>,
    /// What.
    pub workload: Workload,
    /// How many sessions there are.
    pub sessions: usize,
    /// What they hold.
    pub payload: Payload,
    /// In which order they are used.
    pub order: Arc<Vec<u32>>,
    /// How many sessions `chat` writes to.
    pub rooms: usize,
    /// How many sessions expire at a time.
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

    /// Carries out the operation of this number, and returns how many conflicts were in its way.
    ///
    /// # Errors
    ///
    /// What the candidate says, and if it did not do what it is for.
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
            // Some keep texts with more around them, but none keeps less than it was given.
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

    /// Whether the candidate can do this workload at all.
    pub async fn is_possible(&self) -> bool {
        self.workload != Workload::Logout || self.candidate.logout_everywhere(usize::MAX).await.is_some()
    }

    /// What has to be there before a run: for the expiry wave, sessions that have expired.
    ///
    /// # Errors
    ///
    /// What the candidate says.
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
