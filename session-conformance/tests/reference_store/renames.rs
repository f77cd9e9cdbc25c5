//! Renames, as one step and as a series of steps.

use std::time::Instant;

use session_core::{
    Error, Event, Expected, Operation, RenameOutcome, Result, SessionKey, SessionStore, Version, When, Write,
};

use super::{
    Flaw, ReferenceStore, gap,
    space::{Slot, Space},
};

impl ReferenceStore {
    pub(super) fn rename_now(
        &self,
        space: &mut Space,
        now: Instant,
        (old, new): (&SessionKey, &SessionKey),
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        if write.data.len() > self.max_data_len() {
            return Err(Error::too_large(Operation::Rename, write.data.len(), self.max_data_len()));
        }
        let found = space.find(old, now, Operation::Rename)?.cloned();
        let mut buried = None;
        if self.has(Flaw::RenameRevives) && found.is_none() {
            buried = space.graveyard.get(old).cloned();
        }
        let Some(stored) = found.clone().or(buried) else {
            let there = space.find(new, now, Operation::Rename)?.map(|stored| stored.version);
            if there.is_some() && self.has(Flaw::RenameRedeliveryUndoes) {
                self.keep(space, now, new, write, None, None);
                return Ok(RenameOutcome::Renamed);
            }
            let is_mine = there == Some(write.version) && !self.has(Flaw::RenameRedeliveryConflicts);
            return Ok(if is_mine { RenameOutcome::Renamed } else { RenameOutcome::Conflict(None) });
        };
        if stored.version != expected {
            if self.has(Flaw::RenameLeavesNew) {
                self.keep(space, now, new, write, None, None);
            }
            return Ok(RenameOutcome::Conflict(Some(space.record(&stored, now))));
        }
        if space.find(new, now, Operation::Rename)?.is_some() && !self.has(Flaw::RenameOverwrites) {
            return Ok(RenameOutcome::Occupied);
        }
        let inherited = if self.has(Flaw::RenameDropsOwner) { None } else { stored.owner };
        self.keep(space, now, new, write, None, inherited);
        if self.has(Flaw::IndexMissesRenamed)
            && let Some(Slot::Ours(stored)) = space.slots.get_mut(new)
        {
            stored.indexed = false;
        }
        if !self.has(Flaw::RenameKeepsOld) {
            space.remove(old);
        }
        if !self.has(Flaw::WatchMissesOldKey) {
            space.tell(Event::Deleted { key: *old });
        }
        Ok(RenameOutcome::Renamed)
    }

    /// A rename as a series of steps, with a flaw.
    pub(super) async fn rename_in_steps(
        &self,
        (old, new): (&SessionKey, &SessionKey),
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        let found = self.read(old).await?;
        match found {
            Some(record) if record.version == expected => {}
            None if self.has(Flaw::RenameTrustsTheNewRecord) => {
                let there = self.read(new).await?;
                let is_mine = there.is_some_and(|record| record.version == write.version);
                return Ok(if is_mine { RenameOutcome::Renamed } else { RenameOutcome::Conflict(None) });
            }
            other => return Ok(RenameOutcome::Conflict(other)),
        }
        if self.has(Flaw::RenameDeletesFirst) {
            let _ = self.delete(old, Expected::Any).await?;
            gap().await;
            let _ = self.write(new, write, When::Any).await?;
            return Ok(RenameOutcome::Renamed);
        }
        let _ = self.write(new, write, When::Any).await?;
        gap().await;
        let _ = self.delete(old, Expected::Any).await?;
        Ok(RenameOutcome::Renamed)
    }
}
