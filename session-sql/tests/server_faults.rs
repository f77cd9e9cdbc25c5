//! Sessions survive broken servers and connections under load.

mod support;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use session_conformance::Fault;
use session_core::{
    DeleteOutcome, Error, Expected, SessionId, SessionKey, SessionStore, TouchItem, Version, When, WriteItem,
    WriteOutcome,
};
use support::lab::{Kind, Lab, hour, on_both, write};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How long the service may take to recover.
const RECOVERY: Duration = Duration::from_secs(10);

/// Waits until the store serves.
async fn served(store: &Arc<dyn SessionStore>) {
    let begun = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(error.is_transient(), "{error}");
        assert!(begun.elapsed() < RECOVERY, "it does not come back: {error}");
    }
}

/// What a caller knows of one of its sessions.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The possible states: several, if the outcome of a change is unknown. `None` means gone.
    possible: Vec<Option<Version>>,
    /// Whether its deletion was acknowledged.
    deleted: bool,
}

/// Creates, replaces and deletes sessions of its own until it is told to stop, and returns their
/// expected states.
async fn churn(
    store: Arc<dyn SessionStore>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> HashMap<SessionKey, Known> {
    let mut known: HashMap<SessionKey, Known> = HashMap::new();
    let unsure = |error: Error| {
        assert!(error.is_transient(), "{error}: {:?}", std::error::Error::source(&error));
        error.may_have_applied()
    };
    while !stop.load(SeqCst) {
        let (key, first) = (SessionId::generate().key(), write("first"));
        let mut now = Known { possible: vec![None], deleted: false };
        let mut note = |version: Option<Version>, outcome: Result<bool, Error>| match outcome {
            Ok(true) => now.possible = vec![version],
            Ok(false) => panic!("nobody else uses this session"),
            Err(error) if unsure(error.clone()) => now.possible.push(version),
            Err(_) => {}
        };
        let created =
            store.write(&key, first.clone(), When::Absent).await.map(|outcome| outcome.is_written());
        let sure = created.is_ok();
        note(Some(first.version), created);
        if sure {
            let second = write("second");
            let replaced = store.write(&key, second.clone(), When::Version(first.version)).await;
            let sure = replaced.is_ok();
            note(Some(second.version), replaced.map(|outcome| outcome.is_written()));
            if sure && first.version.as_bytes()[0].is_multiple_of(2) {
                let deleted = store.delete(&key, Expected::Any).await;
                let was_deleted = deleted.is_ok();
                note(
                    None,
                    deleted.map(|outcome| matches!(outcome, DeleteOutcome::Deleted | DeleteOutcome::Absent)),
                );
                now.deleted = was_deleted;
            }
        }
        known.insert(key, now);
        done.fetch_add(1, SeqCst);
    }
    known
}

/// Runs many callers during `meanwhile`, and checks afterwards that nothing acknowledged is lost
/// and nothing deleted is back.
async fn under_load(lab: &Lab, options: &str, meanwhile: impl AsyncFnOnce(&Lab, &AtomicU64)) {
    let store = lab.open(options).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..48 {
        callers.spawn(churn(store.clone(), stop.clone(), done.clone()));
    }
    progress(&done, 300).await;
    meanwhile(lab, &done).await;
    served(&store).await;
    // The store works again, for other callers as well.
    progress(&done, 300).await;
    stop.store(true, SeqCst);
    let mut checked = 0;
    for known in callers.join_all().await {
        let keys: Vec<SessionKey> = known.keys().copied().collect();
        for (key, found) in keys.iter().zip(store.read_many(&keys).await) {
            let (now, known) = (found.expect("it answers").map(|record| record.version), &known[key]);
            assert!(!known.deleted || now.is_none(), "a deleted session is back");
            assert!(known.possible.contains(&now), "it is {now:?}, and was known as {known:?}");
            checked += 1;
        }
    }
    assert!(checked > 500, "only {checked} sessions were made");
    store.close().await.expect("it closes");
}

/// Waits until `more` further sessions have been processed.
async fn progress(done: &AtomicU64, more: u64) {
    let (begun, from) = (Instant::now(), done.load(SeqCst));
    while done.load(SeqCst) < from + more {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing moves");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn a_kill_loses_nothing_acknowledged(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    under_load(&lab, "deadline_ms=2000", async |lab, done| {
        for _ in 0..3 {
            lab.control.inject(Fault::Kill).await;
            lab.control.heal(Fault::Kill).await;
            progress(done, 200).await;
        }
    })
    .await;
}

async fn a_freeze_loses_nothing_acknowledged(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    under_load(&lab, "deadline_ms=1000", async |lab, done| {
        for pause in [100, 1_500] {
            lab.control.inject(Fault::Freeze).await;
            // One pause is shorter than the deadline, and the other is longer.
            sleep(Duration::from_millis(pause)).await;
            lab.control.heal(Fault::Freeze).await;
            progress(done, 200).await;
        }
    })
    .await;
}

async fn ended_connections_lose_nothing_acknowledged(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    under_load(&lab, "", async |lab, done| {
        for _ in 0..5 {
            lab.end_all_connections().await;
            progress(done, 100).await;
        }
    })
    .await;
}

async fn lost_replies_count_nothing_twice(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let store = lab.open("deadline_ms=400").await;
    let key = SessionId::generate().key();
    let first = write("0");
    assert!(store.write(&key, first, When::Absent).await.expect("it answers").is_written());
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (store, stop) = (store.clone(), stop.clone());
        callers.spawn(async move {
            let (mut sure, mut unsure) = (0_u64, 0_u64);
            while !stop.load(SeqCst) {
                let Ok(Some(seen)) = store.read(&key).await else { continue };
                let number: u64 = String::from_utf8_lossy(&seen.data).parse().expect("a number");
                match store.write(&key, write((number + 1).to_string()), When::Version(seen.version)).await {
                    Ok(WriteOutcome::Written) => sure += 1,
                    Ok(WriteOutcome::Conflict(_)) => {}
                    Err(error) if error.may_have_applied() => unsure += 1,
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
            (sure, unsure)
        });
    }
    for _ in 0..4 {
        sleep(Duration::from_millis(200)).await;
        lab.control.inject(Fault::LoseReplies).await;
        sleep(Duration::from_millis(500)).await;
        lab.control.heal(Fault::LoseReplies).await;
    }
    served(&store).await;
    stop.store(true, SeqCst);
    let counts = callers.join_all().await;
    let (sure, unsure) =
        counts.iter().fold((0, 0), |(all, open), (sure, unsure)| (all + sure, open + unsure));
    let seen = store.read(&key).await.expect("it answers").expect("it lives");
    let number: u64 = String::from_utf8_lossy(&seen.data).parse().expect("a number");
    assert!(
        (sure..=sure + unsure).contains(&number),
        "{number} counted, {sure} acknowledged, {unsure} perhaps"
    );
    assert!(sure > 0);
}

/// Writers of the same sessions, in the same and in different orders, together with touches and
/// deletions by owner.
async fn no_deadlock_reaches_a_caller(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let owner = session_core::Owner::new("hammered").expect("an owner");
    let keys: Arc<Vec<SessionKey>> = Arc::new((0..60).map(|_| SessionId::generate().key()).collect());
    let mut writers = JoinSet::new();
    for writer in 0..8_u64 {
        // One store for each writer, as eight processes have.
        let store = lab.open("batching=off&deadline_ms=20000").await;
        let (keys, owner) = (keys.clone(), owner.clone());
        writers.spawn(async move {
            for round in 0..25_u64 {
                let mut mine: Vec<SessionKey> = keys.to_vec();
                if writer.is_multiple_of(2) {
                    // A different order in each round.
                    mine.sort_unstable_by_key(|key| key.hash64().wrapping_mul(2 * round + 2 * writer + 1));
                } else {
                    mine.sort_unstable();
                }
                let items: Vec<WriteItem> = mine
                    .iter()
                    .map(|key| {
                        let change = session_core::OwnerChange::Set(owner.clone());
                        WriteItem {
                            key: *key,
                            write: write(format!("{writer}/{round}")).owner(change),
                            when: When::Any,
                        }
                    })
                    .collect();
                let touches: Vec<TouchItem> =
                    mine.iter().rev().map(|key| TouchItem { key: *key, ttl: hour() }).collect();
                for outcome in store.write_many(&items).await {
                    assert!(outcome.expect("no deadlock").is_written());
                }
                for outcome in store.touch_many(&touches).await {
                    outcome.expect("no deadlock");
                }
                if (round + writer).is_multiple_of(7) {
                    store.owners().expect("it has").delete_all(&owner, None).await.expect("no deadlock");
                }
            }
            store.close().await.expect("it closes");
        });
    }
    writers.join_all().await;
}

async fn the_purge_outlives_an_outage(kind: Kind) {
    let lab = Lab::start(kind, &[]).await;
    let store = lab.open("deadline_ms=500&purge_interval_ms=50").await;
    lab.control.inject(Fault::Kill).await;
    // Some purges run while the server is down.
    sleep(Duration::from_millis(300)).await;
    lab.control.heal(Fault::Kill).await;
    served(&store).await;
    let short = session_core::Ttl::new(Duration::from_millis(20)).expect("short");
    let items: Vec<WriteItem> = (0..50)
        .map(|_| {
            let write = session_core::Write::new("x", short);
            WriteItem { key: SessionId::generate().key(), write, when: When::Absent }
        })
        .collect();
    for outcome in store.write_many(&items).await {
        assert!(outcome.expect("it answers").is_written());
    }
    let begun = Instant::now();
    while lab.number("SELECT COUNT(*) FROM sessions").await > 0 {
        assert!(begun.elapsed() < RECOVERY, "nobody purges");
        sleep(Duration::from_millis(20)).await;
    }
}

fn main() -> ExitCode {
    support::lab::main(on_both![
        a_kill_loses_nothing_acknowledged,
        a_freeze_loses_nothing_acknowledged,
        ended_connections_lose_nothing_acknowledged,
        lost_replies_count_nothing_twice,
        no_deadlock_reaches_a_caller,
        the_purge_outlives_an_outage,
    ])
}
