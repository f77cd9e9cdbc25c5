//! Mistakes in values: those that are written, and those that are returned.

use std::time::{Duration, Instant};

use session_core::{OwnerChange, Record, SessionKey, Ttl, Version, Write, WriteOutcome};

use super::{Kind, Op, layer::Flawed};

const DAY: u64 = 86_400_000;

impl Flawed {
    /// The ttl that is set in place of this one. `left` is the remaining time of the present one.
    pub(super) fn ttl(&self, op: Op, ttl: Ttl, left: Option<Duration>) -> Ttl {
        let millis = ttl.as_millis();
        let set = match self.in_op(Kind::RoundsTtlUp).or(self.in_op(Kind::RoundsTtlDown)) {
            Some(its) if its == op && self.has(Kind::RoundsTtlUp, op) => millis.div_ceil(1_000) * 1_000,
            Some(its) if its == op => (millis / 1_000 * 1_000).max(1),
            _ => millis,
        };
        let set = if self.has(Kind::CapsTtl, op) { set.min(30 * DAY) } else { set };
        let left = left.and_then(|left| Ttl::new(left).ok());
        match left {
            Some(left) if self.has(Kind::KeepsTtl, op) => left,
            Some(left) if self.has(Kind::OnlyProlongs, op) => left.max(ttl),
            _ => Ttl::new(Duration::from_millis(set)).unwrap_or(ttl),
        }
    }

    /// The write that is made in place of this one.
    pub(super) fn spoilt(&self, op: Op, mut write: Write, before: Option<&Record>, max: usize) -> Write {
        write.ttl = self.ttl(op, write.ttl, before.map(|record| record.expires_in));
        write.data = self.cut(op, write.data.to_vec(), max).into();
        write.owner = match write.owner {
            OwnerChange::Keep if self.has(Kind::DropsOwner, op) => OwnerChange::Clear,
            OwnerChange::Clear if self.has(Kind::KeepsOwner, op) => OwnerChange::Keep,
            OwnerChange::Set(_) if self.has(Kind::IgnoresOwner, op) => OwnerChange::Keep,
            owner => owner,
        };
        write
    }

    fn cut(&self, op: Op, mut data: Vec<u8>, max: usize) -> Vec<u8> {
        if self.has(Kind::CutsLongData, op) {
            data.truncate(65_536);
        }
        if self.has(Kind::CutsLongest, op) && data.len() == max {
            data.pop();
        }
        if self.has(Kind::CutsAtNul, op) {
            data.truncate(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
        }
        data
    }

    /// Returns true if a mistaken comparison takes one version for the other.
    pub(super) fn takes_for(&self, op: Op, wanted: Version, live: Version) -> bool {
        let (wanted, live) = (wanted.as_bytes(), live.as_bytes());
        let last = Version::LEN - 1;
        (self.has(Kind::ComparesHalves, op) && wanted[..8] == live[..8])
            || (self.has(Kind::IgnoresABit, op)
                && wanted[..last] == live[..last]
                && wanted[last] | 1 == live[last] | 1)
    }

    /// The conflict that is reported in place of this one.
    pub(super) fn misreport(&self, op: Op, key: &SessionKey, found: Option<Record>) -> Option<Record> {
        let mut record = found?;
        if self.has(Kind::ConflictIsEmpty, op) {
            return None;
        }
        if self.has(Kind::ConflictWithoutOwner, op) {
            record.owner = None;
        }
        if self.has(Kind::ConflictWithWholeTtl, op)
            && let Some(ttl) = self.shared.memory().ttls.get(key)
        {
            record.expires_in = *ttl;
        }
        if self.has(Kind::ConflictWithOtherVersion, op) {
            record.version = Version::random();
        }
        if self.has(Kind::ConflictWithCutData, op) {
            record.data.truncate(65_536);
        }
        Some(record)
    }

    pub(super) fn misreport_write(&self, op: Op, key: &SessionKey, outcome: WriteOutcome) -> WriteOutcome {
        match outcome {
            WriteOutcome::Conflict(found) => WriteOutcome::Conflict(self.misreport(op, key, found)),
            WriteOutcome::Written => WriteOutcome::Written,
        }
    }

    /// The record that is returned in place of this one.
    pub(super) fn shown(&self, op: Op, key: &SessionKey, found: Option<Record>) -> Option<Record> {
        let Some(mut record) = found else {
            if self.has(Kind::ShowsExpired, op) {
                let memory = self.shared.memory();
                let (record, ended) = (&memory.last.get(key)?.0, memory.ends.get(key)?);
                // An expired record is returned for a while, a deleted one is not.
                let just = Instant::now().checked_duration_since(*ended)?;
                return (just < Duration::from_millis(300)).then(|| record.clone());
            }
            return None;
        };
        if self.has(Kind::ShowsNoOwner, op) {
            record.owner = None;
        }
        if self.has(Kind::ShowsWholeTtl, op)
            && let Some(ttl) = self.shared.memory().ttls.get(key)
        {
            record.expires_in = *ttl;
        }
        if self.has(Kind::ShowsCutData, op) {
            record.data.truncate(65_536);
        }
        Some(record)
    }
}
