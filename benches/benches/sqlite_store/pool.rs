use std::{path::Path, time::Duration};

use benches::callers;
use session_core::Version;
use sqlx::{
    Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

const TABLE: &str = "CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY, version BLOB NOT NULL, data BLOB NOT NULL, expires INTEGER NOT NULL)";

const INSERT: &str = "INSERT INTO sessions VALUES (?, ?, ?, unixepoch() + ?)";

const SELECT: &str = "SELECT version, data, expires FROM sessions WHERE id = ? AND expires > unixepoch()";

const UPDATE: &str = "UPDATE sessions SET version = ?, data = ?, expires = unixepoch() + ?
    WHERE id = ? AND version = ? AND expires > unixepoch()";

/// The driver's pool, as most programs use it: a query for each operation.
pub(crate) struct Pool {
    name: &'static str,
    connections: SqlitePool,
    sessions: Sessions,
}

impl Pool {
    pub(crate) async fn open(
        name: &'static str,
        path: &Path,
        connections: Option<u32>,
        sessions: &Sessions,
    ) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(30));
        let mut pool = SqlitePoolOptions::new();
        if let Some(connections) = connections {
            pool = pool.max_connections(connections);
        }
        let (pool, sessions) = (pool.connect_with(options).await.expect("it opens"), sessions.again());
        sqlx::query(TABLE).execute(&pool).await.expect("a table");
        let mut transaction = pool.begin().await.expect("a transaction");
        for (session, key) in (0..).zip(sessions.keys()) {
            let version = sessions.version(session);
            sqlx::query(INSERT)
                .bind(&key.as_bytes()[..])
                .bind(&version.as_bytes()[..])
                .bind(&data()[..])
                .bind(seconds())
                .execute(&mut *transaction)
                .await
                .expect("it is written");
        }
        transaction.commit().await.expect("it is committed");
        Self { name, connections: pool, sessions }
    }
}

fn seconds() -> i64 {
    i64::try_from(ttl().as_millis() / 1_000).expect("an hour")
}

impl Candidate for Pool {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (pool, sessions) = (self.connections.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (pool, sessions) = (pool.clone(), sessions.clone());
            async move {
                let key = &sessions.keys()[sessions.at_random(number)];
                let query = sqlx::query(SELECT).bind(&key.as_bytes()[..]);
                let row = query.fetch_optional(&pool).await.expect("it answers").expect("it is there");
                let (version, data): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(1));
                assert_eq!((version.len(), data.len()), (16, 400));
            }
        }))
    }

    fn write(&self, callers: usize, operations: usize) -> Running {
        let (pool, sessions) = (self.connections.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (pool, sessions) = (pool.clone(), sessions.clone());
            async move {
                let session = sessions.in_turn(number);
                let (version, expected) = (Version::random(), sessions.version(session));
                let written = sqlx::query(UPDATE)
                    .bind(&version.as_bytes()[..])
                    .bind(&data()[..])
                    .bind(seconds())
                    .bind(&sessions.keys()[session].as_bytes()[..])
                    .bind(&expected.as_bytes()[..])
                    .execute(&pool)
                    .await
                    .expect("it answers");
                assert_eq!(written.rows_affected(), 1);
                sessions.set_version(session, version);
            }
        }))
    }
}
