use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use data_encoding::BASE64;
use parking_lot::Mutex;
use session_backend::event_stream;
use session_core::{
    Error, ErrorKind, Event, EventStream, Operation, Result, SessionKey, Version, Watch, async_trait,
};
use sqlx::{
    PgConnection, PgPool, Row, SqlStr,
    postgres::{PgConnectOptions, PgListener},
    raw_sql,
};
use tokio::{
    sync::{broadcast, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    dialect::Postgres,
    statements::{CHANGED, DELETED, EXPIRED, NEWS_LEN},
};
use crate::server::{Connector, Core, Job, SqlBackend, SqlResult, closed};

/// Receives changes by `LISTEN`, on one connection, as long as there are listeners.
#[derive(Debug)]
pub(crate) struct Listening {
    /// A pool of one connection, or the application's pool.
    pub(super) pool: PgPool,
    /// The login of that connection; `None` if the pool is the application's.
    pub(super) connector: Option<Connector<PgConnectOptions>>,
    pub(super) channel: String,
    pub(super) capacity: usize,
    /// Makes all writers of the table report their changes, if they do not yet.
    pub(super) switch_on: SqlStr,
    /// Waits for the writers that began before that.
    pub(super) wait_for_writers: SqlStr,
    pub(super) ear: Mutex<Weak<Ear>>,
}

/// What all listeners of one store share. Dropped with the last of them.
#[derive(Debug)]
pub(crate) struct Ear {
    events: broadcast::Sender<Event>,
    hearing: watch::Receiver<Heard>,
    task: AbortHandle,
}

/// Which of the changes that are made now are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// None are received, because there is no connection.
    Unconnected,
    /// None are received, although there is a connection.
    Nothing,
    /// All of them are received.
    All,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The pause before a reconnect.
const PAUSE: Duration = Duration::from_millis(100);

/// Idle time before a keep-alive query, and the timeout of that query.
const SILENCE: Duration = Duration::from_secs(2);

/// Sends a notification on a channel that nothing else uses.
#[derive(Debug)]
struct Notify(String);

impl Job<Postgres> for Notify {
    type Outcome = ();
    const OPERATION: Operation = Operation::Watch;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<Postgres>, connection: &mut PgConnection) -> SqlResult<()> {
        let notify = sqlx::query("SELECT pg_notify($1, '')").bind(&self.0);
        core.dialect.session.rows(connection, notify).await.map(drop)
    }
}

/// Reads the id of the server process behind a connection.
#[derive(Debug)]
struct Backend;

/// How often the listening connection is compared with others before it is considered our own.
const LOOKS: usize = 8;

impl Job<Postgres> for Backend {
    type Outcome = i32;
    const OPERATION: Operation = Operation::Watch;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<Postgres>, connection: &mut PgConnection) -> SqlResult<i32> {
        core.dialect.session.row(connection, sqlx::query(BACKEND)).await?.try_get(0)
    }
}

const BACKEND: &str = "SELECT pg_backend_pid()";

/// Sets the flag in the schema table that makes writers report their changes. It takes effect in
/// all processes at once, because each statement reads it.
#[derive(Debug)]
struct SwitchOn;

impl Job<Postgres> for SwitchOn {
    type Outcome = ();
    const OPERATION: Operation = Operation::Watch;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<Postgres>, connection: &mut PgConnection) -> SqlResult<()> {
        let listening = &core.dialect.listening;
        let session = &core.dialect.session;
        let on = session.rows(connection, sqlx::query(listening.switch_on.clone())).await?;
        let was_off = on.iter().any(|row| row.try_get(0).unwrap_or(false));
        if was_off {
            let mut transaction = session.begin(connection).await?;
            match raw_sql(listening.wait_for_writers.clone()).execute(&mut *transaction).await {
                Ok(_) => transaction.commit().await?,
                Err(error) => {
                    transaction.rollback().await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Listening {
    /// A copy without listeners.
    pub(super) fn again(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            connector: self.connector.clone(),
            channel: self.channel.clone(),
            capacity: self.capacity,
            switch_on: self.switch_on.clone(),
            wait_for_writers: self.wait_for_writers.clone(),
            ear: Mutex::default(),
        }
    }

    fn ear(&self, core: &Arc<Core<Postgres>>) -> Arc<Ear> {
        let mut place = self.ear.lock();
        if let Some(ear) = place.upgrade() {
            return ear;
        }
        let events = broadcast::Sender::new(self.capacity);
        let (sender, hearing) = watch::channel(Heard::Unconnected);
        let task = Hearing {
            core: Arc::downgrade(core),
            pool: self.pool.clone(),
            connector: self.connector.clone(),
            channel: self.channel.clone(),
            events: events.clone(),
            heard: sender,
            deadline: core.deadline,
        };
        let task = tokio::spawn(task.listen()).abort_handle();
        let ear = Arc::new(Ear { events, hearing, task });
        *place = Arc::downgrade(&ear);
        ear
    }

    /// Tells the listeners that changes may have been made, or undone, without an event.
    pub(super) fn missed(&self) {
        let Some(ear) = self.ear.lock().upgrade() else { return };
        // The borrow is held during the send. After an interruption, this event would say that all
        // changes are received again.
        let heard = ear.hearing.borrow();
        if *heard == Heard::All {
            let _ = ear.events.send(Event::Missed);
        }
    }
}

#[async_trait]
impl Watch for SqlBackend<Postgres> {
    async fn subscribe(&self) -> Result<EventStream> {
        let operation = Operation::Watch;
        let core = &self.core;
        core.run(SwitchOn).await?;
        let ear = core.dialect.listening.ear(core);
        let events = ear.events.subscribe();
        let mut hearing = ear.hearing.clone();
        let armed = timeout(core.deadline, hearing.wait_for(|heard| *heard != Heard::Unconnected)).await;
        match armed.map(|armed| armed.map(|heard| *heard)) {
            Ok(Ok(Heard::All)) => {}
            Ok(Ok(Heard::Nothing)) => {
                return Err(Error::new(ErrorKind::Config, operation).because(
                    "the server takes `LISTEN`, and no notification arrives: a pooler gives each transaction another connection; connect \
                     past it, or through one in session mode, or do without a watch",
                ));
            }
            _ => {
                return Err(Error::unavailable(operation, false).because("the server does not let us listen"));
            }
        }
        let ended = core.closed.subscribe();
        if *ended.borrow() {
            return Err(closed(operation));
        }
        Ok(event_stream(events, ended, ear))
    }
}

/// The task that listens.
struct Hearing {
    core: Weak<Core<Postgres>>,
    pool: PgPool,
    connector: Option<Connector<PgConnectOptions>>,
    channel: String,
    events: broadcast::Sender<Event>,
    heard: watch::Sender<Heard>,
    deadline: Duration,
}

impl Hearing {
    /// Listens until the task is aborted. Changes may go unreported between the loss of a
    /// connection and the next one, so the listeners are told of both moments.
    async fn listen(self) {
        let mut begun = false;
        loop {
            match timeout(self.deadline, self.connect()).await {
                Ok(Ok(Some(mut listener))) => {
                    self.heard.send_modify(|heard| {
                        if begun {
                            // Having no listener is not an error.
                            let _ = self.events.send(Event::Missed);
                        }
                        *heard = Heard::All;
                    });
                    begun = true;
                    self.hear(&mut listener).await;
                    self.heard.send_modify(|heard| {
                        let _ = self.events.send(Event::Interrupted);
                        *heard = Heard::Unconnected;
                    });
                }
                Ok(Ok(None)) => drop(self.heard.send_replace(Heard::Nothing)),
                _ => {}
            }
            sleep(PAUSE).await;
        }
    }

    /// Opens a connection, and proves that it receives a notification which another connection
    /// sends. Returns `None` if it receives nothing.
    async fn connect(&self) -> SqlResult<Option<PgListener>> {
        let gone = |error: Error| sqlx::Error::AnyDriverError(Box::new(error));
        let Some(core) = self.core.upgrade() else { return Err(sqlx::Error::PoolClosed) };
        if let Some(connector) = &self.connector {
            self.pool.set_connect_options(connector.options().await?);
        }
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        if core.dialect.session.is_lent() && !is_kept(&core, &mut listener).await? {
            return Ok(None);
        }
        let proof = format!("session_store_proof_{:032x}", rand::random::<u128>());
        listener.listen_all([&*self.channel, &*proof]).await?;
        core.run(Notify(proof.clone())).await.map_err(gone)?;
        drop(core);
        let proven = async {
            loop {
                match listener.try_recv().await? {
                    Some(news) if news.channel() == proof => return Ok(()),
                    // This change was made before the subscription promises anything.
                    Some(_) => {}
                    None => return Err(sqlx::Error::PoolClosed),
                }
            }
        };
        match timeout(self.deadline / 3, proven).await {
            Ok(proven) => proven.map(|()| Some(listener)),
            Err(_silence) => Ok(None),
        }
    }

    /// Listens on one connection until it breaks.
    async fn hear(&self, listener: &mut PgListener) {
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(news))) if news.channel() == self.channel => self.report(news.payload()),
                Ok(Ok(Some(_proof))) => {}
                Ok(Ok(None) | Err(_)) => return,
                Err(_silence) => {
                    let alive = timeout(SILENCE, raw_sql("SELECT 1").execute(&mut *listener)).await;
                    if !matches!(alive, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    fn report(&self, news: &str) {
        for news in news.as_bytes().chunks(NEWS_LEN) {
            // A notification that is not ours comes from another sender and may mean anything.
            let _ = self.events.send(event(news).unwrap_or(Event::Missed));
        }
    }
}

/// Returns true if a pooler keeps a server connection for us between transactions. If it does not,
/// `LISTEN` would send our notifications to other clients that the connection is lent to, and some
/// drivers treat those as a breach of the protocol.
///
/// A pooler that does not may still give both clients the connections that they had before: by
/// chance, or always if it alternates between two. So the other client asks once and twice in turn,
/// and a chance of one half would have to come true twenty times.
async fn is_kept(core: &Arc<Core<Postgres>>, listener: &mut PgListener) -> SqlResult<bool> {
    let gone = |error: Error| sqlx::Error::AnyDriverError(Box::new(error));
    let mut ours = None;
    for look in 0..LOOKS {
        let backend: i32 = raw_sql(BACKEND).fetch_one(&mut *listener).await?.try_get(0)?;
        if ours.is_some_and(|ours| ours != backend) {
            return Ok(false);
        }
        ours = Some(backend);
        for _ in 0..=look % 2 {
            if core.run(Backend).await.map_err(gone)? == backend {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// One change of a notification: its kind, the key, and the version.
fn event(news: &[u8]) -> Option<Event> {
    let bytes = BASE64.decode(news).ok()?;
    let (kind, rest) = bytes.split_first()?;
    let (key, rest) = rest.split_at_checked(SessionKey::LEN)?;
    let key = SessionKey::try_from(key).ok()?;
    let version = rest.first_chunk().copied().map(Version::from_bytes);
    match *kind {
        CHANGED => Some(Event::Changed { key, version }),
        DELETED => Some(Event::Deleted { key }),
        EXPIRED => Some(Event::Expired { key }),
        _ => None,
    }
}
