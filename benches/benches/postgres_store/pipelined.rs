use std::sync::Arc;

use benches::callers;
use tokio_postgres::{Client, NoTls, Statement};

use crate::{
    candidate::{Candidate, Running},
    sessions::Sessions,
};

/// How many connections it has.
const CONNECTIONS: usize = 4;

/// A driver that sends a query before the one ahead of it is answered. It reads what the pool has written.
pub(crate) struct Pipelined {
    clients: Arc<Vec<(Client, Statement)>>,
    sessions: Sessions,
}

impl Pipelined {
    pub(crate) async fn open(url: &str, sessions: &Sessions) -> Self {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
            tokio::spawn(async move { drop(connection.await) });
            let query = "SELECT version, data, expires > now() FROM plain WHERE id = $1 AND expires > now()";
            let statement = client.prepare(query).await.expect("a statement");
            clients.push((client, statement));
        }
        Self { clients: Arc::new(clients), sessions: sessions.clone() }
    }
}

impl Candidate for Pipelined {
    fn name(&self) -> &'static str {
        "tokio-postgres, 4 pipelines"
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (clients, sessions) = (self.clients.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (clients, sessions) = (clients.clone(), sessions.clone());
            async move {
                let (client, statement) = &clients[number % CONNECTIONS];
                let key = &sessions.keys()[sessions.at_random(number)].as_bytes()[..];
                let row = client.query_one(statement, &[&key]).await.expect("it answers");
                let (version, data): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
                assert_eq!((version.len(), data.len()), (16, 400));
            }
        }))
    }

    fn write(&self, _: usize, _: usize) -> Running {
        unreachable!("it is only asked to read")
    }
}
