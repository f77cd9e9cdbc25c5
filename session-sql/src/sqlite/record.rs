use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Owner, Record, Result, SessionKey, Version};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    errors::{corrupt, failed},
    statements::FORMAT,
};

/// The key of a row, which is its first column.
pub(crate) fn key(operation: Operation, row: &SqliteRow) -> Result<SessionKey> {
    let bytes: &[u8] = row.try_get(0).map_err(|error| failed(operation, error))?;
    SessionKey::try_from(bytes)
}

/// The version in this column.
pub(crate) fn version(row: &SqliteRow, column: usize) -> Option<Version> {
    let bytes: &[u8] = row.try_get(column).ok()?;
    bytes.try_into().ok().map(Version::from_bytes)
}

/// The record of a row: key, version, remaining time in milliseconds, owner, format, length, data.
/// An error if the row has another format or is not intact.
pub(crate) fn from_row(operation: Operation, row: &SqliteRow) -> Result<Record> {
    let wrong_type = |error| corrupt(operation, "a column has another type").with_source(error);
    let format: i64 = row.try_get(4).map_err(wrong_type)?;
    if format != FORMAT {
        return Err(Error::new(ErrorKind::Unsupported, operation)
            .because(format!("the row has format {format}, and this release knows format {FORMAT}")));
    }
    let version = version(row, 1).ok_or_else(|| corrupt(operation, "the version does not have 16 bytes"))?;
    let left: i64 = row.try_get(2).map_err(wrong_type)?;
    let owner: Option<&str> = row.try_get(3).map_err(wrong_type)?;
    let len: i64 = row.try_get(5).map_err(wrong_type)?;
    let data: Vec<u8> = row.try_get(6).map_err(wrong_type)?;
    if u64::try_from(len) != Ok(data.len() as u64) {
        return Err(corrupt(operation, "the data does not have the length that was written"));
    }
    let owner = owner
        .map(Owner::new)
        .transpose()
        .map_err(|error| corrupt(operation, "the owner is none").with_source(error))?;
    let expires_in = Duration::from_millis(u64::try_from(left).unwrap_or_default());
    Ok(Record { data: data.into(), version, expires_in, owner })
}
