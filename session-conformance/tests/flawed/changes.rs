//! Mistakes in single changes. Batches make the same ones, item by item, as operations of their
//! own.

use std::time::{Duration, Instant};

use session_core::{
    DeleteOutcome, ErrorKind, Expected, OwnerChange, Record, Result, SessionKey, SessionStore, Ttl, Version,
    When, Write, WriteOutcome,
};
use tokio::{sync::watch, time::sleep};

use super::{
    Kind, Op,
    layer::{Flawed, gap, lock},
};

impl Flawed {
    pub(super) async fn read_as(&self, op: Op, key: &SessionKey) -> Result<Option<Record>> {
        let stale = self.in_op(Kind::StaysStale).is_some();
        let changes = self.shared.memory().changes.get(key).copied().unwrap_or_default();
        if stale
            && let Some((seen, found)) = lock(&self.cache).get(key)
            && *seen == changes
        {
            return Ok(found.clone());
        }
        if self.has(Kind::SharesAnswers, op) {
            return self.read_with_others(key).await;
        }
        let found = self.guarded(op, || None, self.inner.read(key)).await?;
        let found = if found.is_none() && self.has(Kind::CrossesNamespaces, op) {
            self.elsewhere(key).await
        } else {
            found
        };
        if stale {
            lock(&self.cache).insert(*key, (changes, found.clone()));
        }
        Ok(self.shown(op, key, found))
    }

    /// A read that also answers all reads of the same key which begin while it is in flight.
    async fn read_with_others(&self, key: &SessionKey) -> Result<Option<Record>> {
        let under_way = lock(&self.asked).get(key).cloned();
        if let Some(mut answer) = under_way
            && let Ok(found) = answer.wait_for(Option::is_some).await
        {
            return found.clone().unwrap_or(Ok(None));
        }
        let (answer, asked) = watch::channel(None);
        lock(&self.asked).insert(*key, asked);
        let found = self.inner.read(key).await;
        gap().await;
        lock(&self.asked).remove(key);
        answer.send_replace(Some(found.clone()));
        found
    }

    async fn elsewhere(&self, key: &SessionKey) -> Option<Record> {
        let all: Vec<_> = lock(&self.shared.all).values().cloned().collect();
        for store in all {
            if let Ok(Some(record)) = store.read(key).await {
                return Some(record);
            }
        }
        None
    }

    /// Prepares a change before its mistakes: updates caches and listeners, and records what the
    /// mistakes need.
    pub(super) async fn prepare(&self, op: Op, keys: &[SessionKey]) -> Option<Record> {
        for key in keys {
            lock(&self.cache).remove(key);
        }
        self.begin_change(op, keys);
        self.tell_early(op, keys).await;
        let needs_no_look = [
            Kind::Resends,
            Kind::BlamesOthers,
            Kind::SaysNotApplied,
            Kind::IsEmptyInOutage,
            Kind::HangsInOutage,
            Kind::IsCutOff,
        ];
        if needs_no_look.iter().any(|kind| self.in_op(*kind).is_some()) {
            return None;
        }
        self.remember(&keys[0]).await
    }

    pub(super) async fn write_as(
        &self,
        op: Op,
        key: &SessionKey,
        write: Write,
        when: When,
    ) -> Result<WriteOutcome> {
        let before = self.prepare(op, &[*key]).await;
        let former = before.clone();
        let outcome = self.guarded(
            op,
            || WriteOutcome::Conflict(None),
            self.write_wrongly(op, key, write, when, before),
        );
        let outcome = outcome.await?;
        if outcome.is_written() {
            // A session with a new owner may stay listed for its former owner.
            self.stay_listed(op, key, former.as_ref());
        }
        Ok(self.misreport_write(op, key, outcome))
    }

    async fn write_wrongly(
        &self,
        op: Op,
        key: &SessionKey,
        write: Write,
        when: When,
        before: Option<Record>,
    ) -> Result<WriteOutcome> {
        let live = before.as_ref().map(|record| record.version);
        let holds = when.holds(live);
        let is_again = live == Some(write.version);
        let write =
            if is_again { write } else { self.spoilt(op, write, before.as_ref(), self.max_data_len()) };
        if self.has(Kind::Loses, op) && holds && !is_again {
            return Ok(WriteOutcome::Written);
        }
        if self.has(Kind::ForgetsItself, op) && is_again {
            return Ok(WriteOutcome::Conflict(before));
        }
        let when = match (when, live) {
            (_, _) if self.has(Kind::IgnoresCondition, op) && live.is_some() => When::Any,
            (When::Version(_), None) if self.has(Kind::Creates, op) => When::Absent,
            (When::Version(wanted), Some(live)) if self.takes_for(op, wanted, live) => When::Version(live),
            (when, _) => when,
        };
        if self.has(Kind::Revives, op) && live.is_none() {
            let last = self.shared.memory().last.get(key).map(|(record, _)| record.version);
            if matches!(when, When::Version(wanted) if last == Some(wanted)) {
                return self.send(op, key, write, When::Any).await;
            }
        }
        if self.has(Kind::ChecksThenActs, op) && when != When::Any && !is_again {
            if !holds {
                return Ok(WriteOutcome::Conflict(before));
            }
            gap().await;
            return self.send(op, key, write, When::Any).await;
        }
        if self.has(Kind::Tears, op) && holds && !is_again {
            let half = Write { version: Version::random(), owner: OwnerChange::Keep, ..write.clone() };
            let _ = self.inner.write(key, half, when).await?;
            gap().await;
            return self.send(op, key, write, When::Any).await;
        }
        let ttl = write.ttl;
        let outcome = match self.send(op, key, write.clone(), when).await {
            Err(error) if self.has(Kind::ForeignIsOverwritten, op) && is_foreign(error.kind()) => {
                let _ = self.inner.delete(key, Expected::Any).await?;
                self.send(op, key, write, When::Any).await?
            }
            Err(error)
                if self.has(Kind::ForeignStays, op) && is_foreign(error.kind()) && when == When::Any =>
            {
                WriteOutcome::Written
            }
            Err(error) if self.has(Kind::BlamesOthers, op) && error.may_have_applied() => {
                sleep(Duration::from_millis(20)).await;
                match self.inner.read(key).await? {
                    Some(record) if record.version == write.version => WriteOutcome::Written,
                    found => WriteOutcome::Conflict(found),
                }
            }
            outcome => outcome?,
        };
        match outcome {
            WriteOutcome::Conflict(_) if self.has(Kind::ClaimsSuccess, op) => Ok(WriteOutcome::Written),
            WriteOutcome::Conflict(found) => {
                if self.has(Kind::ConflictRenews, op) {
                    self.inner.touch(key, ttl).await?;
                }
                Ok(WriteOutcome::Conflict(found))
            }
            WriteOutcome::Written if self.has(Kind::ClaimsFailure, op) && !is_again => {
                Ok(WriteOutcome::Conflict(self.inner.read(key).await?))
            }
            WriteOutcome::Written => Ok(WriteOutcome::Written),
        }
    }

    /// Sends a write, and resends it for some mistakes.
    async fn send(&self, op: Op, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        let outcome = self.inner.write(key, write.clone(), when).await;
        match &outcome {
            Ok(WriteOutcome::Written) => self.note_written(key, &write),
            Err(error)
                if error.may_have_applied()
                    && self.has(Kind::Resends, op)
                    && !matches!(when, When::Version(_)) =>
            {
                let (inner, key) = (self.inner.clone(), *key);
                tokio::spawn(async move {
                    sleep(Duration::from_millis(40)).await;
                    let _ = inner.write(&key, write, when).await;
                });
            }
            _ => {}
        }
        outcome
    }

    pub(super) fn note_written(&self, key: &SessionKey, write: &Write) {
        let (ttl, mut memory) = (write.ttl.as_duration(), self.shared.memory());
        memory.ttls.insert(*key, ttl);
        memory.ends.insert(*key, Instant::now() + ttl);
        let owner = match &write.owner {
            OwnerChange::Set(owner) => Some(owner.clone()),
            _ => None,
        };
        let record = Record { data: write.data.clone(), version: write.version, expires_in: ttl, owner };
        memory.last.insert(*key, (record, Instant::now()));
    }

    pub(super) async fn touch_as(&self, op: Op, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        let before = self.prepare(op, &[*key]).await;
        self.guarded(op, || false, self.touch_wrongly(op, key, ttl, before)).await
    }

    async fn touch_wrongly(
        &self,
        op: Op,
        key: &SessionKey,
        ttl: Ttl,
        before: Option<Record>,
    ) -> Result<bool> {
        let wanted = ttl;
        let ttl = self.ttl(op, ttl, before.as_ref().map(|record| record.expires_in));
        let Some(record) = before.filter(|_| {
            [Kind::Loses, Kind::ChecksThenActs, Kind::Tears, Kind::ChangesVersion, Kind::DropsOwner]
                .iter()
                .any(|kind| self.has(*kind, op))
        }) else {
            let touched = match self.inner.touch(key, ttl).await {
                Err(error) if self.has(Kind::Resends, op) && error.may_have_applied() => {
                    sleep(Duration::from_millis(20)).await;
                    self.inner.touch(key, ttl).await?
                }
                Err(error) if self.has(Kind::ForeignIsOverwritten, op) && is_foreign(error.kind()) => {
                    let _ = self.inner.delete(key, Expected::Any).await?;
                    true
                }
                touched => touched?,
            };
            if touched {
                let mut memory = self.shared.memory();
                memory.ttls.insert(*key, ttl.as_duration());
                memory.ends.insert(*key, Instant::now() + ttl.as_duration());
                return Ok(!self.has(Kind::ClaimsFailure, op));
            }
            let last = self.shared.memory().last.get(key).map(|(record, _)| record.clone());
            if self.has(Kind::Creates, op) {
                let _ = self.inner.write(key, Write::new("", wanted), When::Absent).await?;
            } else if let (true, Some(record)) = (self.has(Kind::Revives, op), last) {
                let _ = self.inner.write(key, again(&record, wanted), When::Absent).await?;
            }
            return Ok(self.has(Kind::ClaimsSuccess, op));
        };
        if self.has(Kind::Loses, op) {
            return Ok(true);
        }
        let mut next = again(&record, ttl);
        if self.has(Kind::ChangesVersion, op) {
            next.version = Version::random();
        }
        if self.has(Kind::DropsOwner, op) {
            next.owner = OwnerChange::Clear;
        }
        if self.has(Kind::Tears, op) {
            let half = Write { version: Version::random(), ..next.clone() };
            let _ = self.inner.write(key, half, When::Any).await?;
        }
        gap().await;
        let _ = self.inner.delete(key, Expected::Any).await?;
        let _ = self.inner.write(key, next, When::Any).await?;
        Ok(true)
    }

    pub(super) async fn delete_as(
        &self,
        op: Op,
        key: &SessionKey,
        expected: Expected,
    ) -> Result<DeleteOutcome> {
        let before = self.prepare(op, &[*key]).await;
        let live = before.as_ref().map(|record| record.version);
        let outcome =
            self.guarded(op, || DeleteOutcome::Absent, self.delete_wrongly(op, key, expected, live)).await?;
        if outcome == DeleteOutcome::Deleted {
            self.stay_listed(op, key, before.as_ref());
        }
        Ok(outcome)
    }

    async fn delete_wrongly(
        &self,
        op: Op,
        key: &SessionKey,
        expected: Expected,
        live: Option<Version>,
    ) -> Result<DeleteOutcome> {
        let holds = live.is_some_and(|live| expected.matches(live));
        if self.has(Kind::Loses, op) && holds {
            return Ok(DeleteOutcome::Deleted);
        }
        let expected = match (expected, live) {
            _ if self.has(Kind::IgnoresCondition, op) => Expected::Any,
            (Expected::Version(wanted), Some(live)) if self.takes_for(op, wanted, live) => Expected::Any,
            (expected, _) => expected,
        };
        if self.has(Kind::ChecksThenActs, op) {
            if !holds {
                return Ok(if live.is_some() { DeleteOutcome::Conflict } else { DeleteOutcome::Absent });
            }
            gap().await;
            let _ = self.inner.delete(key, Expected::Any).await?;
            return Ok(DeleteOutcome::Deleted);
        }
        if self.has(Kind::Tears, op) && holds {
            let half = Write::new("", Ttl::MAX);
            let _ = self.inner.write(key, half, When::Any).await?;
            gap().await;
            return self.inner.delete(key, Expected::Any).await;
        }
        let outcome = match self.inner.delete(key, expected).await {
            Err(error) if self.has(Kind::Resends, op) && error.may_have_applied() => {
                sleep(Duration::from_millis(20)).await;
                self.inner.delete(key, expected).await?
            }
            Err(error) if self.has(Kind::ForeignIsOverwritten, op) && is_foreign(error.kind()) => {
                self.inner.delete(key, Expected::Any).await?
            }
            outcome => outcome?,
        };
        Ok(match outcome {
            DeleteOutcome::Deleted if self.has(Kind::ClaimsFailure, op) => DeleteOutcome::Absent,
            DeleteOutcome::Absent | DeleteOutcome::Conflict if self.has(Kind::ClaimsSuccess, op) => {
                DeleteOutcome::Deleted
            }
            outcome => outcome,
        })
    }
}

fn is_foreign(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported)
}

/// A write of the same record with another ttl.
fn again(record: &Record, ttl: Ttl) -> Write {
    let owner = record.owner.clone().map_or(OwnerChange::Clear, OwnerChange::Set);
    Write { data: record.data.clone(), version: record.version, ttl, owner }
}
