use std::{fmt, time::Duration};

use foldhash::fast::RandomState;
use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use parking_lot::Mutex;
use session_core::{Event, Record, SessionKey, Version};

use super::clock::{Clock, Moment};
use super::{
    counters::{Count, Counters},
    entry::{Entry, Unknown},
    epoch::Epoch,
    flaw::Flaw,
    in_flight::{InFlight, KeyState},
    lag::LagMeter,
    sent::SentWrites,
    settings::CacheSettings,
    stats::{CacheStats, Evictions},
};

/// The cache itself, independent of any store: the entries, the operations in flight, and whether
/// the entries may be trusted.
///
/// A look-up takes no lock of this crate. Code that inserts or removes an entry does so within
/// [`InFlight::at`] of its key.
pub(crate) struct Table {
    pub(crate) sessions: Cache<SessionKey, Entry, RandomState>,
    pub(crate) unknown: Option<Cache<SessionKey, Unknown, RandomState>>,
    pub(crate) in_flight: InFlight,
    pub(crate) epoch: Epoch,
    pub(crate) clock: Clock,
    pub(crate) lag: LagMeter,
    pub(crate) sent: SentWrites,
    pub(crate) counters: std::sync::Arc<Counters>,
    pub(crate) max_staleness: Duration,
    unknown_for: Duration,
    /// Whether the store has a watch.
    pub(crate) is_watched: bool,
    /// Why the cache is bypassed, for [`CacheStats`].
    outage: Mutex<Option<String>>,
    #[cfg(test)]
    pub(crate) flaw: Option<Flaw>,
}

/// Result of a look-up.
pub(crate) enum Look {
    Found(Record),
    /// The id is known not to exist.
    Unknown,
    Miss,
    Bypass,
}

impl Table {
    pub(crate) fn new(settings: &CacheSettings, is_watched: bool) -> Self {
        let counters = std::sync::Arc::<Counters>::default();
        let counted = std::sync::Arc::clone(&counters);
        // One capacity enforces both bounds: each entry weighs at least its share of the bytes.
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
            in_flight: InFlight::new(),
            // Not subscribed yet. Without a watch, the cache is in use at once.
            epoch: Epoch::new(!is_watched),
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

    /// Looks a session up, and updates the counters.
    pub(crate) fn look(&self, key: &SessionKey) -> Look {
        let Some(epoch) = self.epoch.current() else {
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

    /// Looks a session up without counting, after a miss and with the key's lock held: the entry
    /// may have been inserted since.
    pub(crate) fn look_again(&self, key: &SessionKey) -> Look {
        let Some(epoch) = self.epoch.current() else { return Look::Bypass };
        let now = self.clock.now();
        match self.current(key) {
            Some(entry) if now < entry.expires_at && now < entry.fresh_until => {
                Look::Found(entry.into_record(now))
            }
            None if self.knows_of_none(key, epoch) => Look::Unknown,
            _ => Look::Miss,
        }
    }

    /// The entry of a key, if it belongs to the current epoch.
    pub(crate) fn current(&self, key: &SessionKey) -> Option<Entry> {
        let epoch = self.epoch.current()?;
        self.sessions.get(key).filter(|entry| self.is_of(entry.epoch, epoch))
    }

    fn is_of(&self, entry: u64, epoch: u64) -> bool {
        entry == epoch || self.has(Flaw::ForgetsBypass) || self.has(Flaw::IgnoresMissed)
    }

    fn knows_of_none(&self, key: &SessionKey, epoch: u64) -> bool {
        let known = self.unknown.as_ref().and_then(|unknown| unknown.get(key));
        known.is_some_and(|known| known.epoch == epoch && self.clock.now() < known.until)
    }

    /// Inserts an entry. Requires the key's lock.
    pub(crate) fn keep(&self, key: &SessionKey, entry: Entry) {
        self.sessions.insert(*key, entry);
        if let Some(unknown) = &self.unknown {
            unknown.invalidate(key);
        }
    }

    /// Adds an id to the negative cache, after a read sent at `asked` found nothing. Requires the
    /// key's lock.
    pub(crate) fn keep_unknown(&self, key: &SessionKey, asked: Moment, epoch: u64) {
        self.sessions.invalidate(key);
        if let Some(unknown) = &self.unknown {
            unknown.insert(*key, Unknown { until: asked.plus(self.unknown_for), epoch });
        }
    }

    /// Removes the entry, if any, and counts it under `cause`. Requires the key's lock.
    pub(crate) fn drop_entry(&self, key: &SessionKey, cause: Count) {
        if self.sessions.remove(key).is_some() {
            self.counters.add(cause);
        }
        if let Some(unknown) = &self.unknown {
            unknown.invalidate(key);
        }
    }

    /// Drops the entry of a record that may have changed. Reads in flight do not keep their answer.
    pub(crate) fn invalidate(&self, key: &SessionKey, cause: Count) {
        self.in_flight.at(key, |shard| {
            if let Some(busy) = shard.get_mut(key) {
                self.disturb(busy);
            }
            self.drop_entry(key, cause);
        });
    }

    /// Tells the operations in flight for a key that the record may have changed.
    pub(crate) fn disturb(&self, busy: &mut KeyState) {
        let reading = busy.reading.take().filter(|_| self.has(Flaw::JoinsOldReadings));
        busy.disturbed += 1;
        busy.moved += 1;
        busy.reading = reading;
    }

    /// Applies an event of the store.
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
            // An unknown event of a later release: a flush is the strongest reaction that it can
            // need.
            _ => self.flush(),
        }
    }

    /// Applies a `Changed` event that names a version.
    ///
    /// The store reports each write once, so the first event with the version of a write through
    /// this cache is its echo. A second one is another change, such as a touch, which keeps the
    /// version.
    fn hear_version(&self, key: &SessionKey, version: Version) {
        self.in_flight.at(key, |shard| {
            if let Some(busy) = shard.get_mut(key) {
                if let Some((own, echoed @ false)) = &mut busy.own
                    && *own == version
                {
                    // The write has taken effect, so older entries and reads are obsolete. `moved`
                    // stays unchanged, so that the write can still cache its record when it
                    // returns.
                    *echoed = true;
                    busy.disturbed += 1;
                    busy.reading = None;
                    return self.drop_entry(key, Count::Own);
                }
                self.disturb(busy);
            }
            match self.current(key) {
                Some(entry) if self.has(Flaw::TakesTouchesForEchoes) && entry.version == version => {}
                Some(entry) if entry.expects_own_event && entry.version == version => {
                    self.keep(key, Entry { expects_own_event: false, ..entry });
                }
                _ => self.drop_entry(key, Count::Changed),
            }
        });
        self.lag.heard(key, || self.clock.now());
    }

    /// Starts the use of the cache, which is then empty.
    pub(crate) fn open(&self) {
        self.lag.forget();
        self.epoch.open();
        self.empty();
    }

    /// Stops the use of the cache until it is opened. The cache is then empty.
    pub(crate) fn close(&self) {
        self.epoch.close();
        self.empty();
    }

    /// Empties the cache.
    pub(crate) fn flush(&self) {
        self.epoch.flush();
        self.empty();
    }

    /// Stops the use of the cache permanently.
    pub(crate) fn shut(&self) {
        self.epoch.shut();
        self.empty();
    }

    /// Frees the memory. The remaining entries belong to an epoch that has ended.
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

    /// Sets the reason why the cache is bypassed; `None` if it is in use.
    pub(crate) fn set_outage(&self, reason: Option<&str>) {
        *self.outage.lock() = reason.map(str::to_owned);
    }

    pub(crate) fn stats(&self) -> CacheStats {
        let of = |count| self.counters.of(count);
        CacheStats {
            is_ready: self.epoch.current().is_some(),
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

    /// Whether a test gave this cache the given flaw.
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

// Not derived, because the entries are session data, which must not be logged.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
