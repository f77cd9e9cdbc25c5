//! All SQL of this dialect, except the schema.

use std::{array, sync::Arc};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{
    chunk::MAX_ITEMS,
    server::FORMAT,
    statement_sizes::{SIZES, size_index},
};

/// The sizes of the statements that write. There are more than for other statements, because the
/// padding is written as well.
const WRITE_SIZES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, MAX_ITEMS];

/// The present. Unlike `NOW`, it is read when it is evaluated, which is after any lock wait.
/// Connections are at UTC, so that no clock change moves it.
const NOW: &str = "SYSDATE(6)";

/// The expiry of a row that no write has made: see [`Statements::write`].
const NEVER: &str = "'1970-01-01'";

/// All other rows expire after this.
const MADE: &str = "'1971-01-01'";

/// The maximum time, in milliseconds, between two visits of the purge to one row.
///
/// Column `b` of a row is the time of the purge's next visit: the expiry as known when the row is
/// made, or earlier. A change of the expiry leaves `b` as it is, so that no write and no touch has
/// an index to update. The purge moves `b` forward when it finds the row alive, and by the maximum
/// when the row is not a valid record. A session whose time was cut short may therefore take up
/// space for that long.
const LONGEST_WAIT: i64 = 6 * 60 * 60 * 1000;

/// The conditions of a write, in the lower bits of its code.
pub(super) const WHEN_ABSENT: i64 = 0;
pub(super) const WHEN_VERSION: i64 = 1;
pub(super) const WHEN_ANY: i64 = 2;
/// In the code of a write: the owner is kept.
pub(super) const KEEP_OWNER: i64 = 4;

/// The number of low bits of `b` that hold the code of the write that made the row. The purge time
/// is above them.
pub(super) const CODE_BITS: u32 = 3;

/// The values of `f` while a statement replaces a row: with a new owner, or with the owner that it
/// had. They are never visible outside the statement.
const REPLACED: i16 = i16::MIN;
const REPLACED_FOR_ITS_OWNER: i16 = i16::MIN + 1;

/// The statements on one table. Those that take many items exist in a few sizes, so that few are
/// prepared.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    read: [SqlStr; SIZES],
    write: [SqlStr; WRITE_SIZES.len()],
    write_returning: [SqlStr; WRITE_SIZES.len()],
    /// A single write that expects a version, which does not need the general `write`. Parameters:
    /// version, TTL, whether the owner is kept, new owner, length of the data, data, key, expected
    /// version, version.
    pub(super) write_one: SqlStr,
    /// Parameters: keys. Deletes the rows that [`write`](Self::write) leaves if what it expects is
    /// not there.
    sweep: [SqlStr; SIZES],
    versions: [SqlStr; SIZES],
    touch: [SqlStr; SIZES],
    delete: [SqlStr; SIZES],
    delete_returning: [SqlStr; SIZES],
    lock_for_delete: [SqlStr; SIZES],
    /// Parameters: new key, version, TTL, whether the owner is kept, new owner, data, data, old
    /// key, expected version.
    pub(super) rename: SqlStr,
    /// Parameter: a key. Deletes the record under it if it has expired.
    pub(super) make_way: SqlStr,
    pub(super) list_owner: SqlStr,
    pub(super) count_owner: SqlStr,
    /// Parameters: owner, key to keep.
    pub(super) lock_owner: SqlStr,
    pub(super) delete_owner: SqlStr,
    pub(super) delete_owner_returning: SqlStr,
    pub(super) is_owned: SqlStr,
    pub(super) page: SqlStr,
    pub(super) count: SqlStr,
    /// Parameters: the least `b`; the limit. Returns the rows that may have expired, and whether
    /// they have.
    pub(super) due: SqlStr,
    pub(super) table: String,
}

pub(super) fn sql(text: String) -> SqlStr {
    // The names of database and table are checked, and all other text is written in this file.
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// The condition that a row is an intact record of this release.
fn ours(alias: &str) -> String {
    format!("({alias}.f = {FORMAT} AND LENGTH({alias}.v) = 16 AND {alias}.n = LENGTH({alias}.d))")
}

fn live(alias: &str) -> String {
    format!("({} AND {alias}.e > {NOW})", ours(alias))
}

/// The moment `millis` milliseconds from now.
fn from_now(millis: &str) -> String {
    format!("{NOW} + INTERVAL {millis} * 1000 MICROSECOND")
}

/// The present in milliseconds.
fn moment() -> String {
    millis_at(NOW)
}

/// A moment in milliseconds.
fn millis_at(moment: &str) -> String {
    format!("TIMESTAMPDIFF(MICROSECOND, {NEVER}, {moment}) DIV 1000")
}

/// The columns of a record, in their order.
fn record() -> String {
    format!("c.k, c.v, TIMESTAMPDIFF(MICROSECOND, {NOW}, c.e), c.o, c.f, c.n, c.d")
}

fn list(item: &str, size: usize) -> String {
    vec![item; size].join(", ")
}

/// A derived table of `size` rows of parameters with these columns, in the order of its rows.
fn rows(columns: &[&str], size: usize) -> String {
    let named: Vec<String> = columns.iter().map(|column| format!("? AS {column}")).collect();
    let first = format!("SELECT {}", named.join(", "));
    let others = format!(" UNION ALL SELECT {}", list("?", columns.len()));
    format!("({first}{})", others.repeat(size - 1))
}

impl Statements {
    /// The statements on `table`, which is quoted.
    pub(super) fn new(table: String) -> Self {
        let each = |make: &dyn Fn(usize) -> String| array::from_fn(|index| sql(make(1 << index)));
        let (live_c, ours_c, record) = (live("c"), ours("c"), record());
        let doomed = |size| doomed(&table, size);
        Self {
            read: each(&|size| {
                let keys = list("?", size);
                format!("SELECT {record} FROM {table} AS c WHERE c.k IN ({keys}) AND (c.e > {NOW} OR NOT {ours_c})")
            }),
            write: WRITE_SIZES.map(|size| sql(write(&table, size))),
            write_returning: WRITE_SIZES
                .map(|size| sql(format!("{} RETURNING k, v, e > {MADE}", write(&table, size)))),
            write_one: sql(format!(
                "UPDATE {table} AS c SET c.v = ?, c.e = {}, c.o = IF(?, c.o, ?), c.n = ?, c.d = ?
                WHERE c.k = ? AND c.v = ? AND c.v <> ? AND {live_c}",
                from_now("?")
            )),
            sweep: each(&|size| {
                format!("DELETE FROM {table} WHERE k IN ({}) AND e <= {MADE} AND f = {FORMAT}", list("?", size))
            }),
            versions: each(&|size| {
                let keys = list("?", size);
                format!("SELECT c.k, c.v, c.e > {MADE} FROM {table} AS c WHERE c.k IN ({keys})")
            }),
            // The rows are locked in the order of the items, which is key order.
            touch: each(&|size| {
                format!(
                    "UPDATE {} AS i STRAIGHT_JOIN {table} AS c ON c.k = i.k SET c.e = {} WHERE {live_c}",
                    rows(&["k", "t"], size),
                    from_now("i.t")
                )
            }),
            delete: each(&|size| format!("DELETE FROM {}", doomed(size))),
            delete_returning: each(&|size| format!("DELETE FROM {} RETURNING k", doomed(size))),
            lock_for_delete: each(&|size| format!("SELECT k FROM {} ORDER BY k FOR UPDATE", doomed(size))),
            rename: sql(format!(
                "UPDATE {table} AS c SET c.k = ?, c.v = ?, c.e = {}, c.o = IF(?, c.o, ?), c.n = LENGTH(?), c.d = ?
                WHERE c.k = ? AND c.v = ? AND {live_c}",
                from_now("?")
            )),
            make_way: sql(format!("DELETE FROM {table} WHERE k = ? AND {} AND e <= {NOW}", ours(&table))),
            list_owner: sql(format!("SELECT c.k FROM {table} AS c WHERE c.o = ? AND {live_c}")),
            count_owner: sql(format!("SELECT COUNT(*) FROM {table} AS c WHERE c.o = ? AND {live_c}")),
            lock_owner: sql(format!("SELECT k FROM {} FOR UPDATE", owned(&table))),
            delete_owner: sql(format!("DELETE FROM {}", owned(&table))),
            is_owned: sql(format!("SELECT k FROM {} LIMIT 1", owned(&table))),
            delete_owner_returning: sql(format!("DELETE FROM {} RETURNING k", owned(&table))),
            page: sql(format!("SELECT {record} FROM {table} AS c WHERE c.k > ? AND {live_c} ORDER BY c.k LIMIT ?")),
            count: sql(format!("SELECT COUNT(*) FROM {table} AS c WHERE c.f = {FORMAT} AND c.e > {NOW}")),
            // Rows that others have locked are skipped: the next purge finds them. The index is
            // searched up to the start of the statement, because it cannot be searched for a moment
            // that differs from row to row.
            due: sql(format!(
                "SELECT c.k, {ours_c} AND c.e <= {NOW}, c.b FROM {table} AS c
                WHERE c.f = {FORMAT} AND c.b BETWEEN ? AND {} << {CODE_BITS} ORDER BY c.b LIMIT ? FOR UPDATE SKIP LOCKED",
                millis_at("NOW(6)")
            )),
            table,
        }
    }

    /// Parameters: a key for each item. Padding: any key again. Returns the live records, and the
    /// rows that are not valid records.
    pub(super) fn read(&self, size: usize) -> SqlStr {
        self.read[size_index(size)].clone()
    }

    /// The smallest size that has room for so many writes.
    pub(super) fn write_size(items: usize) -> usize {
        WRITE_SIZES.into_iter().find(|size| *size >= items).unwrap_or(MAX_ITEMS)
    }

    /// Parameters for each of [so many](Self::write_size) items: key; version; TTL, or NULL for a
    /// write that expects a version; the same again; code; the expected version and the TTL, as
    /// column `x` holds them; new owner; length of the data; data. Padding: any item again, which
    /// changes nothing more.
    ///
    /// The statement locks each row in the order of the items, judges its state at that time, and
    /// replaces it or not. If a version is expected and there is no row, or the row is this same
    /// write and has expired, it leaves a row that expired long ago.
    pub(super) fn write(&self, size: usize) -> SqlStr {
        self.write[write_index(size)].clone()
    }

    /// Parameters: a key for each item. Padding: any key again.
    pub(super) fn sweep(&self, size: usize) -> SqlStr {
        self.sweep[size_index(size)].clone()
    }

    /// Like `write`, and returns the keys that were visited, their versions after that, and whether
    /// a write made them.
    pub(super) fn write_returning(&self, size: usize) -> SqlStr {
        self.write_returning[write_index(size)].clone()
    }

    /// Parameters: a key for each item. Padding: any key again. Returns what
    /// [`write_returning`](Self::write_returning) does.
    pub(super) fn versions(&self, size: usize) -> SqlStr {
        self.versions[size_index(size)].clone()
    }

    /// Parameters for each item: key and TTL. Padding: NULL.
    pub(super) fn touch(&self, size: usize) -> SqlStr {
        self.touch[size_index(size)].clone()
    }

    /// Parameters: the keys of all items; the keys of items without an expected version, padded
    /// with empty keys; the keys and versions of the other items, padded likewise; and the second
    /// list again.
    pub(super) fn delete(&self, size: usize) -> SqlStr {
        self.delete[size_index(size)].clone()
    }

    pub(super) fn delete_returning(&self, size: usize) -> SqlStr {
        self.delete_returning[size_index(size)].clone()
    }

    pub(super) fn lock_for_delete(&self, size: usize) -> SqlStr {
        self.lock_for_delete[size_index(size)].clone()
    }

    /// Deletes these rows.
    pub(super) fn free(&self, rows: usize) -> SqlStr {
        sql(format!("DELETE FROM {} WHERE k IN ({})", self.table, list("?", rows)))
    }

    /// Postpones the purge's next visit to these rows.
    pub(super) fn postpone(&self, rows: usize) -> SqlStr {
        let (table, now, ours) = (&self.table, moment(), ours("c"));
        sql(format!(
            "UPDATE {table} AS c SET c.b = CASE WHEN {ours}
                THEN GREATEST(LEAST(TIMESTAMPDIFF(MICROSECOND, {NEVER}, c.e) DIV 1000, {now} + {LONGEST_WAIT}), {now} + 1)
                ELSE {now} + {LONGEST_WAIT} END << {CODE_BITS}
            WHERE c.k IN ({})",
            list("?", rows)
        ))
    }
}

fn write_index(size: usize) -> usize {
    WRITE_SIZES.iter().position(|known| *known >= size).unwrap_or(WRITE_SIZES.len() - 1)
}

/// Uses plain `VALUES` and no `SELECT`, which would first be stored in a table of its own, on disk.
/// Everything that the `ON DUPLICATE KEY UPDATE` clause must know of an item is therefore in the
/// columns of the row that the item would have inserted.
fn write(table: &str, size: usize) -> String {
    let item = format!(
        "(?, ?, COALESCE({expiry}, {NEVER}), COALESCE({moment} + LEAST(?, {LONGEST_WAIT}), 0) << {CODE_BITS} | ?, ?, ?, {FORMAT}, ?, ?)",
        expiry = from_now("?"),
        moment = moment(),
    );
    let code = format!("VALUES(b) & {}", (1 << CODE_BITS) - 1);
    let ttl = "CAST(CONV(HEX(SUBSTR(VALUES(x), 17)), 16, 10) AS UNSIGNED)";
    let (ours, live) = (ours(table), live(table));
    // The assignments run in order, and each sees the earlier ones. All but the first use the
    // result of the first, so that the clock is read once.
    let now = |new: &str, old: &str| format!("IF(f IN ({REPLACED}, {REPLACED_FOR_ITS_OWNER}), {new}, {old})");
    format!(
        "INSERT INTO {table} (k, v, e, b, x, o, f, n, d) VALUES {items}
        ON DUPLICATE KEY UPDATE
            f = CASE WHEN NOT (CASE {code} & 3 WHEN {WHEN_ABSENT} THEN {ours} AND e <= {NOW}
                    WHEN {WHEN_VERSION} THEN v = LEFT(VALUES(x), 16) AND v <> VALUES(v) AND {live}
                    ELSE NOT (v = VALUES(v) AND {live}) END) THEN f
                WHEN {code} & {KEEP_OWNER} AND {live} THEN {REPLACED_FOR_ITS_OWNER} ELSE {REPLACED} END,
            o = IF(f = {REPLACED}, IF({code} & {KEEP_OWNER}, NULL, VALUES(o)), o),
            v = {new_v}, e = {new_e}, n = {new_n}, d = {new_d}, f = {new_f}",
        items = list(&item, size),
        new_v = now("VALUES(v)", "v"),
        // A write that has expired and is delivered again does not take effect: its row is marked
        // as one that no write has made, and swept.
        new_e = now(&from_now(ttl), &format!("IF(v = VALUES(v) AND {ours} AND e <= {NOW}, {NEVER}, e)")),
        new_n = now("VALUES(n)", "n"),
        new_d = now("VALUES(d)", "d"),
        new_f = now(&FORMAT.to_string(), "f"),
    )
}

/// The rows that a batch of deletes removes.
fn doomed(table: &str, size: usize) -> String {
    let (keys, pairs) = (list("?", size), list("(?, ?)", size));
    let ours = ours(table);
    format!(
        "{table} WHERE k IN ({keys}) AND (
            {ours} AND e > {NOW} AND (k IN ({keys}) OR (k, v) IN ({pairs})) OR NOT {ours} AND k IN ({keys}))"
    )
}

fn owned(table: &str) -> String {
    format!("{table} WHERE o = ? AND NOT (k <=> ?) AND {}", live(table))
}
