use redis::{Value, cmd};
use session_core::{Operation, Record, Result, SessionKey};
use tokio::time::Instant;

use crate::{
    core::Core,
    errors::{refused, unexpected},
    record::decode,
    request::{Answer, Request, Route},
};

/// The maximum number of keys in one round trip.
const MAX_KEYS: usize = 1_024;

impl Core {
    pub(crate) async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        let answer = self.one(Operation::Read, self.reading(key), true).await;
        let read = answer.and_then(|answer| found(Operation::Read, answer));
        self.note_owner(key, &read);
        read
    }

    fn note_owner(&self, key: &SessionKey, read: &Result<Option<Record>>) {
        if let Ok(Some(Record { owner: Some(owner), .. })) = read {
            self.owners_seen.note(key, owner);
        }
    }

    pub(crate) async fn read_many(&self, keys: &[SessionKey]) -> Vec<Result<Option<Record>>> {
        let mut results = Vec::with_capacity(keys.len());
        let until = self.until();
        for part in keys.chunks(MAX_KEYS) {
            if let [key] = part {
                results.push(self.read(key).await);
            } else if self.topology.is_cluster() {
                results.append(&mut self.read_each(part, until).await);
            } else {
                results.append(&mut self.read_at_once(part, until).await);
            }
        }
        for (key, read) in keys.iter().zip(&results) {
            self.note_owner(key, read);
        }
        results
    }

    /// Sends one command per key. In Cluster there is no other way, unless all keys share a slot.
    async fn read_each(&self, keys: &[SessionKey], until: Instant) -> Vec<Result<Option<Record>>> {
        let requests = keys.iter().map(|key| self.reading(key)).collect();
        let answers = self.many(Operation::Read, requests, true, until).await;
        answers.into_iter().map(|answer| found(Operation::Read, answer?)).collect()
    }

    /// Reads all keys with one command, which costs both sides less.
    ///
    /// `MGET` replies nil for a key that holds a value of another type, as for a missing key.
    /// `EXISTS`, sent in the same round trip, counts those keys, too. If the numbers differ, the
    /// keys with a nil reply are read one by one.
    async fn read_at_once(&self, keys: &[SessionKey], until: Instant) -> Vec<Result<Option<Record>>> {
        let (mut get, mut count) = (cmd("MGET"), cmd("EXISTS"));
        for key in keys {
            let name = self.namespace.session(key);
            get.arg(&name);
            count.arg(&name);
        }
        let requests = [get, count].map(|command| Request::question(Route::Shard(0), command)).into();
        let mut answers = self.many(Operation::Read, requests, true, until).await.into_iter();
        let (values, now, counted) = match (answers.next(), answers.next()) {
            (Some(Ok(Answer { value: Value::Array(values), now, .. })), Some(Ok(counted)))
                if values.len() == keys.len() =>
            {
                (values, now, counted.value)
            }
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                return keys.iter().map(|_| Err(error.clone())).collect();
            }
            _ => {
                return keys
                    .iter()
                    .map(|_| Err(unexpected(Operation::Read, "a value for each key")))
                    .collect();
            }
        };
        let there = values.iter().filter(|value| **value != Value::Nil).count();
        let missed: Vec<SessionKey> = if usize_of(&counted) == Some(there) {
            Vec::new()
        } else {
            keys.iter().zip(&values).filter(|(_, value)| **value == Value::Nil).map(|(key, _)| *key).collect()
        };
        if missed.is_empty() {
            return values.into_iter().map(|value| record(Operation::Read, value, now)).collect();
        }
        let mut again = self.read_each(&missed, until).await.into_iter();
        let one = |value| {
            if value == Value::Nil { again.next() } else { Some(record(Operation::Read, value, now)) }
        };
        values
            .into_iter()
            .map(one)
            .map(|result| result.unwrap_or_else(|| Err(unexpected(Operation::Read, "there"))))
            .collect()
    }

    /// The request that reads one key.
    pub(crate) fn reading(&self, key: &SessionKey) -> Request {
        let mut command = cmd("GET");
        command.arg(self.namespace.session(key));
        Request::question(Route::Shard(key.shard()), command)
    }
}

fn found(operation: Operation, answer: Answer) -> Result<Option<Record>> {
    record(operation, answer.value, answer.now)
}

fn usize_of(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// The live record in a reply.
pub(crate) fn record(operation: Operation, value: Value, now: u64) -> Result<Option<Record>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(raw) => decode(operation, raw, now),
        Value::ServerError(error) => Err(refused(operation, &error)),
        _ => Err(unexpected(operation, "a record")),
    }
}
