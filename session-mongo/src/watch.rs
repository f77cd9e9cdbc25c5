use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use mongodb::{
    bson::{Document, RawBsonRef, RawDocumentBuf, doc},
    change_stream::{ChangeStream, event::ResumeToken},
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::ReadConcern,
};
use parking_lot::Mutex;
use session_backend::event_stream;
use session_core::{Error, Event, EventStream, Operation, Result, Version};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    connection::{Connection, Connections},
    core::Core,
    errors::{closed, failed, failure, late},
    record, server,
};

/// Receives changes by a change stream, while there are listeners.
pub(crate) struct Watching {
    connections: Arc<Connections>,
    /// Whether the store talks to one member that can become a secondary, and the driver does not
    /// turn to another one then.
    one_member: bool,
    capacity: usize,
    ear: Mutex<Weak<Ear>>,
}

/// The state that all listeners of one store share. It is dropped with the last of them.
#[derive(Debug)]
struct Ear {
    events: broadcast::Sender<Event>,
    /// Whether the stream is open.
    whole: watch::Receiver<bool>,
    /// Why the stream could not be opened the last time.
    trouble: Arc<Mutex<Option<DriverError>>>,
    /// Ends the task when it is dropped, between two uses of the driver.
    #[allow(dead_code, reason = "dropping it is what ends the task")]
    needed: watch::Sender<()>,
}

/// The pause before the stream is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the server waits for a change before it reports that there was none.
const AWAIT: Duration = Duration::from_secs(1);

/// Longer than a server and a network take to report that there was no change.
const SILENCE: Duration = Duration::from_secs(3);

impl Watching {
    pub(crate) fn new(connections: Arc<Connections>, one_member: bool, capacity: usize) -> Self {
        Self { connections, one_member, capacity, ear: Mutex::default() }
    }

    fn ear(&self) -> Arc<Ear> {
        let mut place = self.ear.lock();
        if let Some(ear) = place.upgrade() {
            return ear;
        }
        let events = broadcast::Sender::new(self.capacity);
        let (whole, needed) = (watch::Sender::new(false), watch::Sender::new(()));
        let (whole_seen, trouble, ends) = (whole.subscribe(), Arc::default(), needed.subscribe());
        let hearing = Hearing {
            connections: Arc::clone(&self.connections),
            one_member: self.one_member,
            events: events.clone(),
            whole,
            trouble: Arc::clone(&trouble),
            token: None,
        };
        tokio::spawn(hearing.listen(ends));
        let ear = Arc::new(Ear { events, whole: whole_seen, trouble, needed });
        *place = Arc::downgrade(&ear);
        ear
    }
}

impl Core {
    pub(crate) async fn subscribe(&self) -> Result<EventStream> {
        let operation = Operation::Watch;
        let _open = self.begin(operation).await?;
        let Some(watching) = &self.watching else {
            return Err(Error::new(session_core::ErrorKind::Unsupported, operation)
                .because("a standalone server has no change streams; a replica set of one member has"));
        };
        let ear = watching.ear();
        let events = ear.events.subscribe();
        let mut whole = ear.whole.clone();
        let armed = async { whole.wait_for(|whole| *whole).await.is_ok() };
        if !matches!(timeout_at(self.until(), armed).await, Ok(true)) {
            let trouble = ear.trouble.lock().clone();
            let Some(trouble) = trouble else { return Err(late(operation, false)) };
            let failure = failure(&trouble, 1);
            let reason = format!("the change stream cannot be opened: {}", trouble.kind);
            return Err(failed(operation, failure, false, trouble).because(reason));
        }
        let ended = self.closed.subscribe();
        if *ended.borrow() {
            return Err(closed(operation));
        }
        Ok(event_stream(events, ended, ear))
    }
}

/// The task that receives events from the server.
struct Hearing {
    connections: Arc<Connections>,
    one_member: bool,
    events: broadcast::Sender<Event>,
    whole: watch::Sender<bool>,
    trouble: Arc<Mutex<Option<DriverError>>>,
    /// Where the next stream resumes.
    token: Option<ResumeToken>,
}

/// Why a stream has ended.
enum End {
    /// The history after the token is lost, or the collection is another one: some changes will
    /// never be reported.
    Lost,
    /// The connection was lost. The next stream can resume where this one ended.
    Broken,
    NotNeeded,
}

impl Hearing {
    /// Watches until there are no listeners. Uses of the driver are not dropped half-way.
    async fn listen(mut self, needed: watch::Receiver<()>) {
        let is_needed = || needed.has_changed().is_ok();
        let mut begun = false;
        while is_needed() {
            match self.open().await {
                Ok(mut stream) => {
                    if begun {
                        // The changes in the gap follow, unless they are lost. Either way,
                        // listeners that were told of the gap must learn that it is over.
                        self.tell(Event::Missed);
                    }
                    begun = true;
                    self.token = stream.resume_token();
                    self.whole.send_replace(true);
                    let end = self.hear(&mut stream, &is_needed).await;
                    self.whole.send_replace(false);
                    match end {
                        End::NotNeeded => return,
                        End::Lost => self.token = None,
                        End::Broken => {}
                    }
                    self.tell(Event::Interrupted);
                }
                Err(error) => {
                    tracing::debug!(%error, "the change stream cannot be opened");
                    *self.trouble.lock() = Some(error.clone());
                    if is_lost(&error) {
                        self.token = None;
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    fn tell(&self, event: Event) {
        // An error means that there is no listener; that is no failure.
        let _ = self.events.send(event);
    }

    async fn open(&self) -> Result<ChangeStream<RawDocumentBuf>, DriverError> {
        let connection = self.connections.current();
        let opened = async {
            self.check_role(&connection).await?;
            let watch = connection.primary.watch().pipeline([parts()]).max_await_time(AWAIT);
            // Changes that a failover can undo are not reported.
            let watch = watch.read_concern(ReadConcern::majority()).resume_after(self.token.clone());
            Ok(watch.await?.with_type())
        };
        let opened = opened.await;
        if let Err(error) = &opened
            && let Err(error) = self.connections.renewed(&connection, error).await
        {
            tracing::debug!(%error, "there are no credentials for the change stream");
        }
        opened
    }

    /// Fails if the only server that is asked is not the primary, because a secondary reports
    /// changes only when they have reached it.
    async fn check_role(&self, connection: &Connection) -> Result<(), DriverError> {
        if !self.one_member || server::is_primary(&server::hello(connection.database.clone()).await?) {
            return Ok(());
        }
        Err(DriverError::custom("the server is not the primary of its replica set"))
    }

    async fn hear(
        &mut self,
        stream: &mut ChangeStream<RawDocumentBuf>,
        is_needed: &impl Fn() -> bool,
    ) -> End {
        let mut checked = Instant::now();
        loop {
            let change = self.next(stream).await;
            if !is_needed() {
                return End::NotNeeded;
            }
            if self.one_member && checked.elapsed() >= AWAIT {
                if let Err(error) = self.check_role(&self.connections.current()).await {
                    tracing::debug!(%error, "the change stream is given up");
                    return End::Broken;
                }
                checked = Instant::now();
            }
            match change {
                Ok(Some(change)) => {
                    self.token = stream.resume_token();
                    match event(&change) {
                        Some(event) => self.tell(event),
                        None => return End::Lost,
                    }
                }
                Ok(None) if stream.is_alive() => self.token = stream.resume_token(),
                Ok(None) => return End::Broken,
                Err(error) => {
                    tracing::debug!(%error, "the change stream broke");
                    return if is_lost(&error) { End::Lost } else { End::Broken };
                }
            }
        }
    }
}

impl Hearing {
    /// The next change, or `None` if there was none for a while. If the server is silent for longer
    /// than it should be, listeners are told of a gap, because the connection may be dead.
    async fn next(
        &self,
        stream: &mut ChangeStream<RawDocumentBuf>,
    ) -> Result<Option<RawDocumentBuf>, DriverError> {
        let mut next = pin!(stream.next_if_any());
        if let Ok(change) = timeout(SILENCE, &mut next).await {
            return change;
        }
        self.tell(Event::Interrupted);
        let change = next.await;
        if change.is_ok() {
            self.tell(Event::Missed);
        }
        change
    }
}

/// The parts of a change that are needed, without the data: the key, the new version if there is
/// one, and whether the document has lost its data.
fn parts() -> Document {
    doc! { "$project": {
        "operationType": 1,
        "documentKey": 1,
        "v": { "$ifNull": ["$fullDocument.v", "$updateDescription.updatedFields.v"] },
        "deleted": { "$or": [
            { "$in": ["d", { "$ifNull": ["$updateDescription.removedFields", []] }] },
            { "$and": [
                { "$ne": [{ "$type": "$fullDocument" }, "missing"] },
                { "$eq": [{ "$type": "$fullDocument.d" }, "missing"] },
            ] },
        ] },
    } }
}

/// The event of a change, or `None` if there will be no more: the collection was dropped or
/// renamed.
fn event(change: &RawDocumentBuf) -> Option<Event> {
    let kind = change.get_str("operationType").unwrap_or_default();
    if matches!(kind, "drop" | "rename" | "dropDatabase" | "invalidate") {
        return None;
    }
    let Some(key) = change.get_document("documentKey").ok().and_then(record::key) else {
        return Some(Event::Missed);
    };
    let version = match change.get("v") {
        Ok(Some(RawBsonRef::Binary(version))) => version.bytes.try_into().ok().map(Version::from_bytes),
        _ => None,
    };
    Some(match kind {
        // This store's deletions leave a document without data, so only the sweeper removes one.
        "delete" => Event::Expired { key },
        _ if change.get_bool("deleted").unwrap_or_default() => Event::Deleted { key },
        _ => Event::Changed { key, version },
    })
}

/// Whether the stream cannot resume: the oplog no longer reaches back, or the token is of another
/// collection.
fn is_lost(error: &DriverError) -> bool {
    match &*error.kind {
        DriverKind::Command(refusal) => matches!(refusal.code, 260 | 280 | 286),
        DriverKind::MissingResumeToken => true,
        _ => false,
    }
}
