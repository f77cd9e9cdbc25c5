use redis::{Cmd, Value};
use session_core::{Operation, RenameOutcome, Result, SessionKey, Version, Write, WriteOutcome};

use crate::{
    core::Core,
    errors::unexpected,
    namespace::Namespace,
    request::{Answer, Idempotency, Request, Route, SlotMigration, evalsha},
    scripts::RENAME,
    write::{content, indexes, outcomes, told},
};

impl Core {
    /// Renames in one atomic step. In Cluster, both keys must have the same shard.
    pub(crate) async fn rename(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.check_len(Operation::Rename, &write)?;
        let (namespace, shard) = (self.namespace.clone(), self.topology.index_shard(old.shard()));
        let (old, new) = (*old, *new);
        let version = write.version;
        self.watching.own.begin([(new, version)]);
        // A rename that is carried out twice recognises itself by its version.
        let seen = self.owners_seen.of(&old);
        let request =
            Request::movable(Route::Shard(old.shard()), &RENAME, Idempotency::Repeatable, move |moving| {
                let named = indexes(&namespace, shard, moving, seen.as_ref(), &write.owner);
                renaming(&namespace, [&old, &new], &write, expected, shard, moving, named)
            });
        let request = request.about(old);
        let answer = self.one(Operation::Rename, request, false).await;
        let outcome = answer.and_then(outcome);
        if !matches!(outcome, Ok(RenameOutcome::Renamed)) {
            self.watching.own.end(&new, version);
        }
        outcome
    }
}

fn outcome(answer: Answer) -> Result<RenameOutcome> {
    if let Value::Array(parts) = &answer.value
        && parts.get(1) == Some(&Value::Int(2))
    {
        return if answer.doubt { Err(doubtful()) } else { Ok(RenameOutcome::Occupied) };
    }
    renamed(answer)
}

fn doubtful() -> session_core::Error {
    session_core::Error::unavailable(Operation::Rename, true).because("the reply was lost")
}

fn renamed(answer: Answer) -> Result<RenameOutcome> {
    let outcome = outcomes(Operation::Rename, answer, 1)?.pop();
    Ok(match outcome.ok_or_else(|| unexpected(Operation::Rename, "there"))?? {
        WriteOutcome::Written => RenameOutcome::Renamed,
        WriteOutcome::Conflict(current) => RenameOutcome::Conflict(current),
    })
}

fn renaming(
    namespace: &Namespace,
    keys: [&SessionKey; 2],
    write: &Write,
    expected: Version,
    shard: Option<u8>,
    moving: &SlotMigration,
    named: Vec<Vec<u8>>,
) -> Cmd {
    let mut command = evalsha(&RENAME, keys.len() + named.len());
    for key in keys {
        command.arg(namespace.session(key));
    }
    command.arg(named).arg(&namespace.sessions).arg(namespace.owners(shard)).arg(told(moving));
    command.arg(expected.as_bytes());
    content(&mut command, write);
    command
}
