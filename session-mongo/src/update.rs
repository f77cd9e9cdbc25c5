use std::time::Duration;

use mongodb::{
    bson::{Document, RawArrayBuf, RawDocumentBuf, cstr, rawdoc},
    error::Error as DriverError,
    options::{Acknowledgment, WriteConcern},
};
use session_core::{Operation, Result};
use tokio::time::Instant;

use crate::{
    change::Change, connection::Connection, core::Core, record::binary, retryable_writes::RetryableWrites,
};

/// The server's answer to a command that it has carried out.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The statements that failed, in order: index, code and message.
    pub(crate) errors: Vec<(usize, i32, String)>,
    /// Why the changes are not as durable as required, if they are not.
    pub(crate) not_replicated: Option<String>,
    /// Whether the server has recognised statements as retries, and has not carried them out.
    pub(crate) recognised: bool,
}

type Sent = (Result<Answer, DriverError>, Option<RetryableWrites>);

impl Core {
    /// Sends one `update` command. With `session`, it is a retry with the number that it had.
    pub(crate) async fn update(
        &self,
        operation: Operation,
        connection: &Connection,
        statements: &[(usize, &Change)],
        session: Option<RetryableWrites>,
        until: Instant,
    ) -> Result<Sent> {
        let mut command = self.command(statements, until);
        let (database, sessions) = (connection.database.clone(), connection.retryable.clone());
        let mut numbers = RawArrayBuf::new();
        for (place, _) in statements {
            numbers.push(i32::try_from(*place).unwrap_or(i32::MAX));
        }
        self.on_a_task(operation, true, until, async move {
            let Some(sessions) = sessions else {
                return (database.run_raw_command(command).await.map(|reply| answer(&reply)), None);
            };
            let taken = match session {
                Some(session) => Ok(session),
                None => sessions.take().await,
            };
            let mut retryable = match taken {
                Ok(retryable) => retryable,
                Err(error) => return (Err(error), None),
            };
            let mut reply = Err(mongodb::error::Error::custom("the session is in use"));
            if let Some((session, number)) = retryable.parts() {
                command.append(cstr!("txnNumber"), number);
                command.append(cstr!("stmtIds"), numbers);
                reply = database.run_raw_command(command).session(session).await;
            }
            (reply.map(|reply| answer(&reply)), Some(retryable))
        })
        .await
    }

    fn command(&self, statements: &[(usize, &Change)], until: Instant) -> RawDocumentBuf {
        let mut updates = RawArrayBuf::new();
        for (_, change) in statements {
            updates.push(rawdoc! {
                // The key alone: any other condition here costs a third more of the server's time.
                "q": { "_id": binary(change.key.as_bytes()) },
                "u": [change.stage.clone()],
                "upsert": true,
            });
        }
        let left = millis(until.saturating_duration_since(Instant::now()));
        let mut command = rawdoc! { "update": self.collection.as_str() };
        command.append(cstr!("updates"), updates);
        command.append(cstr!("ordered"), false);
        command.append(cstr!("maxTimeMS"), left);
        command.append(cstr!("writeConcern"), concern(&self.write_concern, left));
        command
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// The write concern of each command, with a timeout of at most `left` milliseconds.
pub(crate) fn concern(concern: &WriteConcern, left: i64) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    match &concern.w {
        Some(Acknowledgment::Nodes(nodes)) => {
            document.append(cstr!("w"), i32::try_from(*nodes).unwrap_or(i32::MAX));
        }
        Some(Acknowledgment::Custom(name)) => document.append(cstr!("w"), name.as_str()),
        _ => document.append(cstr!("w"), "majority"),
    }
    if let Some(journal) = concern.journal {
        document.append(cstr!("j"), journal);
    }
    let timeout = concern
        .w_timeout
        .filter(|timeout| !timeout.is_zero())
        .map_or(left, |timeout| left.min(millis(timeout)));
    document.append(cstr!("wtimeout"), timeout);
    document
}

fn answer(reply: &Document) -> Answer {
    let mut errors: Vec<_> = reply
        .get_array("writeErrors")
        .map(|errors| {
            errors.iter().filter_map(|error| error.as_document()).filter_map(statement_error).collect()
        })
        .unwrap_or_default();
    errors.sort_unstable_by_key(|(index, ..)| *index);
    let not_replicated = reply.get_document("writeConcernError").ok();
    let recognised = reply.get_array("retriedStmtIds").is_ok_and(|numbers| !numbers.is_empty());
    Answer { errors, not_replicated: not_replicated.map(|error| words(error).to_owned()), recognised }
}

fn statement_error(error: &Document) -> Option<(usize, i32, String)> {
    let index = usize::try_from(error.get_i32("index").ok()?).ok()?;
    Some((index, error.get_i32("code").ok()?, words(error).to_owned()))
}

fn words(error: &Document) -> &str {
    error.get_str("errmsg").unwrap_or("the server does not say why")
}
