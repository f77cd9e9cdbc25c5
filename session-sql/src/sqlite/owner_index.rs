use session_core::{Error, ErrorKind, Event, Operation, Owner, OwnerIndex, Result, SessionKey, async_trait};
use sqlx::{Row, SqlStr, sqlite::SqliteRow};

use super::{
    backend::SqliteBackend,
    binds::Fields,
    connections::Lease,
    core::{Change, Core},
    errors::failed,
    record,
};

/// Ends the sessions of an owner. It is one statement under the write lock, and a rename keeps the
/// row, so no session escapes.
struct DeleteOwner {
    owner: Owner,
    except: Option<SessionKey>,
}

#[async_trait]
impl OwnerIndex for SqliteBackend {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let rows = self.of_owner(Operation::ListOwner, owner, self.0.statements.list_owner.clone()).await?;
        rows.iter().map(|row| record::key(Operation::ListOwner, row)).collect()
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let rows = self.of_owner(Operation::CountOwner, owner, self.0.statements.count_owner.clone()).await?;
        number(Operation::CountOwner, &rows)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        self.0.change(DeleteOwner { owner: owner.clone(), except: except.copied() }).await
    }
}

impl SqliteBackend {
    async fn of_owner(&self, operation: Operation, owner: &Owner, sql: SqlStr) -> Result<Vec<SqliteRow>> {
        let mut fields = Fields::with_capacity(1);
        fields.push(owner.as_str());
        self.0.ask(operation, sql, fields).await
    }
}

/// The result of a count statement.
pub(crate) fn number(operation: Operation, rows: &[SqliteRow]) -> Result<u64> {
    let missing = || Error::new(ErrorKind::Internal, operation).because("a count gave no number");
    let number: i64 =
        rows.first().ok_or_else(missing)?.try_get(0).map_err(|error| failed(operation, error))?;
    u64::try_from(number).map_err(|_| missing())
}

impl Change for DeleteOwner {
    type Outcome = Vec<SessionKey>;
    const OPERATION: Operation = Operation::DeleteOwner;

    fn items(&self) -> usize {
        1
    }

    async fn make(self, core: &Core, lease: &mut Lease) -> Result<Vec<SessionKey>> {
        let mut fields = Fields::with_capacity(2);
        fields.push(self.owner.as_str());
        fields.push(self.except.as_ref().map(|key| &key.as_bytes()[..]));
        let rows = lease.rows(Self::OPERATION, core.statements.delete_owner.clone(), fields).await?;
        let ended: Vec<SessionKey> =
            rows.iter().map(|row| record::key(Self::OPERATION, row)).collect::<Result<_>>()?;
        for key in &ended {
            core.shared.events.tell(Event::Deleted { key: *key });
        }
        Ok(ended)
    }
}
