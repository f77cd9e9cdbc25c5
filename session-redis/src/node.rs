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

/// A server that takes requests, by a number of links, each of which is made anew when it breaks.
#[derive(Debug)]
pub(crate) struct Node {
    /// What to call it in messages; the address of a node that has one.
    pub(crate) name: String,
    places: Vec<watch::Sender<Place>>,
    turn: AtomicUsize,
    keepers: Vec<AbortHandle>,
}

/// Where a link is, or why there is none.
#[derive(Clone, Debug, Default)]
struct Place {
    link: Option<Arc<Link>>,
    trouble: Option<Arc<str>>,
}

/// Where to connect to.
#[derive(Clone, Debug)]
pub(crate) enum Whereabouts {
    Fixed(Address),
    /// Wherever the sentinels say that the primary is.
    Primary(Arc<Sentinels>),
}

/// How links are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    pub(crate) connections: usize,
    pub(crate) silence: Option<Duration>,
}

/// The pause after the first failed attempt to connect, and the longest one.
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
                tokio::spawn(keep(place, whereabouts, connector, keeping.silence)).abort_handle()
            })
            .collect();
        Self { name, places, turn: AtomicUsize::new(0), keepers }
    }

    /// A link that can be used, as soon as there is one.
    pub(crate) async fn link(&self) -> Arc<Link> {
        if let Some(link) = self.link_now() {
            return link;
        }
        let turn = self.turn.load(Ordering::Relaxed);
        let mut place = self.places[turn % self.places.len()].subscribe();
        loop {
            // We hold the sender, so that waiting ends by a link alone.
            let found = place.wait_for(|place| place.usable().is_some()).await;
            if let Some(link) = found.ok().and_then(|place| place.usable()) {
                return link;
            }
        }
    }

    /// A link that can be used now. They take turns.
    pub(crate) fn link_now(&self) -> Option<Arc<Link>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = |offset: usize| &self.places[turn.wrapping_add(offset) % self.places.len()];
        (0..self.places.len()).find_map(|offset| at(offset).borrow().usable())
    }

    /// Why there is no link.
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.places.iter().find_map(|place| place.borrow().trouble.clone())
    }

    /// Gives up all links, to look for the server anew.
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

/// Keeps a link in its place for as long as the node is there.
async fn keep(
    place: watch::Sender<Place>,
    whereabouts: Whereabouts,
    connector: Arc<Connector>,
    silence: Option<Duration>,
) {
    let mut pause = PAUSES.0;
    loop {
        match whereabouts.connect(&connector).await {
            Ok(link) => {
                pause = PAUSES.0;
                let link = Arc::new(link);
                place.send_replace(Place { link: Some(Arc::clone(&link)), trouble: None });
                match &whereabouts {
                    Whereabouts::Fixed(_) => link.watch_over(silence).await,
                    Whereabouts::Primary(sentinels) => tokio::select! {
                        () = link.watch_over(silence) => {}
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

/// A pause of half of this to all of it, so that those who wait do not all go on at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..1.0))
}

impl Whereabouts {
    async fn connect(&self, connector: &Connector) -> Result<Link, String> {
        let address = match self {
            Self::Fixed(address) => address.clone(),
            Self::Primary(sentinels) => sentinels.primary().await.map_err(|(trouble, _)| trouble)?,
        };
        // What points to it may do so before it is one, and long after it was one.
        Link::to_primary(connector, &address).await.map_err(|error| format!("{address}: {error}"))
    }
}
