//! Everything that a listing shows, page after page.

use session_core::{Maintenance, Record, SessionKey};

use crate::{
    failure::{Checked, Failure},
    model::Asked,
};

/// More pages than any case needs, so that a listing which does not end is found out.
const MOST_PAGES: usize = 100_000;

/// A record of a listing, and when the page was asked for.
pub(crate) struct Listed {
    pub(crate) key: SessionKey,
    pub(crate) record: Record,
    pub(crate) asked: Asked,
}

/// After so many short pages, a listing goes on with long ones: where a keyspace is shared with others, most of it belongs to them.
const SHORT_PAGES: usize = 500;

/// All records that pages of this size show. One that comes twice is there twice.
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
