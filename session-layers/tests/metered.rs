//! What `Metered` reports, and what it must not.
#![cfg(not(shuttle))]

use std::{collections::BTreeMap, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use session_core::{Owner, SessionStore, Ttl, When, Write, WriteItem};
use session_layers::Metered;
use session_manager::SessionManager;
use session_memory::MemoryStore;

/// The values of counters and gauges by name and labels, and the number of values of each
/// histogram.
fn meters(recorder: &metrics_util::debugging::Snapshotter) -> BTreeMap<String, f64> {
    let told = recorder.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (_, key) = key.into_parts();
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => f64::from(u32::try_from(count).expect("few")),
            DebugValue::Gauge(gauge) => gauge.into_inner(),
            DebugValue::Histogram(values) => f64::from(u32::try_from(values.len()).expect("few")),
        };
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    });
    told.collect()
}

#[tokio::test]
async fn operations_conflicts_errors_and_sessions_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let store = metrics::with_local_recorder(&recorder, || Metered::new(MemoryStore::new()));
    let store = std::sync::Arc::new(store);
    let manager = SessionManager::builder_shared(store.clone()).build().expect("settings");

    let session = manager.create();
    session.insert("n", &1).expect("a number");
    session.login(Owner::new("alice").expect("an owner")).await.expect("a login");
    let rival = manager.load(&session.id().expect("stored")).await.expect("a read").expect("live");
    rival.insert("m", &1).expect("a number");
    rival.save().await.expect("a save");
    session.insert("n", &2).expect("a number");
    session.save().await.expect("a merge");
    let another = manager.create();
    another.insert("n", &1).expect("a number");
    another.save().await.expect("a save");
    assert_eq!(store.sample().await.expect("a count"), Some(2));
    another.logout().await.expect("a logout");
    assert_eq!(store.sample().await.expect("a count"), Some(1));
    let write = Write::new("x", Ttl::new(Duration::from_mins(1)).expect("a ttl"));
    let item = WriteItem { key: session.key().expect("live"), write, when: When::Absent };
    let _ = store.write_many(&[item.clone(), item]).await;

    let told = meters(&snapshotter);
    let expected = [
        ("session_store_operations_total{operation=read}", 1.0),
        // Two creations, a save, a save that was retried after a conflict, and a batch of two.
        ("session_store_operations_total{operation=write}", 7.0),
        ("session_store_conflicts_total{operation=write}", 3.0),
        ("session_store_batch_size{operation=write}", 1.0),
        ("session_store_duration_seconds{operation=write}", 6.0),
        ("session_store_operations_total{operation=delete}", 1.0),
        ("sessions_created_total{}", 2.0),
        ("sessions_ended_total{}", 1.0),
        ("sessions_live{}", 1.0),
        ("sessions_live_peak{}", 2.0),
    ];
    for (name, value) in expected {
        assert_eq!(told.get(name), Some(&value), "{name} of {told:#?}");
    }
    assert!(told["sessions_lifetime_mean_seconds{}"] > 0.0);
    let key = session.key().expect("live").to_string();
    assert!(!format!("{told:?}").contains(&key[..16]));
}

#[tokio::test]
async fn errors_are_counted_by_kind() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let store = MemoryStore::builder().max_sessions(1).build();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let manager = SessionManager::new(Metered::new(store));
    for full in [false, true] {
        let session = manager.create();
        session.insert("n", &1).expect("a number");
        assert_eq!(session.save().await.is_err(), full);
    }
    assert_eq!(meters(&snapshotter).get("session_store_errors_total{operation=write,kind=full}"), Some(&1.0));
}
