use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::RngExt;
use tokio::{sync::watch, task::AbortHandle, time::sleep};

use crate::{address::Address, connector::Connector, link::Link, sentinels::Sentinels};

/// A server that takes requests, over a number of links. A link that breaks is replaced.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its name in messages: its address, if that is fixed.
    pub(crate) name: String,
    places: Vec<watch::Sender<Place>>,
    turn: AtomicUsize,
    keepers: Vec<AbortHandle>,
}

/// The current link, or why there is none.
#[derive(Clone, Debug, Default)]
struct Place {
    link: Option<Arc<Link>>,
    trouble: Option<Arc<str>>,
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub(crate) enum Whereabouts {
    Fixed(Address),
    /// The primary that the sentinels report.
    Primary(Arc<Sentinels>),
}

/// How a node maintains its links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    pub(crate) connections: usize,
    pub(crate) keepalive: Option<Duration>,
}

/// The pauses after failed attempts to connect: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));

impl Node {
    pub(crate) fn new(whereabouts: &Whereabouts, connector: &Arc<Connector>, keeping: Keeping) -> Self {
        let name = match whereabouts {
            Whereabouts::Fixed(address) => address.to_string(),
            Whereabouts::Primary(sentinels) => sentinels.to_string(),
        };
        let places: Vec<_> = (0..keeping.connections).map(|_| watch::Sender::new(Place::default())).collect();
        let keepers = places
            .iter()
            .map(|place| {
                let (place, whereabouts, connector) = (place.clone(), whereabouts.clone(), connector.clone());
                tokio::spawn(keep(place, whereabouts, connector, keeping.keepalive)).abort_handle()
            })
            .collect();
        Self { name, places, turn: AtomicUsize::new(0), keepers }
    }

    /// Waits for a usable link.
    pub(crate) async fn link(&self) -> Arc<Link> {
        if let Some(link) = self.link_now() {
            return link;
        }
        let turn = self.turn.load(Ordering::Relaxed);
        let mut place = self.places[turn % self.places.len()].subscribe();
        loop {
            // This node owns the sender, so the wait ends only when there is a link.
            let found = place.wait_for(|place| place.usable().is_some()).await;
            if let Some(link) = found.ok().and_then(|place| place.usable()) {
                return link;
            }
        }
    }

    /// A usable link, if there is one now. The links take turns.
    pub(crate) fn link_now(&self) -> Option<Arc<Link>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = |offset: usize| &self.places[turn.wrapping_add(offset) % self.places.len()];
        (0..self.places.len()).find_map(|offset| at(offset).borrow().usable())
    }

    /// Why there is no link.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.places.iter().find_map(|place| place.borrow().trouble.clone())
    }

    /// Gives up all links, so that the server is looked up and connected to again.
    pub(crate) fn distrust(&self) {
        for place in &self.places {
            if let Some(link) = &place.borrow().link {
                link.give_up();
            }
        }
    }

    /// Ends all connections.
    pub(crate) fn close(&self) {
        for keeper in &self.keepers {
            keeper.abort();
        }
        for place in &self.places {
            place.send_replace(Place::default());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.close();
    }
}

impl Place {
    fn usable(&self) -> Option<Arc<Link>> {
        self.link.clone().filter(|link| link.is_usable())
    }
}

/// Keeps a link connected until the node is dropped or closed.
async fn keep(
    place: watch::Sender<Place>,
    whereabouts: Whereabouts,
    connector: Arc<Connector>,
    keepalive: Option<Duration>,
) {
    let mut pause = PAUSES.0;
    loop {
        match whereabouts.connect(&connector).await {
            Ok(link) => {
                pause = PAUSES.0;
                let link = Arc::new(link);
                place.send_replace(Place { link: Some(Arc::clone(&link)), trouble: None });
                match &whereabouts {
                    Whereabouts::Fixed(_) => link.watch_over(keepalive).await,
                    Whereabouts::Primary(sentinels) => tokio::select! {
                        () = link.watch_over(keepalive) => {}
                        () = sentinels.points_elsewhere(&link.address) => link.give_up(),
                    },
                }
                place.send_replace(Place { link: None, trouble: Some("the connection broke".into()) });
            }
            Err(trouble) => {
                place.send_replace(Place { link: None, trouble: Some(trouble.into()) });
                sleep(jittered(pause)).await;
                pause = (2 * pause).min(PAUSES.1);
            }
        }
    }
}

/// A random duration from half of `pause` to all of it, so that waiting tasks do not all retry at
/// once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

impl Whereabouts {
    async fn connect(&self, connector: &Connector) -> Result<Link, String> {
        let address = match self {
            Self::Fixed(address) => address.clone(),
            Self::Primary(sentinels) => sentinels.primary().await.map_err(|(trouble, _)| trouble)?,
        };
        // An address may be announced before its server is a primary, and long after it was one.
        Link::to_primary(connector, &address).await.map_err(|error| format!("{address}: {error}"))
    }
}
