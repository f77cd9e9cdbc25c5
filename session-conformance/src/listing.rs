//! Collects all pages of a listing.

use session_core::{Maintenance, Record, SessionKey};

use crate::{
    failure::{Checked, Failure},
    model::Asked,
};

/// More pages than any case needs. Detects a listing that does not end.
const MOST_PAGES: usize = 100_000;

/// A record of a listing, and the time of the request for its page.
pub(crate) struct Listed {
    pub(crate) key: SessionKey,
    pub(crate) record: Record,
    pub(crate) asked: Asked,
}

/// The number of short pages after which a listing continues with long ones: in a shared keyspace,
/// most keys belong to others.
const SHORT_PAGES: usize = 500;

/// Returns all records on pages of this size. A record that is listed twice is contained twice.
pub(crate) async fn listing(maintenance: &dyn Maintenance, limit: usize) -> Checked<Vec<Listed>> {
    let mut listed = Vec::new();
    let mut cursor = None;
    for pages in 0..MOST_PAGES {
        let limit = if pages < SHORT_PAGES { limit } else { limit.max(1_000) };
        let asked = Asked::now();
        let page = maintenance.page(cursor, limit).await?;
        listed.extend(page.records.into_iter().map(|(key, record)| Listed { key, record, asked }));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(listed);
        }
    }
    Err(Failure::new(format!("a listing in pages of {limit} does not end")))
}
