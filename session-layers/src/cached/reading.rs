use std::{collections::HashMap, sync::Arc};

use session_core::{Record, Result, SessionKey, SessionStore};

use super::{
    counters::Count,
    in_flight::Answer,
    load_lease::{Load, LoadLease},
    store::{Cached, Inner},
    table::Look,
};

/// Waits for an answer. `None` if its sender was dropped.
async fn wait_for(mut answer: Answer) -> Option<Result<Option<Record>>> {
    answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone())
}

impl<S: SessionStore + 'static> Cached<S> {
    /// Reads a session that was not found in the cache.
    pub(crate) async fn read_through(&self, key: &SessionKey) -> Result<Option<Record>> {
        let counters = &self.inner.table.counters;
        let answer = match LoadLease::begin(&self.inner.table, key) {
            Load::Hit(found) => {
                counters.add(Count::Shared);
                return Ok(found);
            }
            Load::Waiter(answer) => {
                counters.add(Count::Shared);
                answer
            }
            Load::Leader(fill, answer) => {
                counters.add(Count::Miss);
                let store = Arc::clone(&self.inner.store);
                // Runs in a task, so that the other readers get the answer if this caller is
                // dropped.
                let reading = async move {
                    let result = store.read(&fill.key()).await;
                    fill.end(result);
                };
                self.inner.runtime.begin(reading).await;
                answer
            }
            Load::Bypass => {
                counters.add(Count::Bypass);
                return self.read_past(key).await;
            }
        };
        match wait_for(answer).await {
            Some(result) => result,
            None => self.read_past(key).await,
        }
    }

    /// Reads a session from the store, bypassing the cache.
    pub(crate) async fn read_past(&self, key: &SessionKey) -> Result<Option<Record>> {
        let result = self.inner.store.read(key).await;
        self.inner.seen_past(key);
        result
    }

    /// Reads many sessions.
    ///
    /// One batch asks the store for all that are neither cached nor already being read.
    pub(crate) async fn read_many_through(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let table = &self.inner.table;
        let (mut found, mut waiting) = (HashMap::with_capacity(keys.len()), Vec::new());
        let (mut fills, mut past) = (Vec::new(), Vec::new());
        for key in keys {
            if found.contains_key(key) {
                continue;
            }
            // A placeholder, so that a repeated key is read once.
            found.insert(*key, Ok(None));
            match table.look(key) {
                Look::Found(record) => drop(found.insert(*key, Ok(Some(record)))),
                Look::Unknown => {}
                Look::Bypass => past.push(*key),
                Look::Miss => match LoadLease::begin(table, key) {
                    Load::Hit(record) => {
                        table.counters.add(Count::Shared);
                        found.insert(*key, Ok(record));
                    }
                    Load::Waiter(answer) => {
                        table.counters.add(Count::Shared);
                        waiting.push((*key, answer));
                    }
                    Load::Leader(fill, answer) => {
                        table.counters.add(Count::Miss);
                        fills.push(fill);
                        waiting.push((*key, answer));
                    }
                    Load::Bypass => {
                        table.counters.add(Count::Bypass);
                        past.push(*key);
                    }
                },
            }
        }
        if !fills.is_empty() {
            let store = Arc::clone(&self.inner.store);
            let reading = async move {
                let keys: Vec<SessionKey> = fills.iter().map(LoadLease::key).collect();
                for (fill, result) in fills.into_iter().zip(store.read_many(&keys).await) {
                    fill.end(result);
                }
            };
            self.inner.runtime.begin(reading).await;
        }
        for (key, answer) in waiting {
            match wait_for(answer).await {
                Some(result) => drop(found.insert(key, result)),
                None => past.push(key),
            }
        }
        if !past.is_empty() {
            for (key, result) in past.iter().zip(self.inner.store.read_many(&past).await) {
                self.inner.seen_past(key);
                found.insert(*key, result);
            }
        }
        keys.iter().map(|key| found[key].clone()).collect()
    }
}

impl<S> Inner<S> {
    /// Drops the entry of a session that was read past the cache.
    ///
    /// That read may have seen a newer record than the one that was cached since the cache is in
    /// use again.
    fn seen_past(&self, key: &SessionKey) {
        if self.table.epoch.current().is_some() {
            self.table.invalidate(key, Count::Own);
        }
    }
}
