use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{SystemTime, UNIX_EPOCH},
};

use session_core::{Bytes, SessionKey};

/// Values under keys, each with a token that every change replaces. Expiry is in whole seconds.
#[derive(Default)]
pub struct Engine(Mutex<State>);

#[derive(Default)]
struct State {
    values: HashMap<SessionKey, Value>,
    last_token: u64,
    sent: usize,
    losses: VecDeque<Loss>,
}

#[derive(Clone)]
struct Value {
    bytes: Bytes,
    token: u64,
    /// The second since 1970 in which the value expires.
    until: u64,
}

/// No reply arrived. The request may have been carried out, or still be in flight.
#[derive(Debug)]
pub struct Lost;

/// What the network loses of a change.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Request,
    Reply,
}

/// Simulates the network, in either direction: other tasks run meanwhile.
async fn travel() {
    let mut has_waited = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if mem::replace(&mut has_waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Engine {
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        state.values.retain(|_, value| now < value.until);
        state
    }

    /// The value under `key`, and its token.
    pub async fn get(&self, key: &SessionKey) -> Result<Option<(Bytes, u64)>, Lost> {
        travel().await;
        let found = self.state().values.get(key).map(|value| (value.bytes.clone(), value.token));
        travel().await;
        Ok(found)
    }

    /// Stores a value, for `seconds`, if the key has none.
    pub async fn add(&self, key: &SessionKey, bytes: Bytes, seconds: u64) -> Result<bool, Lost> {
        self.send(key, None, Some((bytes, seconds))).await
    }

    /// Replaces the value if it has this token.
    pub async fn swap(&self, key: &SessionKey, token: u64, bytes: Bytes, seconds: u64) -> Result<bool, Lost> {
        self.send(key, Some(token), Some((bytes, seconds))).await
    }

    /// Removes the value if it has this token.
    pub async fn remove(&self, key: &SessionKey, token: u64) -> Result<bool, Lost> {
        self.send(key, Some(token), None).await
    }

    /// The number of changes sent.
    pub fn sent(&self) -> usize {
        self.state().sent
    }

    /// Makes the network lose the request or the reply of the next change.
    pub fn lose(&self, loss: Loss) {
        self.state().losses.push_back(loss);
    }

    async fn send(
        &self,
        key: &SessionKey,
        token: Option<u64>,
        to: Option<(Bytes, u64)>,
    ) -> Result<bool, Lost> {
        travel().await;
        let reply = self.change(key, token, to);
        travel().await;
        reply
    }

    fn change(&self, key: &SessionKey, token: Option<u64>, to: Option<(Bytes, u64)>) -> Result<bool, Lost> {
        let mut state = self.state();
        state.sent += 1;
        let loss = state.losses.pop_front();
        if let Some(Loss::Request) = loss {
            return Err(Lost);
        }
        let holds = state.values.get(key).map(|value| value.token) == token;
        if holds {
            state.last_token += 1;
            let token = state.last_token;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
            match to {
                Some((bytes, seconds)) => {
                    state.values.insert(*key, Value { bytes, token, until: now + seconds });
                }
                None => drop(state.values.remove(key)),
            }
        }
        if loss.is_some() { Err(Lost) } else { Ok(holds) }
    }
}
