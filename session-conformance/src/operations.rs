//! Calls every operation of a store once, for requirements on all of them: in an outage, and on a
//! closed store.

use futures_util::future::BoxFuture;
use session_core::{
    DeleteItem, Error, Expected, Operation, SessionId, SessionKey, SessionStore, TouchItem, Version, When,
    WriteItem,
};

use crate::assertions::{hour, owner, write};

/// A call of an operation: its name, whether it may make several requests one after another, and
/// its results.
pub(crate) struct UnderWay<'a> {
    pub(crate) name: &'static str,
    /// The operation that its errors must name.
    pub(crate) operation: Operation,
    pub(crate) takes_steps: bool,
    /// The expected number of results.
    pub(crate) items: usize,
    pub(crate) results: BoxFuture<'a, Vec<Result<(), Error>>>,
}

/// Every operation that the store has, on one key and on fresh keys. None has begun.
pub(crate) fn each_operation(store: &dyn SessionStore, key: SessionKey) -> Vec<UnderWay<'_>> {
    let other = SessionId::generate().key();
    let seen = Version::random();
    let mut all = vec![
        one("read", Operation::Read, async move { store.read(&key).await.map(drop) }),
        one("read of another key", Operation::Read, async move { store.read(&other).await.map(drop) }),
        one(
            "write",
            Operation::Write,
            async move { store.write(&key, write("x"), When::Any).await.map(drop) },
        ),
        one("write with Absent", Operation::Write, async move {
            store.write(&other, write("x"), When::Absent).await.map(drop)
        }),
        one("write with a version", Operation::Write, async move {
            store.write(&key, write("x"), When::Version(seen)).await.map(drop)
        }),
        one("touch", Operation::Touch, async move { store.touch(&key, hour()).await.map(drop) }),
        one("delete", Operation::Delete, async move { store.delete(&other, Expected::Any).await.map(drop) }),
        one("delete with a version", Operation::Delete, async move {
            store.delete(&key, Expected::Version(seen)).await.map(drop)
        }),
        one("ping", Operation::Ping, async move { store.ping().await }),
        steps("rename", Operation::Rename, async move {
            store.rename(&other, &key, write("x"), seen).await.map(drop)
        }),
        many("read_many", Operation::Read, 2, async move { dropped(store.read_many(&[key, other]).await) }),
        many("write_many", Operation::Write, 2, async move {
            let item = |key, when| WriteItem { key, write: write("x"), when };
            dropped(store.write_many(&[item(key, When::Version(seen)), item(other, When::Absent)]).await)
        }),
        many("touch_many", Operation::Touch, 2, async move {
            let item = |key| TouchItem { key, ttl: hour() };
            dropped(store.touch_many(&[item(key), item(other)]).await)
        }),
        many("delete_many", Operation::Delete, 2, async move {
            let item = |key, expected| DeleteItem { key, expected };
            dropped(
                store.delete_many(&[item(key, Expected::Version(seen)), item(other, Expected::Any)]).await,
            )
        }),
    ];
    if let Some(owners) = store.owners() {
        all.push(steps("list of an owner", Operation::ListOwner, async move {
            owners.list(&owner("alice")).await.map(drop)
        }));
        all.push(steps("count of an owner", Operation::CountOwner, async move {
            owners.count(&owner("alice")).await.map(drop)
        }));
        let other_owner = owner("an owner without sessions");
        all.push(steps("delete_all", Operation::DeleteOwner, async move {
            owners.delete_all(&other_owner, None).await.map(drop)
        }));
    }
    if let Some(maintenance) = store.maintenance() {
        all.push(steps("page", Operation::Page, async move { maintenance.page(None, 10).await.map(drop) }));
        all.push(steps("count", Operation::Count, async move { maintenance.count().await.map(drop) }));
        all.push(steps("purge_expired", Operation::Purge, async move {
            maintenance.purge_expired(10).await.map(drop)
        }));
    }
    all
}

fn one<'a>(
    name: &'static str,
    operation: Operation,
    call: impl Future<Output = Result<(), Error>> + Send + 'a,
) -> UnderWay<'a> {
    many(name, operation, 1, async move { vec![call.await] })
}

fn steps<'a>(
    name: &'static str,
    operation: Operation,
    call: impl Future<Output = Result<(), Error>> + Send + 'a,
) -> UnderWay<'a> {
    UnderWay { takes_steps: true, ..one(name, operation, call) }
}

pub(crate) fn many<'a>(
    name: &'static str,
    operation: Operation,
    items: usize,
    call: impl Future<Output = Vec<Result<(), Error>>> + Send + 'a,
) -> UnderWay<'a> {
    UnderWay { name, operation, takes_steps: false, items, results: Box::pin(call) }
}

pub(crate) fn dropped<T>(results: Vec<Result<T, Error>>) -> Vec<Result<(), Error>> {
    results.into_iter().map(|result| result.map(drop)).collect()
}
