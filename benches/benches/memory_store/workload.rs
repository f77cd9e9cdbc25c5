//! The timed operations on the map or the store.

use benches::keys::Spread;
use benches::parallel;
use session_core::SessionKey;

use crate::kind::Kind;
use crate::sessions::Sessions;
use crate::{prepare, run, session};

/// The keys of every thread's operations, in order. The keys and all written data are made before
/// the timing. The operations use them sequentially.
pub(crate) struct Workload {
    kind: Kind,
    keys: Vec<Vec<SessionKey>>,
}

impl Workload {
    /// Draws the keys of `ops` operations for each of `threads` threads on these sessions.
    pub(crate) fn draw(
        kind: Kind,
        spread: Spread,
        sessions: &[SessionKey],
        threads: usize,
        ops: usize,
    ) -> Self {
        let own = if kind.needs_versions() { threads } else { 1 };
        let count = u32::try_from(sessions.len() / own).expect("far fewer sessions");
        let keys = (0..threads).map(|thread| {
            let seed = 1 + thread as u64;
            if kind.is_of_new_sessions() {
                return (0..ops as u64).map(|number| session::key((seed << 32) + number)).collect();
            }
            let drawn = spread.draw(count, ops, seed).into_iter();
            drawn.map(|index| sessions[index as usize * own + thread % own]).collect()
        });
        Self { kind, keys: keys.collect() }
    }

    /// Nanoseconds per operation and thread, with all threads running at once.
    pub(crate) fn measure<S: Sessions>(&self, on: &S) -> f64 {
        match self.kind {
            Kind::Read => self.time(|keys| prepare::warm(on, keys), |keys| run::read(on, keys)),
            Kind::Touch => self.time(|keys| prepare::warm(on, keys), |keys| run::touch(on, keys)),
            Kind::ReadMany => self.time(|keys| prepare::warm(on, keys), |keys| run::read_many(on, keys)),
            Kind::Write => self.time(
                |keys| prepare::held(on, keys),
                |(items, held)| (run::write(on, items, S::DRAWS_VERSIONS, false), held),
            ),
            Kind::WriteDrawn => self.time(
                |keys| prepare::held(on, keys),
                |(items, held)| (run::write(on, items, false, false), held),
            ),
            Kind::WriteAndLetGo => self.time(
                |keys| prepare::held(on, keys),
                |(items, held)| (run::write(on, items, S::DRAWS_VERSIONS, true), held),
            ),
            Kind::WriteAndFree => self.time(
                |keys| prepare::replacements(on, keys),
                |items| run::write(on, items, S::DRAWS_VERSIONS, true),
            ),
            Kind::WriteMany => {
                self.time(|keys| prepare::replacements(on, keys), |items| run::write_many(on, items))
            }
            Kind::FaultWorkload => self
                .time(|keys| (keys, prepare::creations(keys)), |(keys, items)| run::churn(on, keys, items)),
            Kind::Rename => self.time(|keys| prepare::created(on, keys), |items| run::rename(on, items)),
        }
    }

    fn time<'a, P, R>(
        &'a self,
        prepare: impl Fn(&'a [SessionKey]) -> P + Sync,
        work: impl Fn(P) -> R + Sync,
    ) -> f64 {
        let took = parallel::time_slowest(self.keys.len(), |thread| prepare(&self.keys[thread]), work);
        took.as_secs_f64() * 1e9 / f64::from(u32::try_from(self.keys[0].len()).expect("far fewer operations"))
    }
}
