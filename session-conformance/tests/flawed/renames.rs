//! Mistakes in renames.

use session_core::{
    Error, Expected, Operation, OwnerChange, Record, RenameOutcome, Result, SessionKey, SessionStore,
    Version, When, Write,
};

use tokio::sync::OwnedMutexGuard;

use super::{
    Kind, Op,
    layer::{Flawed, gap},
};

impl Flawed {
    pub(super) async fn rename_as(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let op = Op::Rename;
        if self.has(Kind::EndsItself, op) && old == new {
            let _ = self.inner.delete(old, Expected::Any).await?;
            return Ok(RenameOutcome::Renamed);
        }
        if self.has(Kind::ShowsData, op) && write.data.len() > self.max_data_len() {
            let error = Error::too_large(Operation::Rename, write.data.len(), self.max_data_len());
            return Err(error.because(String::from_utf8_lossy(&write.data[..64]).into_owned()));
        }
        let before = self.prepare(op, &[*old, *new]).await;
        let record = before.clone();
        let renaming = self.rename_wrongly(old, new, write, expected, before);
        let outcome = self.guarded(op, || RenameOutcome::Conflict(None), renaming).await?;
        Ok(match outcome {
            RenameOutcome::Conflict(found) => RenameOutcome::Conflict(self.misreport(op, old, found)),
            outcome => {
                self.stay_listed(op, old, record.as_ref());
                outcome
            }
        })
    }

    async fn rename_wrongly(
        &self,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
        before: Option<Record>,
    ) -> Result<RenameOutcome> {
        let op = Op::Rename;
        let live = before.as_ref().map(|record| record.version);
        let holds = live == Some(expected);
        let write = self.spoilt(op, write, before.as_ref(), self.max_data_len());
        if self.has(Kind::Loses, op) && holds {
            return Ok(RenameOutcome::Renamed);
        }
        if self.has(Kind::ForgetsItself, op) && before.is_none() {
            return Ok(RenameOutcome::Conflict(None));
        }
        let expected = match live {
            Some(live) if self.has(Kind::IgnoresCondition, op) || self.takes_for(op, expected, live) => live,
            _ => expected,
        };
        if self.has(Kind::Revives, op) && live.is_none() {
            let last = self.shared.memory().last.get(old).map(|(record, _)| record.version);
            if last == Some(expected) {
                let _ = self.inner.write(new, write, When::Any).await?;
                return Ok(RenameOutcome::Renamed);
            }
        }
        if self.has(Kind::Creates, op) && live.is_none() {
            let _ = self.inner.write(new, write, When::Absent).await?;
            return Ok(RenameOutcome::Conflict(None));
        }
        if self.has(Kind::Overwrites, op) || self.has(Kind::ForeignIsOverwritten, op) && holds {
            let _ = self.inner.delete(new, Expected::Any).await?;
        }
        let _locks = self.lock_in_turn(op, [old, new]).await;
        let in_steps =
            [Kind::ChecksThenActs, Kind::Tears, Kind::KeepsOld].iter().any(|kind| self.has(*kind, op));
        if in_steps && holds && self.inner.read(new).await?.is_none() {
            let owner = match (write.owner.clone(), before.and_then(|record| record.owner)) {
                (OwnerChange::Keep, Some(owner)) => OwnerChange::Set(owner),
                (owner, _) => owner,
            };
            if self.has(Kind::Tears, op) {
                let _ = self.inner.delete(old, Expected::Any).await?;
                gap().await;
            }
            let _ = self.inner.write(new, Write { owner, ..write }, When::Any).await?;
            if !self.has(Kind::KeepsOld, op) {
                gap().await;
                let _ = self.inner.delete(old, Expected::Any).await?;
            }
            return Ok(RenameOutcome::Renamed);
        }
        let outcome = self.inner.rename(old, new, write.clone(), expected).await?;
        match &outcome {
            RenameOutcome::Renamed => {
                self.note_written(new, &write);
                if self.has(Kind::ClaimsFailure, op) {
                    return Ok(RenameOutcome::Conflict(None));
                }
            }
            RenameOutcome::Conflict(_) => {
                if self.has(Kind::LeavesNew, op) {
                    let _ = self.inner.write(new, write, When::Absent).await?;
                }
                if self.has(Kind::ClaimsSuccess, op) {
                    return Ok(RenameOutcome::Renamed);
                }
            }
            RenameOutcome::Occupied => {}
        }
        Ok(outcome)
    }

    /// Locks these keys one after the other.
    async fn lock_in_turn(&self, op: Op, keys: [&SessionKey; 2]) -> Vec<OwnedMutexGuard<()>> {
        let mut held = Vec::new();
        if self.has(Kind::LocksInTurn, op) {
            for key in keys {
                let lock = self.shared.memory().locks.entry(*key).or_default().clone();
                held.push(lock.lock_owned().await);
                gap().await;
            }
        }
        held
    }
}
