//! Many tasks read and change one session through one handle. A read that begins after a change has
//! returned finds that change or a later one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{try_join, try_join_all};
use session_core::{DeleteItem, Expected, Record, SessionKey, SessionStore, When, WriteItem, WriteOutcome};
use tokio::time::sleep;

use crate::{
    Context,
    assertions::{hour, live, only, owned, owner, put, write},
    failure::{Checked, Failure, ensure},
    race::run_beside,
};

/// The numbers of tasks that change, read and renew the session, and the changes of each writer.
const WRITERS: u64 = 3;
const READERS: u64 = 4;
const RENEWERS: u64 = 2;
const CHANGES: u32 = 12;

/// A session that holds a number, which each change increments.
#[derive(Clone)]
struct Counted {
    store: Arc<dyn SessionStore>,
    key: SessionKey,
    /// The largest number whose write has returned.
    newest: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

/// Ends sessions in each way, creates others under their keys as soon as these are free, and checks
/// that the new ones are found, whichever call returns first.
pub(crate) async fn what_is_created_behind_a_delete_is_found(cx: &Context) -> Checked {
    let store = &cx.store;
    for round in cx.rounds(60) {
        let key = cx.key();
        put(&**store, &key, owned("before", &format!("alice {round}")), When::Absent).await?;
        let ending = async {
            match round % 4 {
                0 => drop(store.delete(&key, Expected::Any).await?),
                1 => drop(only(store.delete_many(&[DeleteItem { key, expected: Expected::Any }]).await)?),
                2 => {
                    let seen = live(&**store, &key).await?.version;
                    drop(store.rename(&key, &cx.key(), write("moved"), seen).await?);
                }
                _ => match store.owners() {
                    Some(owners) => drop(owners.delete_all(&owner(&format!("alice {round}")), None).await?),
                    None => drop(store.delete(&key, Expected::Any).await?),
                },
            }
            Ok::<_, Failure>(())
        };
        let creating = async {
            while !store.write(&key, write("after"), When::Absent).await?.is_written() {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        try_join(ending, creating).await?;
        ensure!(
            store.read(&key).await?.is_some(),
            "a session is not found that was created behind a delete ({})",
            round % 4
        );
    }
    Ok(())
}

pub(crate) async fn reads_find_what_has_returned(cx: &Context) -> Checked {
    for _ in cx.rounds(40) {
        let (store, key) = (cx.store.clone(), cx.key());
        put(&*store, &key, write("0"), When::Absent).await?;
        let counted = Counted { store, key, newest: Arc::default(), is_over: Arc::default() };
        let beside = |n| {
            let counted = counted.clone();
            run_beside(async move { counted.ask_on(n).await })
        };
        let asking: Vec<_> = (0..READERS + RENEWERS).map(beside).collect();
        let writing = try_join_all((0..WRITERS).map(|n| counted.change_on(n))).await;
        counted.is_over.store(true, Ordering::SeqCst);
        let asked = try_join_all(asking.into_iter().map(|task| async { task.await? })).await;
        try_join(async { writing }, async { asked }).await?;
    }
    Ok(())
}

impl Counted {
    fn number(record: &Record) -> Checked<u64> {
        let text = String::from_utf8_lossy(&record.data);
        text.parse().map_err(|_| Failure::new(format!("the data is {text:?}, and numbers were written")))
    }

    /// Increments the number, alone or in batches, and reads it each time.
    async fn change_on(&self, n: u64) -> Checked {
        let mut seen = live(&*self.store, &self.key).await?;
        let mut left = CHANGES;
        while left > 0 {
            let number = Self::number(&seen)? + 1;
            let (next, when) = (write(number.to_string()), When::Version(seen.version));
            let outcome = if n.is_multiple_of(2) {
                self.store.write(&self.key, next, when).await?
            } else {
                only(self.store.write_many(&[WriteItem { key: self.key, write: next, when }]).await)?
            };
            if outcome.is_written() {
                self.newest.fetch_max(number, Ordering::SeqCst);
                left -= 1;
            }
            seen = match outcome {
                WriteOutcome::Conflict(Some(record)) => record,
                _ => self.read(n).await?,
            };
        }
        Ok(())
    }

    /// Reads or renews the session until all changes were made.
    async fn ask_on(&self, n: u64) -> Checked {
        while !self.is_over.load(Ordering::SeqCst) {
            if n < READERS {
                self.read(n).await?;
            } else {
                ensure!(self.store.touch(&self.key, hour()).await?, "the session is live");
            }
            // A store that answers immediately would not let the other tasks run.
            sleep(Duration::from_micros(100)).await;
        }
        Ok(())
    }

    async fn read(&self, n: u64) -> Checked<Record> {
        let newest = self.newest.load(Ordering::SeqCst);
        let found = if n.is_multiple_of(2) {
            self.store.read(&self.key).await?
        } else {
            only(self.store.read_many(&[self.key]).await)?
        };
        let found = found.ok_or_else(|| Failure::new("a session that should be live is not there"))?;
        let number = Self::number(&found)?;
        ensure!(
            number >= newest,
            "a read finds {number}, and the write of {newest} had returned before the read began"
        );
        Ok(found)
    }
}
