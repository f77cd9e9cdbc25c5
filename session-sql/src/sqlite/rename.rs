use std::sync::Arc;

use session_core::{Event, Operation, RenameOutcome, Result, SessionKey, Version, Write};

use super::{
    binds::Fields,
    connections::Lease,
    core::{Change, Core},
};

struct Rename {
    old: SessionKey,
    new: SessionKey,
    write: Write,
    expected: Version,
}

impl Core {
    pub(crate) async fn rename(
        self: &Arc<Self>,
        old: &SessionKey,
        new: &SessionKey,
        write: Write,
        expected: Version,
    ) -> Result<RenameOutcome> {
        self.check_len(Operation::Rename, &write)?;
        self.change(Rename { old: *old, new: *new, write, expected }).await
    }
}

impl Change for Rename {
    type Outcome = RenameOutcome;
    const OPERATION: Operation = Operation::Rename;

    fn items(&self) -> usize {
        1
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<RenameOutcome> {
        let Self { old, new, write, expected } = self;
        let mut fields = Fields::with_capacity(8);
        fields.key(&new);
        fields.content(&write);
        fields.key(&old);
        fields.version(Some(&expected));
        let renamed = lease.rows(Operation::Rename, core.statements.rename.clone(), fields).await?;
        if !renamed.is_empty() {
            core.shared.events.tell(Event::Deleted { key: old });
            core.shared.events.tell(Event::Changed { key: new, version: Some(write.version) });
            return Ok(RenameOutcome::Renamed);
        }
        let mut found = core.look(lease, Operation::Rename, &[old, new]).await?;
        // Not removed, because `old` and `new` may be the same key.
        let in_the_way = found.get(&new).cloned();
        match found.remove(&old).transpose()? {
            // The old record is as expected, so the new key was occupied.
            Some(record) if record.version == expected => {
                in_the_way.transpose()?;
                Ok(RenameOutcome::Occupied)
            }
            // An earlier delivery of this same rename.
            None if matches!(in_the_way, Some(Ok(record)) if record.version == write.version) => {
                Ok(RenameOutcome::Renamed)
            }
            other => Ok(RenameOutcome::Conflict(other)),
        }
    }
}
