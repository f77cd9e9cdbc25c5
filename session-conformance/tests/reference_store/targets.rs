use std::{
    sync::{Arc, Mutex, Weak, atomic::AtomicBool},
    time::Duration,
};

use session_conformance::{Breakable, Fault, Foreign, Target};
use session_core::SessionStore;
use tokio::time::sleep;

use super::{
    Flaw, ReferenceStore, World, lock,
    server::{DEADLINE, Server},
    space::{Slot, Space},
};

/// The reference store with this flaw, or with none, as a target with all hooks.
#[allow(dead_code, reason = "the test of generated flaws lays a layer over it")]
pub(crate) fn target(flaw: Option<Flaw>) -> Target {
    target_under(flaw, |_, _, store| store)
}

/// Like [`target`], with a layer over each handle. The layer gets the namespace and the number of
/// the handle.
pub(crate) fn target_under(
    flaw: Option<Flaw>,
    layer: impl Fn(&str, usize, Arc<dyn SessionStore>) -> Arc<dyn SessionStore> + Send + Sync + 'static,
) -> Target {
    let layer = Arc::new(layer);
    let world = Arc::new(World { spaces: Mutex::default(), flaw });
    let server = Arc::new(Server::new(flaw));
    let open = move |world: &Arc<World>, namespace: &str, number: usize, server: &Arc<Server>| {
        lock(&world.spaces).entry(namespace.to_owned()).or_insert_with(|| Space::new(flaw));
        let store: Arc<dyn SessionStore> = Arc::new(ReferenceStore {
            world: world.clone(),
            namespace: namespace.to_owned(),
            server: server.clone(),
            cache: Mutex::default(),
            number,
            held: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        layer(namespace, number, store)
    };
    let (first_open, second_open, broken_open, purging_open) =
        (open.clone(), open.clone(), open.clone(), open);
    let (for_first, for_second, for_broken, for_plant, for_purging) =
        (world.clone(), world.clone(), world.clone(), world.clone(), world);
    let (first_server, second_server, purging_server) = (server.clone(), server.clone(), server);
    Target::new("reference", move |namespace| {
        let store = first_open(&for_first, namespace.as_str(), 0, &first_server);
        async move { Ok(store) }
    })
    .second_handle(move |namespace, _| {
        let store = second_open(&for_second, namespace.as_str(), 1, &second_server);
        async move { Ok(store) }
    })
    .self_purging(move |namespace| {
        let store = purging_open(&for_purging, namespace.as_str(), 0, &purging_server);
        tokio::spawn(purge(Arc::downgrade(&store), flaw));
        async move { Ok(store) }
    })
    .foreign_bytes(
        &[Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat],
        move |namespace, key, foreign| {
            if let Some(space) = lock(&for_plant.spaces).get_mut(namespace.as_str()) {
                space.slots.insert(key, Slot::Foreign(foreign));
            }
            async {}
        },
    )
    .faults(Fault::ALL, move |namespace| {
        let (control, healthy) = (Arc::new(Server::new(flaw)), Arc::new(Server::new(flaw)));
        let store = broken_open(&for_broken, namespace.as_str(), 0, &control);
        let beside = Some(broken_open(&for_broken, namespace.as_str(), 1, &healthy));
        let recovery = Duration::from_millis(100);
        async move { Ok(Breakable { store, beside, control, deadline: DEADLINE, recovery }) }
    })
}

/// Frees expired records, as long as the store exists.
async fn purge(store: Weak<dyn SessionStore>, flaw: Option<Flaw>) {
    loop {
        sleep(Duration::from_millis(20)).await;
        let Some(store) = store.upgrade() else { return };
        let Some(maintenance) = store.maintenance() else { return };
        let freed = maintenance.purge_expired(1_000).await;
        if freed.is_ok_and(|freed| freed > 0) && flaw == Some(Flaw::PurgesItselfOnce) {
            return;
        }
    }
}
