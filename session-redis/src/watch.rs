use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value, pipe};
use session_backend::event_stream;
use session_core::{Error, ErrorKind, Event, EventStream, Operation, Result, SessionKey, Version};
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout, timeout_at},
};

use crate::{
    address::Address,
    cluster::Cluster,
    connection::Connection,
    connector::Connector,
    core::Core,
    errors::{Refusal, closed, refusal, sentence},
    namespace::Namespace,
    own_writes::OwnWrites,
    record::{HEAD, version_of_head},
    role::{Role, ask_role, role},
    sentinels::Sentinels,
};

/// Receives changes by the server's `CLIENT TRACKING`, on one connection to each primary, while
/// there are listeners.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) connector: Arc<Connector>,
    pub(crate) source: Source,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) capacity: usize,
    pub(crate) own: Arc<OwnWrites>,
    ear: Mutex<Weak<Ear>>,
}

/// Where the primaries are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Server(Address),
    Sentinels(Arc<Sentinels>),
    Cluster(Arc<Cluster>),
}

/// The state that all listeners of one store share. It is dropped with the last of them.
#[derive(Debug)]
struct Ear {
    events: broadcast::Sender<Event>,
    /// Whether all primaries are being watched.
    whole: watch::Receiver<bool>,
    /// The message of a server that does not allow the watch.
    refused: watch::Receiver<Option<String>>,
    own: Arc<OwnWrites>,
    task: AbortHandle,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
        self.own.want(false);
    }
}

/// The pause before a reconnect.
const PAUSE: Duration = Duration::from_millis(100);

/// The maximum number of record heads in one request.
const BATCH: usize = 128;

impl Watching {
    pub(crate) fn new(
        connector: Arc<Connector>,
        source: Source,
        keepalive: Option<Duration>,
        capacity: usize,
    ) -> Self {
        Self { connector, source, keepalive, capacity, own: Arc::default(), ear: Mutex::default() }
    }

    fn ear(&self, namespace: &Namespace) -> Arc<Ear> {
        let mut place = self.ear.lock();
        if let Some(ear) = place.upgrade() {
            return ear;
        }
        let events = broadcast::Sender::new(self.capacity);
        let whole = watch::Sender::new(false);
        let refused = watch::Sender::new(None);
        let hears_refusal = refused.subscribe();
        let hearing = Hearing {
            connector: Arc::clone(&self.connector),
            namespace: namespace.clone(),
            keepalive: self.keepalive,
            events: events.clone(),
            own: Arc::clone(&self.own),
            refused,
        };
        self.own.want(true);
        let (source, heard) = (self.source.clone(), whole.subscribe());
        let task = tokio::spawn(async move { hearing.listen(source, whole).await }).abort_handle();
        let ear =
            Arc::new(Ear { events, whole: heard, refused: hears_refusal, own: Arc::clone(&self.own), task });
        *place = Arc::downgrade(&ear);
        ear
    }
}

impl Core {
    pub(crate) async fn subscribe(&self) -> Result<EventStream> {
        let operation = Operation::Watch;
        let _open = self.begin(operation).await?;
        let ear = self.watching.ear(&self.namespace);
        let events = ear.events.subscribe();
        let mut whole = ear.whole.clone();
        let mut refused = ear.refused.clone();
        let armed = async {
            tokio::select! {
                biased;
                whole = whole.wait_for(|whole| *whole) => whole.map(drop).map_err(|_| closed(operation)),
                Ok(said) = refused.wait_for(Option::is_some) => Err(not_permitted(said.as_deref().unwrap_or_default())),
            }
        };
        timeout_at(self.until(), armed).await.unwrap_or_else(|_| {
            let reason = "the servers do not answer, so that their changes cannot be listened to";
            Err(Error::unavailable(operation, false).because(reason))
        })?;
        let ended = self.closed.subscribe();
        if *ended.borrow() {
            return Err(closed(operation));
        }
        Ok(event_stream(events, ended, ear))
    }
}

/// The error for a server that does not allow the watch.
fn not_permitted(said: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Watch).because(format!(
        "the server refuses CLIENT TRACKING, by which changes are heard; the user needs `+client|tracking`, or another server is needed, \
         if this one or a proxy before it has no such command: {said}"
    ))
}

/// The task that receives events from the servers.
#[derive(Clone, Debug)]
struct Hearing {
    connector: Arc<Connector>,
    namespace: Namespace,
    keepalive: Option<Duration>,
    events: broadcast::Sender<Event>,
    own: Arc<OwnWrites>,
    refused: watch::Sender<Option<String>>,
}

/// What the task that watches one primary reports.
#[derive(Debug)]
struct News {
    primary: String,
    armed: bool,
}

impl Hearing {
    /// Watches all primaries, also when they change. While at least one of them is not watched,
    /// changes may go unreported. Listeners are told when such a gap begins and when it ends.
    async fn listen(self, source: Source, whole: watch::Sender<bool>) {
        let (news, mut heard) = mpsc::unbounded_channel();
        let mut changes = match &source {
            Source::Cluster(cluster) => Some(cluster.changes()),
            _ => None,
        };
        let mut tasks: HashMap<String, (JoinSet<()>, bool)> = HashMap::new();
        let mut begun = false;
        loop {
            let primaries = source.primaries();
            let names: Vec<String> = primaries.iter().map(ToString::to_string).collect();
            tasks.retain(|name, _| names.contains(name));
            for primary in primaries {
                tasks.entry(primary.to_string()).or_insert_with(|| {
                    let mut task = JoinSet::new();
                    task.spawn(self.clone().hear(primary, news.clone()));
                    (task, false)
                });
            }
            let all = !tasks.is_empty() && tasks.values().all(|(_, armed)| *armed);
            if all != *whole.borrow() {
                if begun {
                    // An error means that there is no listener; that is no failure.
                    let _ = self.events.send(if all { Event::Missed } else { Event::Interrupted });
                }
                begun = true;
                whole.send_replace(all);
                self.own.want(true);
            }
            tokio::select! {
                Some(News { primary, armed }) = heard.recv() => {
                    if let Some((_, known)) = tasks.get_mut(&primary) {
                        // A connection can break and be replaced before the first news is read.
                        if !armed && *known && *whole.borrow() {
                            let _ = self.events.send(Event::Interrupted);
                            whole.send_replace(false);
                        }
                        *known = armed;
                    }
                }
                () = changed(&mut changes) => {}
            }
        }
    }

    /// Watches one primary until it is no longer among the primaries.
    async fn hear(self, primary: Primary, news: mpsc::UnboundedSender<News>) {
        let name = primary.to_string();
        let tell = |armed| drop(news.send(News { primary: name.clone(), armed }));
        loop {
            if let Some(address) = primary.address().await {
                self.hear_at(&address, &primary, &tell).await;
            }
            tell(false);
            sleep(PAUSE).await;
        }
    }

    /// Watches on one connection until it is broken or must be replaced.
    async fn hear_at(&self, address: &Address, primary: &Primary, tell: &impl Fn(bool)) {
        let (gone, mut is_gone) = watch::channel(false);
        let (own, mut changed) = mpsc::unbounded_channel();
        let hearing = self.clone();
        let unasked = Arc::new(move |info: PushInfo| match info.kind {
            PushKind::Disconnection => drop(gone.send_replace(true)),
            PushKind::Invalidate => hearing.report(&info.data, &own),
            _ => {}
        });
        let Ok(connection) = self.connector.connect(address, unasked).await else { return };
        let mut arm = ask_role();
        arm.cmd("CLIENT").arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(&self.namespace.sessions);
        let armed = timeout(self.connector.timeout, connection.send(&arm)).await;
        let Ok(Ok(armed)) = armed else { return };
        let [told, armed] = &armed[..] else { return };
        if role(Some(told)) == Role::Other {
            return;
        }
        let refused = match armed {
            Value::Okay => None,
            Value::ServerError(error) if refusal(error) == Refusal::Final => Some(sentence(error)),
            _ => return,
        };
        let is_armed = refused.is_none();
        self.refused.send_if_modified(|known| std::mem::replace(known, refused.clone()) != refused);
        if !is_armed {
            return;
        }
        tell(true);
        let looking = self.look_at_own(connection.clone(), &mut changed);
        let alive = async {
            let Some(keepalive) = self.keepalive else { return std::future::pending().await };
            let question = ask_role();
            loop {
                sleep(keepalive).await;
                let answer = timeout(keepalive, connection.send(&question)).await;
                // Without permission for `ROLE`, any answer shows that the server is alive.
                if !matches!(&answer, Ok(Ok(replies)) if role(replies.first()) != Role::Other) {
                    return;
                }
            }
        };
        tokio::select! {
            _ = is_gone.wait_for(|gone| *gone) => {}
            () = alive => {}
            () = looking => {}
            () = primary.moves(address) => {}
        }
    }

    /// Reports the keys of an invalidation, or `Missed` if all keys were removed. The keys that
    /// this store has written are checked first.
    fn report(&self, data: &[Value], own: &mpsc::UnboundedSender<(SessionKey, Version)>) {
        let Some(Value::Array(keys)) = data.first() else {
            drop(self.events.send(Event::Missed));
            return;
        };
        for key in keys {
            if let Value::BulkString(key) = key
                && let Some(key) = self.namespace.parse_session(key)
            {
                match self.own.of(&key) {
                    // The receiver goes only with the connection, whose end is reported.
                    Some(version) => drop(own.send((key, version))),
                    None => drop(self.events.send(Event::Changed { key, version: None })),
                }
            }
        }
    }

    /// Checks whether the sessions still have the versions that this store wrote. If so, the event
    /// carries the version. Returns when the server does not answer.
    async fn look_at_own(
        &self,
        connection: Connection,
        changed: &mut mpsc::UnboundedReceiver<(SessionKey, Version)>,
    ) {
        let mut batch = Vec::new();
        while changed.recv_many(&mut batch, BATCH).await > 0 {
            let mut commands = pipe();
            for (key, _) in &batch {
                commands.cmd("GETRANGE").arg(self.namespace.session(key)).arg(0).arg(HEAD - 1);
            }
            let heads = connection.send(&commands);
            let patience = self.keepalive.unwrap_or(self.connector.timeout);
            let Ok(Ok(heads)) = timeout(patience, heads).await else { return };
            for ((key, version), head) in batch.drain(..).zip(heads) {
                let now = if let Value::BulkString(head) = &head { version_of_head(head) } else { None };
                let ours = now.filter(|(now, _)| *now == version);
                if ours.is_some() {
                    self.own.end(&key, version);
                }
                // A touch has no version of its own, and the event may be that of a touch alone.
                let version = ours.filter(|(_, touched)| !touched).map(|(version, _)| version);
                // An error means that there is no listener; that is no failure.
                let _ = self.events.send(Event::Changed { key, version });
            }
        }
    }
}

/// One primary to watch.
#[derive(Clone, Debug)]
enum Primary {
    At(Address),
    Watched(Arc<Sentinels>),
}

impl Primary {
    /// Its address, if it is known.
    async fn address(&self) -> Option<Address> {
        match self {
            Self::At(address) => Some(address.clone()),
            Self::Watched(sentinels) => sentinels.primary().await.ok(),
        }
    }

    async fn moves(&self, from: &Address) {
        match self {
            Self::At(_) => std::future::pending().await,
            Self::Watched(sentinels) => sentinels.points_elsewhere(from).await,
        }
    }
}

impl std::fmt::Display for Primary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Watched(sentinels) => sentinels.fmt(f),
        }
    }
}

impl Source {
    fn primaries(&self) -> Vec<Primary> {
        match self {
            Self::Server(address) => vec![Primary::At(address.clone())],
            Self::Sentinels(sentinels) => vec![Primary::Watched(Arc::clone(sentinels))],
            Self::Cluster(cluster) => cluster.map().addresses().into_iter().map(Primary::At).collect(),
        }
    }
}

/// Waits for a change of the cluster map; forever without a cluster.
async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
