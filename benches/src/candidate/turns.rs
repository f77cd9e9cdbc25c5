use tokio::sync::{Mutex, MutexGuard};

/// Lets those callers of a process that have met a conflict on a session try again one after another: or all of them would fail each other's
/// attempts, and a session that many change would cost each of them a trip for each rival.
///
/// For the plain drivers, which write conditionally. Ours does what `session-manager` does for its applications.
#[derive(Debug)]
pub struct Turns(Box<[Mutex<()>]>);

/// Nobody else who has taken a turn on the same session has it until this is dropped.
pub type Turn<'a> = MutexGuard<'a, ()>;

/// Sessions that share a turn wait for each other for nothing, which is rare with so many.
const TURNS: usize = 256;

impl Turns {
    /// Takes a turn if somebody else has it: who comes new queues up behind those who have met a conflict.
    pub async fn if_contended(&self, session: usize) -> Option<Turn<'_>> {
        let turn = self.of(session);
        if turn.try_lock().is_ok() { None } else { Some(turn.lock().await) }
    }

    /// Takes a turn after a conflict, unless the caller has it.
    pub async fn after_conflict<'a>(&'a self, session: usize, turn: &mut Option<Turn<'a>>) {
        if turn.is_none() {
            *turn = Some(self.of(session).lock().await);
        }
    }

    fn of(&self, session: usize) -> &Mutex<()> {
        &self.0[session % TURNS]
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }
}
