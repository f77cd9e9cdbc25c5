use benches::callers;
use redis::{Client, aio::MultiplexedConnection, cmd};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// The driver with one multiplexed connection, as most programs use it.
pub(crate) struct Plain {
    connection: MultiplexedConnection,
    sessions: Sessions,
}

fn name(sessions: &Sessions, session: usize) -> String {
    format!("plain:{}", sessions.keys()[session])
}

impl Plain {
    pub(crate) async fn open(url: &str, sessions: &Sessions) -> Self {
        let client = Client::open(url).expect("a URL");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        for session in 0..sessions.keys().len() {
            let mut set = cmd("SET");
            set.arg(name(sessions, session)).arg(&data()[..]).arg("PX").arg(ttl().as_millis());
            set.query_async::<()>(&mut connection).await.expect("it is written");
        }
        Self { connection, sessions: sessions.clone() }
    }
}

impl Candidate for Plain {
    fn name(&self) -> &'static str {
        "redis-rs"
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (connection, sessions) = (self.connection.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (mut connection, sessions) = (connection.clone(), sessions.clone());
            async move {
                let name = name(&sessions, sessions.at_random(number));
                let found: Option<Vec<u8>> =
                    cmd("GET").arg(name).query_async(&mut connection).await.expect("it answers");
                assert!(found.is_some());
            }
        }))
    }

    fn write(&self, callers: usize, operations: usize) -> Running {
        let (connection, sessions) = (self.connection.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (mut connection, sessions) = (connection.clone(), sessions.clone());
            async move {
                let name = name(&sessions, sessions.in_turn(number));
                let mut set = cmd("SET");
                set.arg(name).arg(&data()[..]).arg("PX").arg(ttl().as_millis());
                set.query_async::<()>(&mut connection).await.expect("it answers");
            }
        }))
    }
}
