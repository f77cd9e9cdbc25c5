use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Weak},
};

use parking_lot::Mutex;

use crate::{events::Events, table::Table};

/// What the stores of this process that use one file share.
///
/// SQLite waits for a lock by sleeping and retrying. The writers of one process queue here instead,
/// in FIFO order. A change by one store is reported to the listeners of the others.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Held by the current writer.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    pub(crate) events: Arc<Events>,
}

#[derive(Debug, Default)]
struct Registry {
    turns: HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>,
    events: HashMap<(PathBuf, Table), Weak<Events>>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

impl Shared {
    /// For a database in memory, which no other store can open.
    pub(crate) fn alone(watch_capacity: usize) -> Self {
        Self { turn: Arc::default(), events: Arc::new(Events::new(watch_capacity)) }
    }

    /// For a table of a file. Links in the path are resolved.
    pub(crate) fn of(file: &Path, table: &Table, watch_capacity: usize) -> Self {
        let path = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let Registry { turns, events } = &mut *REGISTRY.lock();
        turns.retain(|_, turn| turn.strong_count() > 0);
        events.retain(|_, events| events.strong_count() > 0);
        let turn = turns.get(&path).and_then(Weak::upgrade).unwrap_or_default();
        turns.insert(path.clone(), Arc::downgrade(&turn));
        let place = (path, table.clone());
        let shared = events.get(&place).and_then(Weak::upgrade);
        let shared = shared.unwrap_or_else(|| Arc::new(Events::new(watch_capacity)));
        events.insert(place, Arc::downgrade(&shared));
        Self { turn, events: shared }
    }
}
