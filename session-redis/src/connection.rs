use std::{fmt, sync::Arc};

use redis::{
    AsyncConnectionConfig, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisResult, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
};

use crate::no_connection::NoConnection;

/// A connection that is logged in, and the task that moves its bytes. The task ends with the last
/// clone.
#[derive(Clone)]
pub(crate) struct Connection {
    connection: MultiplexedConnection,
    _driver: Arc<Driver>,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Called when the server pushes a message, or when the driver finds the connection broken.
pub(crate) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

impl Connection {
    /// Hands a logged-in stream over to the driver, which selects the database.
    pub(crate) async fn over<S>(stream: S, database: u32, unasked: PushHandler) -> Result<Self, NoConnection>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let info =
            RedisConnectionInfo::default().set_db(database.into()).set_protocol(ProtocolVersion::RESP3);
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(move |info| {
            unasked(info);
            Ok::<(), ()>(())
        });
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = opened.map_err(|error| match error.detail() {
            // The server's message about the database.
            Some(said) => NoConnection::Refused { code: "ERR".to_owned(), said: said.to_owned() },
            None => NoConnection::Driver(error),
        })?;
        Ok(Self { connection, _driver: Arc::new(Driver(tokio::spawn(driver))) })
    }

    /// Sends all commands at once. An error means that there was no answer.
    pub(crate) async fn send(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.connection.clone().send_packed_commands(commands, 0, commands.len()).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
