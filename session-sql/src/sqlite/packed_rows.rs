use std::{str::SplitAsciiWhitespace, time::Duration};

use session_core::{Operation, Owner, Record, Result, SessionKey, Version};
use sqlx::{Row, sqlite::SqliteRow};

use super::{
    core::Found,
    errors::{corrupt, failed},
};

/// The records of the one row of
/// [`Statements::read_packed`](super::statements::Statements::read_packed). `None` if there is a
/// row that is not a valid record, because the packed row does not include it.
pub(crate) fn records(operation: Operation, row: &SqliteRow) -> Result<Option<Found>> {
    let wrong_type = |error| failed(operation, error);
    if row.try_get::<bool, _>(2).map_err(wrong_type)? {
        return Ok(None);
    }
    let bytes: Option<&[u8]> = row.try_get(0).map_err(wrong_type)?;
    let numbers: Option<&str> = row.try_get(1).map_err(wrong_type)?;
    let (Some(mut bytes), Some(numbers)) = (bytes, numbers) else { return Ok(Some(Found::new())) };
    let mut numbers = numbers.split_ascii_whitespace();
    let mut found = Found::new();
    while !bytes.is_empty() {
        let (key, record) = record(operation, &mut bytes, &mut numbers)?;
        found.insert(key, record);
    }
    Ok(Some(found))
}

/// The next record, or its own error if that one cannot be used. An error if the row itself makes
/// no sense.
fn record(
    operation: Operation,
    bytes: &mut &[u8],
    numbers: &mut SplitAsciiWhitespace<'_>,
) -> Result<(SessionKey, Result<Record>)> {
    let garbled =
        || corrupt(operation, "the records of a batch do not have the lengths that are given for them");
    let mut number = || numbers.next().and_then(|number| number.parse::<i64>().ok()).ok_or_else(garbled);
    let (left, owner_len, len) = (number()?, number()?, number()?);
    let len_of = |number: i64| usize::try_from(number.max(0)).map_err(|_| garbled());
    let mut take = |len: usize| {
        let (taken, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Some(taken)
    };
    let key = take(SessionKey::LEN).ok_or_else(garbled)?;
    let version = take(16).and_then(|bytes| bytes.try_into().ok()).ok_or_else(garbled)?;
    let owner = take(len_of(owner_len)?).ok_or_else(garbled)?;
    let data = take(len_of(len)?).ok_or_else(garbled)?;
    let no_owner = |error| corrupt(operation, "the owner is none").with_source(error);
    let owner = match std::str::from_utf8(owner) {
        _ if owner_len < 0 => Ok(None),
        Ok(owner) => Owner::new(owner).map(Some).map_err(no_owner),
        Err(error) => Err(corrupt(operation, "the owner is not UTF-8").with_source(error)),
    };
    let record = owner.map(|owner| Record {
        data: data.to_vec().into(),
        version: Version::from_bytes(version),
        expires_in: Duration::from_millis(u64::try_from(left).unwrap_or_default()),
        owner,
    });
    Ok((SessionKey::try_from(key)?, record))
}
