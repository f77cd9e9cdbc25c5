use redis::{Value, cmd};
use session_core::{Operation, Record, Result, SessionKey};

use crate::{
    core::Core,
    envelope::decode,
    errors::{refused, unexpected},
    request::{Answer, Request, To},
};

/// The most keys of one round trip.
const MAX_KEYS: usize = 1_024;

impl Core {
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.one(Operation::Read, self.reading(key), true)
            .await
            .and_then(|answer| found(Operation::Read, answer))
    }

    pub(crate) async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let mut results = Vec::with_capacity(keys.len());
        let until = self.until();
        for part in keys.chunks(MAX_KEYS) {
            let requests = part.iter().map(|key| self.reading(key)).collect();
            let answers = self.many(Operation::Read, requests, true, until).await;
            results.extend(answers.into_iter().map(|answer| found(Operation::Read, answer?)));
        }
        results
    }

    /// Not `MGET`, which cannot tell a value of another type from none.
    pub(crate) fn reading(&self, key: &SessionKey) -> Request {
        let mut command = cmd("GET");
        command.arg(self.namespace.session(key));
        Request::question(To::Shard(key.shard()), command)
    }
}

fn found(operation: Operation, answer: Answer) -> Result<Option<Record>> {
    record(operation, answer.value, answer.now)
}

/// The live record that a reply holds.
pub(crate) fn record(operation: Operation, value: Value, now: u64) -> Result<Option<Record>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(raw) => decode(operation, raw, now),
        Value::ServerError(error) => Err(refused(operation, &error)),
        _ => Err(unexpected(operation, "a record")),
    }
}
