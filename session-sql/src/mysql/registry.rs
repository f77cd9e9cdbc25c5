use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Weak},
};

use parking_lot::Mutex;

use crate::events::Events;

/// The events of each table that stores of this process use, by the table's identity.
static REGISTRY: LazyLock<Mutex<HashMap<String, Weak<Events>>>> = LazyLock::new(Mutex::default);

/// The events of a table. A change by one store of this process is reported to the listeners of the
/// others.
pub(super) fn events_of(identity: &str, capacity: usize) -> Arc<Events> {
    let mut registry = REGISTRY.lock();
    registry.retain(|_, events| events.strong_count() > 0);
    if let Some(events) = registry.get(identity).and_then(Weak::upgrade) {
        return events;
    }
    let events = Arc::new(Events::new(capacity));
    registry.insert(identity.to_owned(), Arc::downgrade(&events));
    events
}
