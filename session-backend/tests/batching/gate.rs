use std::{collections::VecDeque, future::Future, sync::Arc};

use parking_lot::Mutex;
use session_core::{
    DeleteItem, DeleteOutcome, Error, Expected, Operation, Record, Result, SessionKey, SessionStore,
    TouchItem, Ttl, When, Write, WriteItem, WriteOutcome, async_trait,
};
use session_memory::MemoryStore;
use tokio::sync::{Semaphore, watch};

use crate::inside::Inside;

/// A store behind a gate. A call is recorded and waits until the gate admits it. Then it is carried
/// out, or fails as planned.
#[derive(Debug)]
pub(crate) struct Gate {
    store: MemoryStore,
    keeper: Keeper,
}

/// The handle that opens the gate.
#[derive(Clone, Debug)]
pub(crate) struct Keeper(Arc<State>);

#[derive(Debug)]
struct State {
    calls: watch::Sender<Vec<Call>>,
    passes: Semaphore,
    plans: Mutex<VecDeque<Plan>>,
    inside: Inside,
}

/// One call of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    pub(crate) keys: Vec<SessionKey>,
    pub(crate) single: bool,
}

/// What an admitted call does instead of its operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Panic,
    Fail,
    Miscount,
}

impl Gate {
    /// Creates a shut gate, and its keeper.
    pub(crate) fn new() -> (Self, Keeper) {
        let state = State {
            calls: watch::Sender::default(),
            passes: Semaphore::new(0),
            plans: Mutex::default(),
            inside: Inside::default(),
        };
        let keeper = Keeper(Arc::new(state));
        (Self { store: MemoryStore::new(), keeper: keeper.clone() }, keeper)
    }

    async fn many<T>(
        &self,
        operation: Operation,
        keys: Vec<SessionKey>,
        work: impl Future<Output = Vec<Result<T>>>,
    ) -> Vec<Result<T>> {
        self.through(Call { operation, keys, single: false }, work).await
    }

    async fn one<T>(
        &self,
        operation: Operation,
        key: SessionKey,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let call = Call { operation, keys: vec![key], single: true };
        self.through(call, async { vec![work.await] }).await.pop().expect("one")
    }

    async fn through<T>(&self, call: Call, work: impl Future<Output = Vec<Result<T>>>) -> Vec<Result<T>> {
        let Keeper(state) = &self.keeper;
        let _visit = state.inside.enter(&call);
        state.calls.send_modify(|calls| calls.push(call.clone()));
        state.passes.acquire().await.expect("never closed").forget();
        let plan = state.plans.lock().pop_front();
        match plan {
            None => work.await,
            Some(Plan::Panic) => panic!("as planned"),
            Some(Plan::Fail) => {
                call.keys.iter().map(|_| Err(Error::unavailable(call.operation, true))).collect()
            }
            Some(Plan::Miscount) => work.await.into_iter().skip(1).collect(),
        }
    }
}

impl Keeper {
    /// Admits this many calls, waiting or future ones.
    pub(crate) fn admit(&self, calls: usize) {
        self.0.passes.add_permits(calls);
    }

    /// Admits all calls from now on.
    pub(crate) fn open(&self) {
        self.admit(1 << 40);
    }

    /// Sets what the next admitted call does.
    pub(crate) fn plan(&self, plan: Plan) {
        self.0.plans.lock().push_back(plan);
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.calls.borrow().clone()
    }

    /// Waits for the call with this number, counted from one, and returns it.
    pub(crate) async fn call(&self, number: usize) -> Call {
        let mut calls = self.0.calls.subscribe();
        let calls = calls.wait_for(|calls| calls.len() >= number).await.expect("the gate is there");
        calls[number - 1].clone()
    }

    /// The most calls of one kind of operation that were in flight at the same time.
    pub(crate) fn most_calls(&self) -> usize {
        self.0.inside.most_calls()
    }

    /// How often a key was written by two calls in flight.
    pub(crate) fn shared_keys(&self) -> usize {
        self.0.inside.shared_keys()
    }
}

#[async_trait]
impl SessionStore for Gate {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.one(Operation::Read, *key, self.store.read(key)).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.one(Operation::Write, *key, self.store.write(key, write, when)).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.one(Operation::Touch, *key, self.store.touch(key, ttl)).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.one(Operation::Delete, *key, self.store.delete(key, expected)).await
    }

    async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        self.many(Operation::Read, keys.to_vec(), self.store.read_many(keys)).await
    }

    async fn write_many(&self, items: &[WriteItem]) -> Vec<Result<WriteOutcome>> {
        let keys = items.iter().map(|item| item.key).collect();
        self.many(Operation::Write, keys, self.store.write_many(items)).await
    }

    async fn touch_many(&self, items: &[TouchItem]) -> Vec<Result<bool>> {
        let keys = items.iter().map(|item| item.key).collect();
        self.many(Operation::Touch, keys, self.store.touch_many(items)).await
    }

    async fn delete_many(&self, items: &[DeleteItem]) -> Vec<Result<DeleteOutcome>> {
        let keys = items.iter().map(|item| item.key).collect();
        self.many(Operation::Delete, keys, self.store.delete_many(items)).await
    }

    async fn close(&self) -> Result<()> {
        let call = Call { operation: Operation::Close, keys: Vec::new(), single: true };
        self.keeper.0.calls.send_modify(|calls| calls.push(call));
        Ok(())
    }
}
