use std::{fmt, time::Duration};

use foldhash::fast::RandomState;
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use parking_lot::Mutex;
use session_core::{Event, Record, SessionKey, Version};

use super::{
    counters::{Count, Counters},
    entry::{Entry, Unknown},
    flaw::Flaw,
    gate::Gate,
    lag::LagMeter,
    sent::SentWrites,
    settings::CacheSettings,
    stats::{CacheStats, Evictions},
    under_way::{Busy, UnderWay},
};
use super::clock::{Clock, Moment};

/// The cache itself, which knows of no store: entries, what is under way, and whether any of it may be trusted.
///
/// A look-up takes no lock of ours. Everything that puts an entry in or takes one out does so within [`UnderWay::at`] of its key.
pub(crate) struct L1 {
    pub(crate) sessions: Cache<SessionKey, Entry, RandomState>,
    pub(crate) unknown: Option<Cache<SessionKey, Unknown, RandomState>>,
    pub(crate) under_way: UnderWay,
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    pub(crate) lag: LagMeter,
    pub(crate) sent: SentWrites,
    pub(crate) counters: std::sync::Arc<Counters>,
    pub(crate) max_staleness: Duration,
    unknown_for: Duration,
    /// Whether somebody tells of changes.
    pub(crate) is_watched: bool,
    /// Why the cache is bypassed, for [`CacheStats`].
    outage: Mutex<Option<String>>,
    #[cfg(test)]
    pub(crate) flaw: Option<Flaw>,
}

/// What a look into the cache gives.
pub(crate) enum Look {
    Found(Record),
    /// It is known that nobody has this id.
    Unknown,
    Miss,
    Bypass,
}

impl L1 {
    pub(crate) fn new(settings: &CacheSettings, is_watched: bool) -> Self {
        let counters = std::sync::Arc::<Counters>::default();
        let counted = std::sync::Arc::clone(&counters);
        // Both bounds in one: nothing weighs less than its share of the bytes.
        let least = settings.max_bytes / settings.max_entries.max(1);
        let sessions = Cache::builder()
            .name("sessions")
            .eviction_policy(EvictionPolicy::lru())
            .max_capacity(settings.max_bytes)
            .weigher(move |key, entry: &Entry| {
                u32::try_from(entry.weight(key).max(least)).unwrap_or(u32::MAX)
            })
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counted.add(Count::Space);
                }
            })
            .build_with_hasher(RandomState::default());
        let unknown = (settings.unknown_entries > 0).then(|| {
            Cache::builder()
                .name("unknown")
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(settings.unknown_entries)
                .build_with_hasher(RandomState::default())
        });
        let clock = Clock::start();
        Self {
            sessions,
            unknown,
            under_way: UnderWay::new(),
            // Nobody listens yet. Where nobody ever will, trust begins at once.
            gate: Gate::new(!is_watched),
            lag: LagMeter::default(),
            sent: SentWrites::new(clock.now()),
            clock,
            counters,
            max_staleness: settings.max_staleness,
            unknown_for: settings.unknown_for.min(settings.max_staleness),
            is_watched,
            outage: Mutex::default(),
            #[cfg(test)]
            flaw: settings.flaw,
        }
    }

    /// Looks a session up, and counts.
    pub(crate) fn look(&self, key: &SessionKey) -> Look {
        let Some(epoch) = self.gate.epoch() else {
            self.counters.add(Count::Bypass);
            return Look::Bypass;
        };
        if let Some(entry) = self.sessions.get(key)
            && self.is_of(entry.epoch, epoch)
        {
            let now = self.clock.now();
            if now >= entry.expires_at && !self.has(Flaw::IgnoresExpiry) {
                self.counters.add(Count::Expired);
            } else if now >= entry.fresh_until && !self.has(Flaw::IgnoresStaleness) {
                self.counters.add(Count::Stale);
            } else {
                self.counters.hit(key);
                return Look::Found(entry.into_record(now));
            }
            return Look::Miss;
        }
        if self.knows_of_none(key, epoch) {
            self.counters.add(Count::UnknownHit);
            return Look::Unknown;
        }
        Look::Miss
    }

    /// The same, without counting, for one who found nothing and holds the key now: it may have been put in since.
    pub(crate) fn look_again(&self, key: &SessionKey) -> Look {
        let Some(epoch) = self.gate.epoch() else { return Look::Bypass };
        let now = self.clock.now();
        match self.current(key) {
            Some(entry) if now < entry.expires_at && now < entry.fresh_until => {
                Look::Found(entry.into_record(now))
            }
            None if self.knows_of_none(key, epoch) => Look::Unknown,
            _ => Look::Miss,
        }
    }

    /// The entry of a key, if it is of this epoch.
    pub(crate) fn current(&self, key: &SessionKey) -> Option<Entry> {
        let epoch = self.gate.epoch()?;
        self.sessions.get(key).filter(|entry| self.is_of(entry.epoch, epoch))
    }

    fn is_of(&self, entry: u64, epoch: u64) -> bool {
        entry == epoch || self.has(Flaw::ForgetsBypass) || self.has(Flaw::IgnoresMissed)
    }

    fn knows_of_none(&self, key: &SessionKey, epoch: u64) -> bool {
        let known = self.unknown.as_ref().and_then(|unknown| unknown.get(key));
        known.is_some_and(|known| known.epoch == epoch && self.clock.now() < known.until)
    }

    /// Puts an entry in. To be called with the key held.
    pub(crate) fn keep(&self, key: &SessionKey, entry: Entry) {
        self.sessions.insert(*key, entry);
        if let Some(unknown) = &self.unknown {
            unknown.invalidate(key);
        }
    }

    /// Remembers that nobody has an id, as a question sent at `asked` found. To be called with the key held.
    pub(crate) fn keep_unknown(&self, key: &SessionKey, asked: Moment, epoch: u64) {
        self.sessions.invalidate(key);
        if let Some(unknown) = &self.unknown {
            unknown.insert(*key, Unknown { until: asked.plus(self.unknown_for), epoch });
        }
    }

    /// Takes out what there is, and counts. To be called with the key held.
    pub(crate) fn drop_entry(&self, key: &SessionKey, cause: Count) {
        if self.sessions.remove(key).is_some() {
            self.counters.add(cause);
        }
        if let Some(unknown) = &self.unknown {
            unknown.invalidate(key);
        }
    }

    /// The record may have changed: whatever is known of it is forgotten, also by those who are just asking.
    pub(crate) fn invalidate(&self, key: &SessionKey, cause: Count) {
        self.under_way.at(key, |shard| {
            if let Some(busy) = shard.get_mut(key) {
                self.disturb(busy);
            }
            self.drop_entry(key, cause);
        });
    }

    /// Lets whatever is under way for a key know that the record may have changed.
    pub(crate) fn disturb(&self, busy: &mut Busy) {
        let reading = busy.reading.take().filter(|_| self.has(Flaw::JoinsOldReadings));
        busy.disturbed += 1;
        busy.moved += 1;
        busy.reading = reading;
    }

    /// Acts upon what the store tells.
    pub(crate) fn hear(&self, event: Event) {
        if self.has(Flaw::DropsInvalidations) && !matches!(event, Event::Missed | Event::Interrupted) {
            return;
        }
        match event {
            Event::Changed { key, version: Some(version) } if !self.has(Flaw::FlushesOnEcho) => {
                self.hear_version(&key, version);
            }
            Event::Changed { key, .. } | Event::Deleted { key } | Event::Expired { key } => {
                self.invalidate(&key, Count::Changed);
                self.lag.heard(&key, || self.clock.now());
            }
            Event::Interrupted if self.has(Flaw::ForgetsBypass) => {}
            Event::Interrupted => self.close(),
            Event::Missed if self.has(Flaw::IgnoresMissed) => {}
            Event::Missed => self.open(),
            // An event of a later release: whatever it means, it cannot mean more than this.
            _ => self.flush(),
        }
    }

    /// A record has, or had, this version. Each write is told once, so the first event with the version of a write of ours is its echo. A second one is
    /// something else, as a touch that does not change the version.
    fn hear_version(&self, key: &SessionKey, version: Version) {
        self.under_way.at(key, |shard| {
            if let Some(busy) = shard.get_mut(key) {
                if let Some((own, echoed @ false)) = &mut busy.own
                    && *own == version
                {
                    // It has taken effect, and what was known before is history. The change itself is not moved, and can leave behind what it wrote.
                    *echoed = true;
                    busy.disturbed += 1;
                    busy.reading = None;
                    return self.drop_entry(key, Count::Own);
                }
                self.disturb(busy);
            }
            match self.current(key) {
                Some(entry) if self.has(Flaw::TakesTouchesForEchoes) && entry.version == version => {}
                Some(entry) if entry.awaits_echo && entry.version == version => {
                    self.keep(key, Entry { awaits_echo: false, ..entry });
                }
                _ => self.drop_entry(key, Count::Changed),
            }
        });
        self.lag.heard(key, || self.clock.now());
    }

    /// Begins to trust the cache, which is empty then.
    pub(crate) fn open(&self) {
        self.lag.forget();
        self.gate.open();
        self.empty();
    }

    /// Ends the use of the cache, which is empty then, until it is opened.
    pub(crate) fn close(&self) {
        self.gate.close();
        self.empty();
    }

    /// Empties the cache.
    pub(crate) fn flush(&self) {
        self.gate.flush();
        self.empty();
    }

    /// Ends the use of the cache for ever.
    pub(crate) fn shut(&self) {
        self.gate.shut();
        self.empty();
    }

    /// Gives the memory back. What is left is of an epoch that has ended.
    fn empty(&self) {
        self.counters.add(Count::Flush);
        if self.has(Flaw::ForgetsBypass) || self.has(Flaw::IgnoresMissed) {
            return;
        }
        self.sessions.invalidate_all();
        if let Some(unknown) = &self.unknown {
            unknown.invalidate_all();
        }
    }

    /// Says why the cache is bypassed, or that it is not.
    pub(crate) fn set_outage(&self, reason: Option<&str>) {
        *self.outage.lock() = reason.map(str::to_owned);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let of = |count| self.counters.of(count);
        CacheStats {
            is_whole: self.gate.epoch().is_some(),
            outage: self.outage.lock().clone(),
            entries: self.sessions.entry_count(),
            bytes: self.sessions.weighted_size(),
            hits: self.counters.hits(),
            unknown_hits: of(Count::UnknownHit),
            misses: of(Count::Miss),
            shared: of(Count::Shared),
            bypasses: of(Count::Bypass),
            discarded_fills: of(Count::DiscardedFill),
            evictions: Evictions {
                space: of(Count::Space),
                changed: of(Count::Changed),
                own: of(Count::Own),
                expired: of(Count::Expired),
                stale: of(Count::Stale),
                flushes: of(Count::Flush),
            },
            lag: self.lag.summary(),
        }
    }

    /// Whether this cache was given that mistake, by a test.
    #[cfg(test)]
    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "as in tests")]
    pub(crate) const fn has(&self, _flaw: Flaw) -> bool {
        false
    }
}

// By hand, because what is kept is session data, which belongs into no log.
impl fmt::Debug for L1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
