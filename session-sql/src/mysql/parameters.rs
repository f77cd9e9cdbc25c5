//! Binds the items of an operation to the parameters of a statement.

use std::iter;

use session_core::{DeleteItem, Expected, OwnerChange, SessionKey, Version, When, WriteItem};
use sqlx::{MySql as Database, SqlStr, mysql::MySqlArguments, query::Query};

use super::statements::{KEEP_OWNER, Statements, WHEN_ABSENT, WHEN_ANY, WHEN_VERSION};
use crate::statement_sizes::padded;

pub(super) type Asked<'q> = Query<'q, Database, MySqlArguments>;

pub(super) fn millis(millis: u64) -> i64 {
    // A TTL is at most a hundred years.
    i64::try_from(millis).unwrap_or(i64::MAX)
}

pub(super) fn new_owner(change: &OwnerChange) -> Option<&[u8]> {
    match change {
        OwnerChange::Set(owner) => Some(owner.as_str().as_bytes()),
        OwnerChange::Keep | OwnerChange::Clear => None,
    }
}

pub(super) fn bytes(key: &SessionKey) -> &[u8] {
    key.as_bytes()
}

/// A statement with a key for each parameter. Keys repeat as padding.
pub(super) fn on_keys<'q>(
    sql: SqlStr,
    keys: impl Iterator<Item = &'q SessionKey> + Clone,
    size: usize,
) -> Asked<'q> {
    keys.cycle().take(size).fold(sqlx::query(sql), |query, key| query.bind(bytes(key)))
}

/// The items in key order, in which all statements lock rows.
pub(super) fn in_key_order<T>(items: &[T], key: impl Fn(&T) -> &SessionKey) -> Vec<&T> {
    let mut items: Vec<&T> = items.iter().collect();
    items.sort_unstable_by_key(|item| key(item).as_bytes());
    items
}

/// Binds items that are in key order.
pub(super) fn writing<'q>(sql: SqlStr, items: &[&'q WriteItem]) -> Asked<'q> {
    // The padding is sent as well, so it repeats the smallest item.
    let least = items.iter().copied().min_by_key(|item| item.write.data.len());
    let filler = iter::repeat_n(least, Statements::write_size(items.len()) - items.len()).flatten();
    items.iter().copied().chain(filler).fold(sqlx::query(sql), |query, item| {
        let write = &item.write;
        let ttl = millis(write.ttl.as_millis());
        let (when, expected) = match &item.when {
            When::Absent => (WHEN_ABSENT, [0; Version::LEN]),
            When::Version(version) => (WHEN_VERSION, *version.as_bytes()),
            When::Any => (WHEN_ANY, [0; Version::LEN]),
        };
        let lives = (when != WHEN_VERSION).then_some(ttl);
        // The lower six bytes hold any TTL: it is at most a hundred years.
        let expected_and_ttl = [&expected[..], &ttl.to_be_bytes()[2..]].concat();
        query
            .bind(bytes(&item.key))
            .bind(&write.version.as_bytes()[..])
            .bind(lives)
            .bind(lives)
            .bind(when | if write.owner == OwnerChange::Keep { KEEP_OWNER } else { 0 })
            .bind(expected_and_ttl)
            .bind(new_owner(&write.owner))
            .bind(i64::try_from(write.data.len()).unwrap_or(i64::MAX))
            .bind(&write.data[..])
    })
}

pub(super) fn deleting<'q>(sql: SqlStr, items: &[&'q DeleteItem]) -> Asked<'q> {
    let size = padded(items.len());
    let fill =
        |query: Asked<'q>, places: usize| (0..places).fold(query, |query, _| query.bind(&[][..] as &[u8]));
    let any = |query: Asked<'q>| {
        let any: Vec<&[u8]> =
            items.iter().filter(|item| item.expected == Expected::Any).map(|item| bytes(&item.key)).collect();
        let places = size - any.len();
        fill(any.into_iter().fold(query, Query::bind), places)
    };
    let mut query = any(on_keys(sql, items.iter().map(|item| &item.key), size));
    let mut places = size;
    for item in items {
        if let Expected::Version(version) = &item.expected {
            query = query.bind(bytes(&item.key)).bind(&version.as_bytes()[..]);
            places -= 1;
        }
    }
    any(fill(query, 2 * places))
}
