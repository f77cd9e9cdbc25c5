//! All SQL of this dialect.

use std::{array, sync::Arc};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{
    statement_sizes::{SIZES, size_index},
    table::Table,
};

/// The row format that this release writes, stored in each row.
pub(crate) const FORMAT: i64 = 1;

/// The version of the schema that this release makes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// The oldest release whose clock has milliseconds.
pub(crate) const OLDEST: (u32, u32) = (3, 42);

/// The present in milliseconds. SQLite fixes it for one step of a statement, after the locks of
/// that statement were taken.
///
/// The clock ticks in milliseconds, but the value is a binary fraction, so it is rounded to its
/// tick.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 + 0.5 AS INTEGER)";

/// The maximum time, in milliseconds, between two visits of the purge to one row.
///
/// Column `b` of a row is the time of the purge's next visit: the expiry as known when the row is
/// made, or earlier. A change of the expiry leaves `b` as it is, so that no write and no touch has
/// an index to update. The purge moves `b` forward when it finds the row alive, and by the maximum
/// when the row is not a valid record. A session whose time was cut short may therefore take up
/// space for that long.
const LONGEST_WAIT: i64 = 6 * 60 * 60 * 1000;

/// The statements on one table. Those that take many items exist in sizes that are powers of two,
/// so that few are prepared.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    read: [SqlStr; SIZES],
    read_packed: [SqlStr; SIZES],
    write: [SqlStr; SIZES],
    renew: [SqlStr; SIZES],
    touch: [SqlStr; SIZES],
    delete: [SqlStr; SIZES],
    pub(crate) rename: SqlStr,
    pub(crate) list_owner: SqlStr,
    pub(crate) count_owner: SqlStr,
    pub(crate) delete_owner: SqlStr,
    pub(crate) page: SqlStr,
    pub(crate) count: SqlStr,
    pub(crate) purge: SqlStr,
    pub(crate) postpone: SqlStr,
    pub(crate) probe: SqlStr,
    /// The migrations. The first one creates version 1 of the schema, and so on.
    pub(crate) migrations: Vec<Vec<SqlStr>>,
}

pub(crate) const VERSION: &str = "SELECT sqlite_version()";

/// The file of the main database; empty for a database in memory.
pub(crate) const FILE: &str = "SELECT file FROM pragma_database_list WHERE name = 'main'";

/// The encoding of text in the database.
pub(crate) const ENCODING: &str = "PRAGMA encoding";

/// Moves what it can from the write-ahead log to the database file, while others read and write.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Moves everything, and waits until no connection reads from the log any more, so that the next
/// change starts it anew.
pub(crate) const RESTART_LOG: &str = "PRAGMA wal_checkpoint(RESTART)";

pub(crate) const USE_WAL: &str = "PRAGMA journal_mode = WAL";

/// Counts the tables of this name.
pub(crate) const HAS_TABLE: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?";

pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

pub(crate) const MAKE_SCHEMA_TABLE: &str = "CREATE TABLE IF NOT EXISTS session_store_schema (
    name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID";

pub(crate) const SCHEMA_OF: &str = "SELECT version FROM session_store_schema WHERE name = ?";

pub(crate) const SET_SCHEMA: &str = "INSERT INTO session_store_schema (name, version) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version";

impl Statements {
    pub(crate) fn new(table: &Table) -> Self {
        let each = |make: fn(&Table, usize) -> String| array::from_fn(|index| sql(make(table, 1 << index)));
        let c_is_ours = ours("c.");
        let c_is_live = live("c.");
        Self {
            read: each(read),
            read_packed: each(read_packed),
            write: each(write),
            renew: each(renew),
            touch: each(touch),
            delete: each(delete),
            // One step: an expired row under the new key is replaced, and any other row there
            // blocks the rename. The row of the old key stays the same row, so no deletion by owner
            // misses it.
            rename: sql(format!(
                "UPDATE OR REPLACE {table} AS c
                SET k = ?1, v = ?2, e = {NOW} + ?3, o = CASE WHEN ?4 THEN c.o ELSE ?5 END, n = length(?6), d = ?6
                WHERE c.k = ?7 AND c.v = ?8 AND {c_is_live}
                AND NOT EXISTS (SELECT 1 FROM {table} AS x WHERE x.k = ?1 AND NOT ({} AND x.e <= {NOW}))
                RETURNING k",
                ours("x.")
            )),
            list_owner: sql(format!("SELECT c.k FROM {table} AS c WHERE c.o = ? AND {c_is_live}")),
            count_owner: sql(format!("SELECT count(*) FROM {table} AS c WHERE c.o = ? AND {c_is_live}")),
            delete_owner: sql(format!(
                "DELETE FROM {table} AS c WHERE c.o = ?1 AND c.k IS NOT ?2 AND {c_is_live} RETURNING k"
            )),
            page: sql(format!(
                "SELECT c.k, c.v, c.e - {NOW}, c.o, c.f, c.n, c.d FROM {table} AS c
                WHERE c.k > ? AND {c_is_live} ORDER BY c.k LIMIT ?"
            )),
            count: sql(format!("SELECT count(*) FROM {table} AS c WHERE c.f = {FORMAT} AND c.e > {NOW}")),
            // The lock is held from the search to the deletion, so a session that is renewed in the
            // meantime is not freed.
            purge: sql(format!(
                "DELETE FROM {table} AS c WHERE c.rowid IN ({due}) AND {c_is_ours} AND c.e <= {NOW} RETURNING k",
                due = due(table)
            )),
            postpone: sql(format!(
                "UPDATE {table} AS c SET b = CASE WHEN {c_is_ours} THEN min(max(c.e, {NOW} + 1), {NOW} + {LONGEST_WAIT}) ELSE {NOW} + {LONGEST_WAIT} END
                WHERE c.rowid IN ({due}) AND NOT ({c_is_ours} AND c.e <= {NOW}) RETURNING k",
                due = due(table)
            )),
            probe: sql(format!("DELETE FROM {table} WHERE 0")),
            migrations: vec![vec![
                sql(format!(
                    "CREATE TABLE {table} (
                        k BLOB NOT NULL UNIQUE,
                        v BLOB NOT NULL,
                        e INTEGER NOT NULL,
                        b INTEGER NOT NULL,
                        o TEXT,
                        f INTEGER NOT NULL,
                        n INTEGER NOT NULL,
                        d BLOB NOT NULL
                    ) STRICT"
                )),
                sql(format!("CREATE INDEX {table}_due ON {table} (b) WHERE f = {FORMAT}")),
                sql(format!("CREATE INDEX {table}_owner ON {table} (o) WHERE o IS NOT NULL")),
            ]],
        }
    }

    /// Parameters: a key for each item. Padding: any key again. Also returns rows that are not
    /// valid records, so that they are not taken for absent.
    pub(crate) fn read(&self, size: usize) -> SqlStr {
        self.read[size_index(size)].clone()
    }

    /// Parameters as for [`read`](Self::read). Returns one row of three columns: all valid records,
    /// concatenated, each as key, version, owner and data; three numbers for each record: the
    /// remaining time in milliseconds, the length of the owner or -1, and the length of the data;
    /// and whether there is any row that is not a valid record.
    ///
    /// For databases in UTF-8 only: in others, bytes do not survive concatenation. One row for each
    /// record costs half of the time of a batch, because each row is passed by itself from SQLite's
    /// thread to the caller's.
    pub(crate) fn read_packed(&self, size: usize) -> SqlStr {
        self.read_packed[size_index(size)].clone()
    }

    /// Parameters for each item: key, version, TTL, whether the owner is kept, new owner, data,
    /// [condition](WHEN_ABSENT), and the expected version. Padding: NULL. Returns the keys that
    /// were written.
    pub(crate) fn write(&self, size: usize) -> SqlStr {
        self.write[size_index(size)].clone()
    }

    /// For items with an expected version that keep the owner. Parameters for each: key, version,
    /// TTL, data, and the expected version. Padding: NULL. Returns the keys that were written.
    pub(crate) fn renew(&self, size: usize) -> SqlStr {
        self.renew[size_index(size)].clone()
    }

    /// Parameters for each item: key and TTL. Returns the keys that were touched, with their
    /// versions.
    pub(crate) fn touch(&self, size: usize) -> SqlStr {
        self.touch[size_index(size)].clone()
    }

    /// Parameters for each item: key and expected version, or NULL for any. Returns the keys that
    /// were deleted.
    pub(crate) fn delete(&self, size: usize) -> SqlStr {
        self.delete[size_index(size)].clone()
    }
}

/// The conditions of a write.
pub(crate) const WHEN_ABSENT: i64 = 0;
pub(crate) const WHEN_VERSION: i64 = 1;
pub(crate) const WHEN_ANY: i64 = 2;

fn sql(text: String) -> SqlStr {
    // The table's name is checked, and all other text is written in this file.
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// The condition that a row is an intact record of this release.
fn ours(alias: &str) -> String {
    format!("({alias}f = {FORMAT} AND length({alias}v) = 16 AND {alias}n = length({alias}d))")
}

fn live(alias: &str) -> String {
    format!("({} AND {alias}e > {NOW})", ours(alias))
}

/// `rows` rows of `columns` parameters each.
fn values(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

fn read(table: &Table, size: usize) -> String {
    let keys = vec!["?"; size].join(", ");
    format!(
        "SELECT c.k, c.v, c.e - {NOW}, c.o, c.f, c.n, c.d FROM {table} AS c
        WHERE c.k IN ({keys}) AND (c.e > {NOW} OR NOT {})",
        ours("c.")
    )
}

fn read_packed(table: &Table, size: usize) -> String {
    let keys = vec!["?"; size].join(", ");
    let ours = ours("c.");
    format!(
        "SELECT CAST(group_concat(c.k || c.v || coalesce(c.o, '') || c.d, '') FILTER (WHERE {ours}) AS BLOB),
            group_concat(
                (c.e - {NOW}) || ' ' || coalesce(length(CAST(c.o AS BLOB)), -1) || ' ' || c.n, ' '
            ) FILTER (WHERE {ours}),
            total(NOT {ours}) > 0
        FROM {table} AS c WHERE c.k IN ({keys}) AND (c.e > {NOW} OR NOT {ours})"
    )
}

/// The rows that the purge visits next. Rows with a value of a wrong type are skipped, because a
/// strict table does not let them be changed.
fn due(table: &Table) -> String {
    format!(
        "SELECT x.rowid FROM {table} AS x WHERE x.f = {FORMAT} AND x.b <= {NOW}
            AND typeof(x.k) = 'blob' AND typeof(x.v) = 'blob' AND typeof(x.e) = 'integer' AND typeof(x.o) IN ('text', 'null')
            AND typeof(x.n) = 'integer' AND typeof(x.d) = 'blob'
        ORDER BY x.b LIMIT ?"
    )
}

/// Exact, because the whole statement holds the write lock: no other change comes between the
/// condition and the write.
fn write(table: &Table, size: usize) -> String {
    let (ours, live) = (ours("c."), live("c."));
    format!(
        "INSERT INTO {table} (k, v, e, b, o, f, n, d)
        SELECT i.column1, i.column2, {NOW} + i.column3, {NOW} + min(i.column3, {LONGEST_WAIT}),
            CASE WHEN i.column4 THEN CASE WHEN {live} THEN c.o END ELSE i.column5 END,
            {FORMAT}, length(i.column6), i.column6
        FROM (VALUES {}) AS i LEFT JOIN {table} AS c ON c.k = i.column1
        WHERE CASE i.column7
            WHEN {WHEN_ABSENT} THEN c.k IS NULL OR ({ours} AND c.e <= {NOW})
            WHEN {WHEN_VERSION} THEN {live} AND c.v = i.column8 AND c.v <> i.column2
            WHEN {WHEN_ANY} THEN c.k IS NULL OR NOT ({live} AND c.v = i.column2)
        END
        ON CONFLICT (k) DO UPDATE
            SET v = excluded.v, e = excluded.e, o = excluded.o, f = excluded.f, n = excluded.n, d = excluded.d
        RETURNING k",
        values(size, 8)
    )
}

/// The `+` keeps SQLite from building an index of the items and looking up every row of the table
/// in it (<https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_>).
fn renew(table: &Table, size: usize) -> String {
    format!(
        "UPDATE {table} AS c SET v = i.column2, e = {NOW} + i.column3, n = length(i.column4), d = i.column4
        FROM (VALUES {}) AS i
        WHERE c.k = +i.column1 AND c.v = +i.column5 AND c.v <> i.column2 AND {} RETURNING k",
        values(size, 5),
        live("c.")
    )
}

fn touch(table: &Table, size: usize) -> String {
    format!(
        "UPDATE {table} AS c SET e = {NOW} + i.column2 FROM (VALUES {}) AS i
        WHERE c.k = +i.column1 AND {} RETURNING k, v",
        values(size, 2),
        live("c.")
    )
}

fn delete(table: &Table, size: usize) -> String {
    format!(
        "DELETE FROM {table} WHERE k IN (
            SELECT c.k FROM (VALUES {}) AS i CROSS JOIN {table} AS c ON c.k = i.column1
            WHERE CASE WHEN {} THEN c.e > {NOW} AND (i.column2 IS NULL OR c.v = i.column2) ELSE i.column2 IS NULL END
        ) RETURNING k",
        values(size, 2),
        ours("c.")
    )
}
