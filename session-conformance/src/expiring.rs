//! Concurrent calls at the moment at which a record expires.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_core::{
    DeleteItem, DeleteOutcome, Expected, RenameOutcome, SessionId, SessionKey, SessionStore, TouchItem, Ttl,
    Version, When, Write, WriteItem, WriteOutcome,
};
use tokio::time::sleep_until;

use crate::{
    Context, Fault,
    ambiguous::{a_moment, latency},
    assertions::{all, await_service, create, ensure_live, hour, millis, only, put, write},
    context::TICK,
    failure::{Checked, Failure, ensure, ensure_eq},
    race::run_beside,
};

/// The ttl of a record whose expiry is awaited: short, and longer where a write takes long.
pub(crate) struct Brief {
    ttl: Duration,
    has_met: bool,
}

impl Brief {
    const LONGEST: Duration = Duration::from_secs(2);

    pub(crate) const fn new(ttl: Duration) -> Self {
        Self { ttl, has_met: false }
    }

    pub(crate) fn ttl(&self) -> Ttl {
        Ttl::new(self.ttl).expect("a brief time is a ttl")
    }

    /// Records how long a write of such a record took. Returns whether calls that are made now can
    /// coincide with its expiry.
    pub(crate) fn is_in_time(&mut self, took: Duration) -> bool {
        let is_in_time = took < self.ttl / 2;
        if is_in_time {
            self.has_met = true;
        } else {
            self.ttl = (took * 4).min(Self::LONGEST);
        }
        is_in_time
    }

    /// Reports that nothing was shown if no write was in time.
    pub(crate) fn conclude(&self, cx: &Context) {
        if !self.has_met {
            cx.fall_short(format!("no write in less than half of {:?}", self.ttl));
        }
    }
}

/// How many tasks wait for a record while it expires.
const CROWD: usize = 2;

/// A way of keeping a record that is about to expire. A rename is not one of them: it moves the
/// record away from its key, which other calls then find free.
#[derive(Clone, Copy, Debug)]
enum Keeping {
    Write,
    WriteMany,
    Touch,
    TouchMany,
}

/// A way of finding out that no record is live, after which the record must not come back.
#[derive(Clone, Copy, Debug)]
enum Absence {
    Creates,
    CreatesInABatch,
    Deletes,
    DeletesInABatch,
}

const KEEPING: [Keeping; 4] = [Keeping::Write, Keeping::WriteMany, Keeping::Touch, Keeping::TouchMany];

impl Keeping {
    /// The calls that cannot have found the record gone if it was kept. A touch also keeps a record
    /// that was just created anew.
    fn refuted_by(self) -> &'static [Absence] {
        let all = &[Absence::Creates, Absence::CreatesInABatch, Absence::Deletes, Absence::DeletesInABatch];
        match self {
            Self::Write | Self::WriteMany => all,
            Self::Touch | Self::TouchMany => &all[2..],
        }
    }

    /// Attempts to keep the record. Returns whether it was kept.
    async fn attempt(self, store: &dyn SessionStore, key: SessionKey, seen: Version) -> Checked<bool> {
        let (next, when) = (write("kept"), When::Version(seen));
        Ok(match self {
            Self::Write => store.write(&key, next, when).await?.is_written(),
            Self::WriteMany => {
                only(store.write_many(&[WriteItem { key, write: next, when }]).await)?.is_written()
            }
            Self::Touch => store.touch(&key, hour()).await?,
            Self::TouchMany => only(store.touch_many(&[TouchItem { key, ttl: hour() }]).await)?,
        })
    }
}

impl Absence {
    /// Returns whether no record was live. A call that would end a live record waits until it has
    /// expired.
    async fn attempt(self, store: &dyn SessionStore, key: SessionKey) -> Checked<bool> {
        Ok(match self {
            Self::Creates => store.write(&key, write("anew"), When::Absent).await?.is_written(),
            Self::CreatesInABatch => {
                let item = WriteItem { key, write: write("anew"), when: When::Absent };
                only(store.write_many(&[item]).await)?.is_written()
            }
            Self::Deletes => store.delete(&key, Expected::Any).await? == DeleteOutcome::Absent,
            Self::DeletesInABatch => {
                let item = DeleteItem { key, expected: Expected::Any };
                only(store.delete_many(&[item]).await)? == DeleteOutcome::Absent
            }
        })
    }

    fn ends_what_is_live(self) -> bool {
        matches!(self, Self::Deletes | Self::DeletesInABatch)
    }
}

/// Races each way of keeping a record against each way of finding it gone, at the moment of its
/// expiry. At most one of the two can succeed.
pub(crate) async fn nothing_is_kept_that_was_gone(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    let mut brief = Brief::new(Duration::from_millis(12));
    for round in cx.rounds(40) {
        for keeping in KEEPING {
            let ways = keeping.refuted_by();
            let absence = ways[round as usize % ways.len()];
            let (keeper, finder) = (handles[0].clone(), handles[handles.len() - 1].clone());
            meet(keeper, finder, keeping, absence, &mut brief).await?;
        }
    }
    brief.conclude(cx);
    Ok(())
}

async fn meet(
    keeper: Arc<dyn SessionStore>,
    finder: Arc<dyn SessionStore>,
    keeping: Keeping,
    absence: Absence,
    brief: &mut Brief,
) -> Checked {
    let key = SessionId::generate().key();
    let begun = Instant::now();
    let mut first = write("brief");
    first.ttl = brief.ttl();
    let end = begun + brief.ttl().as_duration();
    let seen = put(&*keeper, &key, first, When::Absent).await?;
    let took = begun.elapsed();
    if !brief.is_in_time(took) {
        return Ok(());
    }
    // By the clock of the store, the record expires slightly before this.
    let end = end + took;
    let early = took.max(Duration::from_micros(2_500)).mul_f64(rand::random());
    sleep_until(end.checked_sub(early).unwrap_or(end).into()).await;
    // Other tasks wait for the same record, so that it expires while the keeping call waits, too.
    let crowd: Vec<_> = (0..CROWD).map(|_| run_beside(wait_for_it(keeper.clone(), key))).collect();
    let kept = run_beside(async move { keeping.attempt(&*keeper, key, seen).await });
    let found_gone = run_beside(async move {
        if absence.ends_what_is_live() {
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            return absence.attempt(&*finder, key).await;
        }
        while !absence.attempt(&*finder, key).await? {
            if end.elapsed() > Duration::from_millis(4) {
                return Ok(false);
            }
        }
        Ok(true)
    });
    let (kept, found_gone) = (kept.await??, found_gone.await??);
    for waited in crowd {
        waited.await??;
    }
    ensure!(
        !(kept && found_gone),
        "a record was kept ({keeping:?}) although it was gone for another call ({absence:?}) at the same time"
    );
    Ok(())
}

/// Accesses a record a few times without changing it.
async fn wait_for_it(store: Arc<dyn SessionStore>, key: SessionKey) -> Checked {
    for _ in 0..4 {
        let _ = store.write(&key, write("never"), When::Version(Version::random())).await?;
    }
    Ok(())
}

/// Has sixteen writers with `Absent` replace an expired record, alone and in batches, through both
/// handles. One of them succeeds.
pub(crate) async fn one_takes_the_place(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    let mut keys = Vec::new();
    let rounds = cx.rounds(40);
    for n in 0..40 {
        let key = cx.key();
        let mut brief = write("brief");
        if n % 2 == 0 {
            brief.ttl = millis(1);
        }
        put(&cx.store, &key, brief, When::Absent).await?;
        if n % 2 == 1 {
            ensure!(cx.store.touch(&key, millis(1)).await?, "the record is live");
        }
        keys.push(key);
    }
    sleep_until((Instant::now() + Duration::from_millis(1) + TICK).into()).await;
    for (key, _) in keys.into_iter().zip(rounds) {
        let writers = (0..16_usize).map(|n| {
            let store = handles[n % handles.len()].clone();
            async move {
                let item = WriteItem { key, write: write(format!("writer {n}")), when: When::Absent };
                let outcome = if n % 3 == 0 {
                    only(store.write_many(std::slice::from_ref(&item)).await)?
                } else {
                    store.write(&key, item.write.clone(), item.when).await?
                };
                Ok((item.write, outcome))
            }
        });
        let mut winners = Vec::new();
        for done in all::<Checked<_>, _>(writers).await? {
            let (write, outcome) = done?;
            if outcome.is_written() {
                winners.push(write);
            }
        }
        ensure_eq!(winners.len(), 1, "how many of 16 writers have taken the place of an expired record");
        cx.settle().await;
        for winner in winners {
            let data = String::from_utf8_lossy(&winner.data).into_owned();
            ensure_live(&cx.store, &key, &data, winner.version).await?;
        }
    }
    Ok(())
}

/// Redelivers writes and a rename through the other handle after half of the ttl, and checks that
/// no record lives longer for it.
pub(crate) async fn nothing_lives_longer(cx: &Context) -> Checked {
    let second = cx.second().await?;
    let mut brief = Brief::new(Duration::from_millis(400));
    for _ in cx.rounds(2) {
        let [alone, batched, old, new] = [(); 4].map(|()| cx.key());
        let seen = create(&cx.store, &old, "old").await?;
        let next = [(); 3].map(|()| Write { ttl: brief.ttl(), ..write("brief") });
        let item = WriteItem { key: batched, write: next[1].clone(), when: When::Absent };
        let deliver = async |store: &dyn SessionStore| {
            let outcome = store.write(&alone, next[0].clone(), When::Absent).await?;
            ensure_eq!(outcome, WriteOutcome::Written, "a write");
            let outcome = only(store.write_many(std::slice::from_ref(&item)).await)?;
            ensure_eq!(outcome, WriteOutcome::Written, "a write in a batch");
            let outcome = store.rename(&old, &new, next[2].clone(), seen).await?;
            ensure_eq!(outcome, RenameOutcome::Renamed, "a rename");
            Ok::<_, Failure>(())
        };
        let begun = Instant::now();
        deliver(&*cx.store).await?;
        let end = Instant::now() + brief.ttl().as_duration();
        if !brief.is_in_time(begun.elapsed()) {
            continue;
        }
        sleep_until((begun + brief.ttl().as_duration() / 2).into()).await;
        let found = deliver(&*second).await;
        if begun.elapsed() >= brief.ttl().as_duration() {
            // Expired records were created anew.
            continue;
        }
        found.map_err(|failure| failure.within("delivered again through the other handle"))?;
        sleep_until((end + TICK).into()).await;
        for (what, key) in [("a write", alone), ("a write in a batch", batched), ("a rename", new)] {
            for store in [&second, &cx.store] {
                let found = store.read(&key).await?;
                ensure!(found.is_none(), "after {what} was delivered again, its record outlives its ttl");
            }
        }
    }
    brief.conclude(cx);
    Ok(())
}

/// How long a server is frozen while a ttl is set, and that ttl. Both are within the time for which
/// a cache may keep a record.
const STANDSTILL: Duration = Duration::from_millis(120);
const SHORT: Duration = Duration::from_millis(180);

/// Sets short ttls in each way while the server is briefly frozen. Checks that no session is seen
/// after its expiry, whatever moment the ttl was counted from.
pub(crate) async fn nothing_outlives_a_late_reply(cx: &Context) -> Checked {
    let broken = cx.breakable().await?;
    let beside = broken.beside.clone().unwrap_or_else(|| broken.store.clone());
    let latency = latency(&broken).await?;
    let mut has_met_an_end = false;
    for _ in cx.rounds(8) {
        let keys: Vec<_> = (0..40).map(|_| cx.key()).collect();
        let created = join_all(keys.iter().map(|key| create(&broken.store, key, "before"))).await;
        let seen = created.into_iter().collect::<Checked<Vec<_>>>()?;
        let (store, asked) = (broken.store.clone(), keys.clone());
        let setting = tokio::spawn(async move {
            let setting = asked.iter().zip(seen).enumerate();
            join_all(setting.map(|(way, (key, seen))| set_short(&*store, way, *key, seen))).await;
        });
        a_moment(latency).await;
        broken.control.inject(Fault::Freeze).await;
        tokio::time::sleep(STANDSTILL).await;
        broken.control.heal(Fault::Freeze).await;
        setting.await?;
        let found = beside.read_many(&keys).await;
        let seen_at = Instant::now();
        // A failed read, so soon after the fault, shows nothing.
        let left = found.into_iter().map(|found| Some(found.ok()??.expires_in));
        let ends = keys.into_iter().zip(left).filter_map(|(key, left)| Some((left?, key)));
        let mut ends: Vec<_> = ends.filter(|(left, _)| *left <= SHORT).collect();
        ends.sort_unstable_by_key(|(left, _)| *left);
        has_met_an_end |= !ends.is_empty();
        for (left, key) in ends {
            sleep_until((seen_at + left + TICK).into()).await;
            let found = broken.store.read(&key).await.ok().flatten();
            ensure!(
                found.is_none(),
                "a session is seen after its end, whose ttl was set while the server stood still for a moment"
            );
        }
        await_service(&broken).await?;
    }
    if !has_met_an_end {
        cx.fall_short(format!("no session was read within {SHORT:?} of its change"));
    }
    Ok(())
}

/// Sets a short ttl in the way with this number. The outcome is checked later.
async fn set_short(store: &dyn SessionStore, way: usize, key: SessionKey, seen: Version) {
    let ttl = Ttl::new(SHORT).expect("a short time is a ttl");
    let next = Write { ttl, ..write("after") };
    match way % 4 {
        0 => drop(store.write(&key, next, When::Version(seen)).await),
        1 => drop(store.write_many(&[WriteItem { key, write: next, when: When::Version(seen) }]).await),
        2 => drop(store.touch(&key, ttl).await),
        _ => drop(store.touch_many(&[TouchItem { key, ttl }]).await),
    }
}
