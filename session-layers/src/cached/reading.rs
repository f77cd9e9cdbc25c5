use std::{collections::HashMap, sync::Arc};

use session_core::{Record, Result, SessionKey, SessionStore};

use super::{
    counters::Count,
    fill::{Fill, Turn},
    l1::Look,
    store::{Cached, Inner},
    under_way::Answer,
};

/// Waits for an answer; `None` if whoever was to give it is gone.
async fn wait_for(mut answer: Answer) -> Option<Result<Option<Record>>> {
    answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone())
}

impl<S: SessionStore + 'static> Cached<S> {
    /// Reads a session that was not found in the cache.
    pub(crate) async fn read_through(&self, key: &SessionKey) -> Result<Option<Record>> {
        let counters = &self.inner.l1.counters;
        let answer = match Fill::begin(&self.inner.l1, key) {
            Turn::Done(found) => {
                counters.add(Count::Shared);
                return Ok(found);
            }
            Turn::Follow(answer) => {
                counters.add(Count::Shared);
                answer
            }
            Turn::Lead(fill, answer) => {
                counters.add(Count::Miss);
                let store = Arc::clone(&self.inner.store);
                // By a task, so that a caller who goes away takes nothing from the others.
                let reading = async move {
                    let result = store.read(&fill.key()).await;
                    fill.end(result);
                };
                self.inner.runtime.begin(reading).await;
                answer
            }
            Turn::Bypass => {
                counters.add(Count::Bypass);
                return self.read_past(key).await;
            }
        };
        match wait_for(answer).await {
            Some(result) => result,
            None => self.read_past(key).await,
        }
    }

    /// Reads a session past the cache.
    pub(crate) async fn read_past(&self, key: &SessionKey) -> Result<Option<Record>> {
        let result = self.inner.store.read(key).await;
        self.inner.seen_past(key);
        result
    }

    /// Reads many sessions, with one question for all that are not in the cache and that nobody is asking for.
    pub(crate) async fn read_many_through(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let l1 = &self.inner.l1;
        let (mut found, mut waiting) = (HashMap::with_capacity(keys.len()), Vec::new());
        let (mut fills, mut past) = (Vec::new(), Vec::new());
        for key in keys {
            if found.contains_key(key) {
                continue;
            }
            // Something, so that a key that comes twice is asked for once.
            found.insert(*key, Ok(None));
            match l1.look(key) {
                Look::Found(record) => drop(found.insert(*key, Ok(Some(record)))),
                Look::Unknown => {}
                Look::Bypass => past.push(*key),
                Look::Miss => match Fill::begin(l1, key) {
                    Turn::Done(record) => {
                        l1.counters.add(Count::Shared);
                        found.insert(*key, Ok(record));
                    }
                    Turn::Follow(answer) => {
                        l1.counters.add(Count::Shared);
                        waiting.push((*key, answer));
                    }
                    Turn::Lead(fill, answer) => {
                        l1.counters.add(Count::Miss);
                        fills.push(fill);
                        waiting.push((*key, answer));
                    }
                    Turn::Bypass => {
                        l1.counters.add(Count::Bypass);
                        past.push(*key);
                    }
                },
            }
        }
        if !fills.is_empty() {
            let store = Arc::clone(&self.inner.store);
            let reading = async move {
                let keys: Vec<SessionKey> = fills.iter().map(Fill::key).collect();
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
    /// Somebody has read past the cache, and may have seen something newer than what was put in since it is in use again.
    fn seen_past(&self, key: &SessionKey) {
        if self.l1.gate.epoch().is_some() {
            self.l1.invalidate(key, Count::Own);
        }
    }
}
