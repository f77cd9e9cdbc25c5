//! Two threads that contend for one session after the other, so closely that they hit a gap of a
//! few nanoseconds between a check and its change.

use std::{
    hint,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use rand::seq::SliceRandom;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, SessionId, SessionKey, SessionStore, Version, When, Write, WriteItem,
};

use crate::{
    Context,
    assertions::{only, put, write},
    failure::{Checked, Failure, ensure_eq},
    model::{Answer, By, Item, carry_out, run::Depth},
    race::run_beside,
};

/// A change that takes the version of a session, or a free key. Of two concurrent ones, one
/// succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    Write,
    Delete,
    Rename,
    Create,
    RenameTo,
}

type Way = (Taking, By);

/// The changes that take the version of a session, and those that take a free key.
const OF_A_SESSION: [Way; 5] = [
    (Taking::Write, By::Single),
    (Taking::Write, By::Batch),
    (Taking::Delete, By::Single),
    (Taking::Delete, By::Batch),
    (Taking::Rename, By::Single),
];
const OF_A_KEY: [Way; 3] =
    [(Taking::Create, By::Single), (Taking::Create, By::Batch), (Taking::RenameTo, By::Single)];

/// What two threads contend for: a key, its current version, and a session that can be renamed to
/// the key.
#[derive(Clone, Copy)]
struct Place {
    key: SessionKey,
    seen: Version,
    beside: SessionKey,
}

impl Taking {
    fn item(self, Place { key, seen, beside }: Place, write: Write) -> Item {
        match self {
            Self::Write => Item::Write(WriteItem { key, write, when: When::Version(seen) }),
            Self::Delete => Item::Delete(DeleteItem { key, expected: Expected::Version(seen) }),
            Self::Rename => {
                Item::Rename { old: key, new: SessionId::generate().key(), write, expected: seen }
            }
            Self::Create => Item::Write(WriteItem { key, write, when: When::Absent }),
            Self::RenameTo => Item::Rename { old: beside, new: key, write, expected: seen },
        }
    }

    /// Returns true if the change leaves its own record under the key.
    fn stays(self) -> bool {
        !matches!(self, Self::Delete | Self::Rename)
    }
}

/// Has two threads take each version of many sessions, and many free keys, by each pair of ways.
/// Checks that one of them succeeds, and that its result is stored.
pub(crate) async fn one_of_two_takes_it(cx: &Context) -> Checked {
    // Where a call takes as long as on a network, a few sessions suffice, as in the cases of
    // promise 1.
    let (places, time) =
        if cx.depth == Depth::Whole { (50, Duration::from_millis(80)) } else { (4, Duration::ZERO) };
    let mut pairs: Vec<_> = [&OF_A_SESSION[..], &OF_A_KEY]
        .iter()
        .flat_map(|ways| ways.iter().enumerate().flat_map(|(at, a)| ways[at..].iter().map(move |b| (*a, *b))))
        .collect();
    // A random order, so that a slow store does not get the same few pairs in each run.
    pairs.shuffle(&mut rand::rng());
    let rounds = cx.rounds(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
    for (_, pair) in rounds.zip(pairs.into_iter().cycle()) {
        let begun = Instant::now();
        loop {
            meet_everywhere(cx, pair, places)
                .await
                .map_err(|failure| failure.within(&format!("{pair:?}")))?;
            if begun.elapsed() >= time {
                break;
            }
        }
    }
    Ok(())
}

async fn meet_everywhere(cx: &Context, (a, b): (Way, Way), places: usize) -> Checked {
    let racers = cx.racers().await?;
    let needs_a_session = OF_A_SESSION.contains(&a);
    let making = (0..places).map(|_| async {
        let (key, beside, record) = (cx.key(), cx.key(), write("before"));
        let there = if needs_a_session { key } else { beside };
        let seen = put(&cx.store, &there, record, When::Absent).await?;
        Ok::<_, Failure>(Place { key, seen, beside })
    });
    let places = Arc::new(try_join_all(making).await?);
    // A rename to a free key also takes the session that it renames, so two renames need two
    // sessions.
    let mut others = places.as_ref().clone();
    if (a.0, b.0) == (Taking::RenameTo, Taking::RenameTo) {
        for place in &mut others {
            place.beside = cx.key();
            place.seen = put(&cx.store, &place.beside, write("before"), When::Absent).await?;
        }
    }
    let arrived = Arc::new(AtomicUsize::new(0));
    let one = run_beside(take_each(racers[0].clone(), a, places.clone(), arrived.clone()));
    let other = run_beside(take_each(racers[racers.len() - 1].clone(), b, Arc::new(others), arrived));
    let (one, other) = (one.await??, other.await??);
    for ((place, one), other) in places.iter().zip(one).zip(other) {
        let winner = match (&one, &other) {
            ((true, next), (false, _)) => Some((a, next)),
            ((false, _), (true, next)) => Some((b, next)),
            _ => None,
        };
        let Some((way, next)) = winner else {
            return Err(Failure::new(format!(
                "of two at once, one must succeed; they say {} and {}",
                one.0, other.0
            )));
        };
        let found = cx.store.read(&place.key).await?.map(|record| record.version);
        ensure_eq!(found, way.0.stays().then_some(next.version), "what is there after {way:?} has succeeded");
    }
    Ok(())
}

/// Visits the places in step with another thread, and attempts the change at each.
async fn take_each(
    store: Arc<dyn SessionStore>,
    (taking, by): Way,
    places: Arc<Vec<Place>>,
    arrived: Arc<AtomicUsize>,
) -> Checked<Vec<(bool, Write)>> {
    let mut taken = Vec::with_capacity(places.len());
    for (at, place) in places.iter().enumerate() {
        let next = write("after");
        arrived.fetch_add(1, Ordering::SeqCst);
        for turns in 1_u32.. {
            if arrived.load(Ordering::SeqCst) >= 2 * (at + 1) {
                break;
            }
            hint::spin_loop();
            // The other thread may need this processor.
            if turns.is_multiple_of(2_000) {
                std::thread::yield_now();
            }
        }
        let answer = only(carry_out(&*store, &[taking.item(*place, next.clone())], by).await);
        if answer.is_err() {
            // Lets the other thread continue alone.
            arrived.fetch_add(2 * places.len(), Ordering::SeqCst);
        }
        let is_taken =
            matches!(answer?, Answer::Written | Answer::Renamed | Answer::Deleted(DeleteOutcome::Deleted));
        taken.push((is_taken, next));
    }
    Ok(taken)
}
