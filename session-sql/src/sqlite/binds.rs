use session_core::{OwnerChange, SessionKey, Version, When, Write};
use sqlx::{Arguments, error::BoxDynError, sqlite::SqliteArguments};

use super::statements::{WHEN_ABSENT, WHEN_ANY, WHEN_VERSION};

/// The parameters of a statement, in their order.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    arguments: SqliteArguments,
    /// Encoding does not fail for the types below; if it ever does, this says why.
    failed: Option<BoxDynError>,
}

impl Fields {
    pub(crate) fn with_capacity(fields: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(fields, 0);
        Self { arguments, failed: None }
    }

    pub(crate) fn push<'t, T>(&mut self, value: T)
    where
        T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.failed.get_or_insert(error);
        }
    }

    pub(crate) fn key(&mut self, key: &SessionKey) {
        self.push(&key.as_bytes()[..]);
    }

    pub(crate) fn version(&mut self, version: Option<&Version>) {
        self.push(version.map(|version| &version.as_bytes()[..]));
    }

    pub(crate) fn millis(&mut self, millis: u64) {
        // A TTL is at most a hundred years.
        self.push(i64::try_from(millis).unwrap_or(i64::MAX));
    }

    /// Version, TTL, whether the owner is kept, new owner, data.
    pub(crate) fn content(&mut self, write: &Write) {
        self.version(Some(&write.version));
        self.millis(write.ttl.as_millis());
        let (keep, owner) = match &write.owner {
            OwnerChange::Keep => (1_i64, None),
            OwnerChange::Set(owner) => (0, Some(owner.as_str())),
            OwnerChange::Clear => (0, None),
        };
        self.push(keep);
        self.push(owner);
        self.push(&write.data[..]);
    }

    /// The condition and the expected version.
    pub(crate) fn when(&mut self, when: When) {
        let (condition, expected) = match when {
            When::Absent => (WHEN_ABSENT, None),
            When::Version(version) => (WHEN_VERSION, Some(version)),
            When::Any => (WHEN_ANY, None),
        };
        self.push(condition);
        self.version(expected.as_ref());
    }

    /// Version, TTL, data, and the expected version.
    pub(crate) fn renewal(&mut self, write: &Write, when: When) {
        self.version(Some(&write.version));
        self.millis(write.ttl.as_millis());
        self.push(&write.data[..]);
        self.version(if let When::Version(version) = &when { Some(version) } else { None });
    }

    /// Adds `fields` NULLs.
    pub(crate) fn nulls(&mut self, fields: usize) {
        for _ in 0..fields {
            self.push(None::<i64>);
        }
    }

    pub(crate) fn finish(self) -> Result<SqliteArguments, sqlx::Error> {
        match self.failed {
            None => Ok(self.arguments),
            Some(error) => Err(sqlx::Error::Encode(error)),
        }
    }
}
