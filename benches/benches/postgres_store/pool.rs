use benches::callers;
use session_core::Version;
use sqlx::{PgPool, Row};

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

const TABLE: &str = "CREATE TABLE plain (
    id bytea NOT NULL PRIMARY KEY, version bytea NOT NULL, data bytea NOT NULL, expires timestamptz NOT NULL)";

const INSERT: &str = "INSERT INTO plain VALUES ($1, $2, $3, now() + $4 * interval '1 second')";

const SELECT: &str = "SELECT version, data, expires > now() FROM plain WHERE id = $1 AND expires > now()";

const UPDATE: &str = "UPDATE plain SET version = $1, data = $2, expires = now() + $3 * interval '1 second'
    WHERE id = $4 AND version = $5 AND expires > now()";

/// The driver's pool with its defaults, as most programs use it: a query for each operation.
pub(crate) struct Pool {
    connections: PgPool,
    sessions: Sessions,
}

impl Pool {
    pub(crate) async fn open(url: &str, sessions: &Sessions) -> Self {
        let (pool, sessions) = (PgPool::connect(url).await.expect("it connects"), sessions.again());
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
        Self { connections: pool, sessions }
    }
}

fn seconds() -> i64 {
    i64::try_from(ttl().as_millis() / 1_000).expect("an hour")
}

impl Candidate for Pool {
    fn name(&self) -> &'static str {
        "sqlx's pool"
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
