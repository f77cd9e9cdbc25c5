use tokio::sync::{Mutex, MutexGuard};

/// Serialises the retries of the callers in a process that met a conflict on the same session.
///
/// Without it, the callers would fail each other's attempts, and a contended session would cost
/// each of them a round trip for each rival. Used by the plain drivers, which write conditionally.
/// Our stores do what `session-manager` does for its applications.
#[derive(Debug)]
pub struct Turns(Box<[Mutex<()>]>);

/// The turn of a session, held exclusively until this is dropped.
pub type Turn<'a> = MutexGuard<'a, ()>;

/// Sessions that share a turn wait for each other needlessly, which is rare with this many.
const TURNS: usize = 256;

impl Turns {
    /// Takes the turn if another caller holds it: new callers queue behind those that met a
    /// conflict.
    pub async fn if_contended(&self, session: usize) -> Option<Turn<'_>> {
        let turn = self.of(session);
        if turn.try_lock().is_ok() { None } else { Some(turn.lock().await) }
    }

    /// Takes the turn after a conflict, unless the caller holds it.
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
