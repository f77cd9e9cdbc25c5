//! Chained writes of one key, each conditional on the one before it, are sent as one write. Each
//! has the outcome that it would have by itself.

use session_backend::Batched;
use session_core::{ErrorKind, Owner, OwnerChange, Result, SessionStore, Version, When, Write, WriteOutcome};
use tokio::task::JoinHandle;

use crate::{
    gate::{Gate, Plan},
    setup::{begin, begin_write, content, data, key, one_at_a_time, written},
};

/// Begins a write of key number 1, under this condition.
async fn begin_when(store: &Batched<Gate>, write: &Write, when: When) -> JoinHandle<Result<WriteOutcome>> {
    let (store, write) = (store.clone(), write.clone());
    begin(async move { store.write(&key(1), write, when).await }).await
}

/// Begins these writes, each on top of the one before it, and the first one under this condition.
async fn begin_chain(
    store: &Batched<Gate>,
    mut when: When,
    chain: &[Write],
) -> Vec<JoinHandle<Result<WriteOutcome>>> {
    let mut begun = Vec::new();
    for write in chain {
        begun.push(begin_when(store, write, when).await);
        when = When::Version(write.version);
    }
    begun
}

/// The version of the record that a write conflicted with.
async fn met(write: JoinHandle<Result<WriteOutcome>>) -> Version {
    match write.await.expect("no panic").expect("a write") {
        WriteOutcome::Conflict(record) => record.expect("the record that is there").version,
        WriteOutcome::Written => panic!("it was written"),
    }
}

fn contents<const N: usize>(data: [&str; N]) -> [Write; N] {
    data.map(content)
}

#[tokio::test]
async fn they_leave_as_one() {
    let (store, gate) = one_at_a_time();
    let begun = begin_chain(&store, When::Any, &contents(["a", "b", "c", "d"])).await;
    gate.open();
    for write in begun {
        written(write).await;
    }
    assert_eq!(data(&store, 1).await.as_deref(), Some("d"));
    // The first write, the other three as one, and the read above.
    assert_eq!(gate.calls().len(), 3);
}

#[tokio::test]
async fn under_the_condition_of_the_first() {
    let (store, gate) = one_at_a_time();
    let there = content("there");
    let first = begin_when(&store, &there, When::Any).await;
    let begun = begin_chain(&store, When::Version(Version::random()), &contents(["a", "b", "c"])).await;
    gate.open();
    written(first).await;
    for write in begun {
        assert_eq!(met(write).await, there.version);
    }
    assert_eq!(data(&store, 1).await.as_deref(), Some("there"));
    assert_eq!(gate.calls().len(), 3, "all were told of the conflict of the first");
}

#[tokio::test]
async fn the_owner_is_who_it_would_be() {
    let owner = |name: &str| Owner::new(name).expect("a name");
    for (changes, expected) in [
        ([OwnerChange::Set(owner("a")), OwnerChange::Keep], Some(owner("a"))),
        ([OwnerChange::Set(owner("a")), OwnerChange::Clear], None),
        ([OwnerChange::Clear, OwnerChange::Set(owner("b"))], Some(owner("b"))),
        ([OwnerChange::Keep, OwnerChange::Keep], Some(owner("there"))),
    ] {
        let (store, gate) = one_at_a_time();
        let there = content("there").owner(OwnerChange::Set(owner("there")));
        let chain = changes.map(|change| content("x").owner(change));
        let first = begin_when(&store, &there, When::Any).await;
        let begun = begin_chain(&store, When::Version(there.version), &chain).await;
        gate.open();
        for write in std::iter::once(first).chain(begun) {
            written(write).await;
        }
        assert_eq!(gate.calls().len(), 2);
        assert_eq!(store.read(&key(1)).await.expect("a read").expect("it is there").owner, expected);
    }
}

#[tokio::test]
async fn one_that_may_create_the_record_leaves_alone() {
    let (store, gate) = one_at_a_time();
    let other = begin_write(&store, 2, "other").await;
    let begun = begin_chain(&store, When::Absent, &contents(["a", "b", "c"])).await;
    gate.open();
    for write in std::iter::once(other).chain(begun) {
        written(write).await;
    }
    assert_eq!(data(&store, 1).await.as_deref(), Some("c"));
    // The other write, the first of the chain, the two on top of it as one, and the read.
    assert_eq!(gate.calls().len(), 4);
}

#[tokio::test]
async fn one_that_is_there_already_carries_the_next() {
    let (store, gate) = one_at_a_time();
    let [there, next, last] = contents(["there", "next", "last"]);
    let first = begin_when(&store, &there, When::Any).await;
    // As after a lost reply: the same write again, whose condition no longer holds.
    let again = begin_when(&store, &there, When::Absent).await;
    let begun = begin_chain(&store, When::Version(there.version), &[next, last]).await;
    gate.open();
    for write in [first, again].into_iter().chain(begun) {
        written(write).await;
    }
    assert_eq!(data(&store, 1).await.as_deref(), Some("last"));
}

#[tokio::test]
async fn one_in_the_middle_that_is_there_already() {
    let (store, gate) = one_at_a_time();
    let [a, b, c] = contents(["a", "b", "c"]);
    let first = begin_when(&store, &b, When::Any).await;
    // The first of these conflicts, the second is in the store already, and the third follows it.
    let begun = begin_chain(&store, When::Absent, &[a, b.clone(), c]).await;
    gate.open();
    written(first).await;
    let mut begun = begun.into_iter();
    assert_eq!(met(begun.next().expect("three")).await, b.version);
    for write in begun {
        written(write).await;
    }
    assert_eq!(data(&store, 1).await.as_deref(), Some("c"));
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_itself() {
    let (store, gate) = one_at_a_time();
    let large = content("x".repeat(store.max_data_len() + 1));
    let [there, after] = contents(["there", "after"]);
    let first = begin_when(&store, &there, When::Any).await;
    let begun = begin_chain(&store, When::Version(there.version), &[large, after]).await;
    gate.open();
    written(first).await;
    let [large, after]: [_; 2] = begun.try_into().expect("two");
    let refused = large.await.expect("no panic").expect_err("it is too large").kind();
    assert!(matches!(refused, ErrorKind::TooLarge { .. }), "{refused:?}");
    assert_eq!(met(after).await, there.version);
    assert_eq!(data(&store, 1).await.as_deref(), Some("there"));
}

#[tokio::test]
async fn one_that_goes_away_takes_those_on_top_of_it_along() {
    let (store, gate) = one_at_a_time();
    let chain = contents(["a", "b", "c", "d"]);
    let mut begun = begin_chain(&store, When::Any, &chain).await;
    let gone = begun.remove(2);
    gone.abort();
    assert!(gone.await.expect_err("it went away").is_cancelled());
    gate.open();
    let last = begun.pop().expect("three");
    for write in begun {
        written(write).await;
    }
    assert_eq!(met(last).await, chain[1].version);
    assert_eq!(data(&store, 1).await.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_failure_is_that_of_all_of_them() {
    let (store, gate) = one_at_a_time();
    let other = begin_write(&store, 2, "other").await;
    let begun = begin_chain(&store, When::Version(Version::random()), &contents(["a", "b", "c"])).await;
    gate.admit(1);
    written(other).await;
    gate.plan(Plan::Fail);
    gate.open();
    for write in begun {
        let error = write.await.expect("no panic").expect_err("as planned");
        assert!(error.may_have_applied(), "{error:?}");
    }
    assert_eq!(gate.calls().len(), 2);
}
