use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use data_encoding::BASE64;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use session_core::{Error, Event, EventStream, Operation, Result, SessionKey, Version, Watch, async_trait};
use sqlx::{
    Connection as _, PgConnection, PgPool, Row, SqlStr,
    postgres::{PgConnectOptions, PgListener},
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
use crate::server::{Connector, Core, Direct, Job, SqlResult, closed};

/// Hears of changes by `LISTEN`, on one connection, as long as anybody listens.
#[derive(Debug)]
pub(crate) struct Listening {
    /// Of one connection, or the application's.
    pub(super) pool: PgPool,
    /// The login of that connection, unless the pool is the application's.
    pub(super) connector: Option<Connector<PgConnectOptions>>,
    pub(super) channel: String,
    pub(super) capacity: usize,
    /// Makes all writers of the table tell of their changes, if they do not yet.
    pub(super) switch_on: SqlStr,
    /// Waits for those that began before.
    pub(super) wait_for_writers: SqlStr,
    pub(super) ear: Mutex<Weak<Ear>>,
}

/// What all listeners of one store share. Goes with the last of them.
#[derive(Debug)]
pub(crate) struct Ear {
    events: broadcast::Sender<Event>,
    /// Whether the server is being listened to.
    whole: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The pause before a connection is made anew.
const PAUSE: Duration = Duration::from_millis(100);

/// After how much silence the server is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(2);

/// Has the schema say that writers tell of their changes. That concerns all processes at once, because each statement looks there.
#[derive(Debug)]
struct SwitchOn;

impl Job<Postgres> for SwitchOn {
    type Outcome = ();
    const OPERATION: Operation = Operation::Watch;
    const QUESTION: bool = true;

    async fn run(&self, core: &Core<Postgres>, connection: &mut PgConnection) -> SqlResult<()> {
        let listening = &core.dialect.listening;
        let on = sqlx::query(listening.switch_on.clone()).fetch_all(&mut *connection).await?;
        let was_off = on.iter().any(|row| row.try_get(0).unwrap_or(false));
        if was_off {
            let mut transaction = connection.begin().await?;
            sqlx::query(listening.wait_for_writers.clone()).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

impl Listening {
    /// The same, without listeners.
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

    fn ear(&self, deadline: Duration) -> Arc<Ear> {
        let mut place = self.ear.lock();
        if let Some(ear) = place.upgrade() {
            return ear;
        }
        let events = broadcast::Sender::new(self.capacity);
        let (whole, heard) = watch::channel(false);
        let hearing = Hearing {
            pool: self.pool.clone(),
            connector: self.connector.clone(),
            channel: self.channel.clone(),
            events: events.clone(),
            deadline,
        };
        let task = tokio::spawn(hearing.listen(whole)).abort_handle();
        let ear = Arc::new(Ear { events, whole: heard, task });
        *place = Arc::downgrade(&ear);
        ear
    }
}

#[async_trait]
impl Watch for Direct<Postgres> {
    async fn subscribe(&self) -> Result<EventStream> {
        let operation = Operation::Watch;
        let core = &self.core;
        core.run(SwitchOn).await?;
        let ear = core.dialect.listening.ear(core.deadline);
        let events = ear.events.subscribe();
        let mut whole = ear.whole.clone();
        let armed = timeout(core.deadline, whole.wait_for(|whole| *whole)).await;
        if !matches!(armed, Ok(Ok(_))) {
            return Err(Error::unavailable(operation, false).because("the server does not let us listen"));
        }
        let ended = core.closed.subscribe();
        if *ended.borrow() {
            return Err(closed(operation));
        }
        Ok(stream::unfold((events, ended, ear), |(mut events, mut ended, ear)| async move {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                // An error says that the last handle was dropped.
                _ = ended.wait_for(|closed| *closed) => return None,
            };
            let event = match event {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(_)) => Event::Missed,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((event, (events, ended, ear)))
        })
        .fuse()
        .boxed())
    }
}

/// The task that listens.
struct Hearing {
    pool: PgPool,
    connector: Option<Connector<PgConnectOptions>>,
    channel: String,
    events: broadcast::Sender<Event>,
    deadline: Duration,
}

impl Hearing {
    /// Listens until it is ended. Between the moment that a connection is lost and the moment that there is another, changes may go
    /// unreported, and both moments are told.
    async fn listen(self, whole: watch::Sender<bool>) {
        let mut begun = false;
        loop {
            if let Ok(Ok(mut listener)) = timeout(self.deadline, self.connect()).await {
                if begun {
                    // Nobody listening is no failure.
                    let _ = self.events.send(Event::Missed);
                }
                begun = true;
                whole.send_replace(true);
                self.hear(&mut listener).await;
                let _ = self.events.send(Event::Interrupted);
                whole.send_replace(false);
            }
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> SqlResult<PgListener> {
        if let Some(connector) = &self.connector {
            self.pool.set_connect_options(connector.options().await?);
        }
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        Ok(listener)
    }

    /// Listens on one connection until it breaks.
    async fn hear(&self, listener: &mut PgListener) {
        loop {
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(news))) => self.report(news.payload()),
                Ok(Ok(None) | Err(_)) => return,
                Err(_silence) => {
                    let alive = timeout(SILENCE, sqlx::query("SELECT 1").execute(&mut *listener)).await;
                    if !matches!(alive, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    fn report(&self, news: &str) {
        for news in news.as_bytes().chunks(NEWS_LEN) {
            // Somebody else has sent what is not ours: it may mean anything.
            let _ = self.events.send(event(news).unwrap_or(Event::Missed));
        }
    }
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
