//! All SQL of this dialect, except the schema.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::server::FORMAT;

/// The maximum time, in milliseconds, between two visits of the purge to one row.
///
/// Column `b` of a row is the time of the purge's next visit: the expiry as known when the row is
/// made, or earlier. A change of the expiry leaves `b` as it is, so that no write and no touch has
/// an index to update, and each stays a heap-only update. The purge moves `b` forward when it finds
/// the row alive, and by the maximum when the row is not a valid record. A session whose time was
/// cut short may therefore take up space for that long.
const LONGEST_WAIT: i64 = 6 * 60 * 60 * 1000;

/// The number of low bits of `b` that hold the number of the item, in its batch, that made the row.
/// The statement finds the item's conditions by it. The purge time is above them.
const ITEM_BITS: u32 = 8;

/// The maximum number of changes in one notification. Each takes 68 characters, and a notification
/// must be shorter than 8,000 bytes.
const NEWS: u32 = 110;

/// The length of one change in a notification, in bytes.
pub(super) const NEWS_LEN: usize = 68;

/// The kind of a change in a notification: the byte before the key.
pub(super) const CHANGED: u8 = 1;
pub(super) const DELETED: u8 = 2;
pub(super) const EXPIRED: u8 = 3;

/// The conditions of a write, in the lower bits of its code.
pub(super) const WHEN_ABSENT: i16 = 0;
pub(super) const WHEN_VERSION: i16 = 1;
pub(super) const WHEN_ANY: i16 = 2;
/// In the code of a write: the owner is kept.
pub(super) const KEEP_OWNER: i16 = 4;

/// The statements on one table.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// Parameter: keys. Returns the live records, and the rows that are not valid records. Like
    /// every read, it fails on a server that only reads.
    pub(super) read: SqlStr,
    /// Like `read`, but on any server.
    read_anywhere: SqlStr,
    /// Parameters, an array for each but the fifth: keys, versions, TTLs, codes, expected versions
    /// (concatenated, sixteen bytes for each item), new owners, data. Returns the keys that were
    /// written, and the records that were under the other keys when the statement began.
    pub(super) write: SqlStr,
    /// A single write that expects a version, for which `write` would be expensive. Parameters:
    /// key, version, TTL, data, expected version, new owner, whether the owner is kept. Returns
    /// whether it was written, or no row.
    pub(super) write_one: SqlStr,
    /// Parameters: keys and TTLs. Returns the keys that were touched.
    pub(super) touch: SqlStr,
    /// Parameters: keys, and expected versions or NULL for any. Returns the keys that were deleted.
    pub(super) delete: SqlStr,
    /// Parameters: new key, version, TTL, whether the owner is kept, new owner, data, old key,
    /// expected version.
    pub(super) rename: SqlStr,
    /// Parameter: a key. Deletes the record under it if it has expired.
    pub(super) make_way: SqlStr,
    pub(super) list_owner: SqlStr,
    pub(super) count_owner: SqlStr,
    /// Parameters: owner, key to keep. Returns the number of rows found, and the keys that were
    /// deleted.
    pub(super) delete_owner: SqlStr,
    pub(super) page: SqlStr,
    pub(super) count: SqlStr,
    /// Parameters: the limit; the least `b`. Returns the number of rows found and their greatest
    /// `b`, and the keys of those that had expired.
    pub(super) purge: SqlStr,
}

/// Returns all rows on a primary, and fails on a standby, which may not know the latest changes.
/// The server evaluates it once for a statement, even for one that finds nothing, so that the
/// answer itself proves where it comes from. No cost could be measured.
const ON_PRIMARY: &str = "LIMIT CASE WHEN current_setting('transaction_read_only') = 'on' THEN -1 END /* negative on a standby, which must not answer */";

/// The SQLSTATE of the failure of [`ON_PRIMARY`].
pub(super) const NOT_ON_PRIMARY: &str = "2201W";

pub(super) fn sql(text: String) -> SqlStr {
    // The names of schema, table and channel are checked, and all other text is written in this
    // file.
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// The columns of a record, in their order.
const RECORD: &str = "c.k, c.v, date_part('epoch', c.e - clock_timestamp()), c.o, c.f, c.n, c.d";

/// A moment in the encoding of `b`.
fn in_millis(moment: &str) -> String {
    format!("((date_part('epoch', {moment}) * 1000)::bigint << {ITEM_BITS})")
}

/// The condition that a row is an intact record of this release.
fn ours(alias: &str) -> String {
    format!("({alias}.f = {FORMAT} AND octet_length({alias}.v) = 16 AND {alias}.n = octet_length({alias}.d))")
}

/// The moment `millis` milliseconds from now. The clock is read when this is evaluated, which is
/// after any lock wait.
fn from_now(millis: &str) -> String {
    format!("clock_timestamp() + {millis} * interval '1 millisecond'")
}

impl Statements {
    /// The statements on `table`, which is quoted. Changes are reported on `channel` if the row of
    /// `name` in `schema_table` says so.
    #[expect(clippy::too_many_lines, reason = "one statement after the other")]
    pub(super) fn new(table: &str, schema_table: &str, name: &str, channel: &str) -> Self {
        // Reports the changes in `w (k, v, kind)`, as many in one notification as fit. A batch
        // without listeners costs one read of a tiny table.
        let tell = format!(
            "n AS (
                SELECT count(pg_notify('{channel}', t.news)) AS told FROM (
                    SELECT string_agg(encode(set_byte('\\x00'::bytea, 0, r.kind) || r.k || r.v || '\\x00'::bytea, 'base64'), '') AS news
                    FROM (SELECT w.*, row_number() OVER () AS number FROM w WHERE w.kind > 0) AS r
                    WHERE (SELECT s.notify FROM {schema_table} AS s WHERE s.name = '{name}')
                    GROUP BY (r.number - 1) / {NEWS}
                ) AS t
            )"
        );
        let no_version = format!("'\\x{}'::bytea", "00".repeat(16));
        let ours_c = ours("c");
        let live_c = format!("({ours_c} AND c.e > clock_timestamp())");
        let now = in_millis("clock_timestamp()");
        let code = format!("($4::smallint[])[1 + (excluded.b & {})]", (1 << ITEM_BITS) - 1);
        let ttl = format!("($3::bigint[])[1 + (excluded.b & {})]", (1 << ITEM_BITS) - 1);
        let expected =
            format!("substr($5::bytea, 1 + 16 * (excluded.b & {})::int, 16)", (1 << ITEM_BITS) - 1);
        let read = format!(
            "SELECT {RECORD} FROM {table} AS c WHERE c.k = ANY($1) AND (c.e > clock_timestamp() OR NOT {ours_c})"
        );
        Self {
            read: sql(format!("{read} {ON_PRIMARY}")),
            read_anywhere: sql(read),
            // One statement for all items. A write that cannot succeed when the statement begins is
            // not tried, so that a conflict locks nothing, writes nothing and waits for no disk.
            // For all others, the statement locks each row in key order, judges its state at that
            // time, and replaces it or not. If the row that a write expects is deleted at just that
            // moment, the write leaves a row that expired long ago.
            write: sql(format!(
                "WITH w AS (
                    INSERT INTO {table} AS c (k, v, e, b, o, f, n, d)
                    SELECT i.k, i.v,
                        CASE WHEN i.w & 3 = {WHEN_VERSION} THEN '-infinity' ELSE {expiry} END,
                        CASE WHEN i.w & 3 = {WHEN_VERSION} THEN 0 ELSE {now} END
                            + (least(i.t, {LONGEST_WAIT}) << {ITEM_BITS}) + (i.number - 1),
                        i.o, {FORMAT}, octet_length(i.d), i.d
                    FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::smallint[], $6::bytea[], $7::bytea[])
                        WITH ORDINALITY AS i (k, v, t, w, o, d, number)
                    WHERE CASE i.w & 3
                        WHEN {WHEN_ABSENT} THEN (SELECT x.e > clock_timestamp() AND {ours_x} FROM {table} AS x WHERE x.k = i.k) IS NOT TRUE
                        WHEN {WHEN_VERSION} THEN (SELECT x.v = {item_expected} FROM {table} AS x WHERE x.k = i.k)
                        ELSE true
                    END
                    ORDER BY i.k
                    ON CONFLICT (k) DO UPDATE SET v = excluded.v, e = {new_expiry}, f = excluded.f, n = excluded.n, d = excluded.d,
                        o = CASE WHEN {code} & {KEEP_OWNER} = 0 THEN excluded.o WHEN {live_c} THEN c.o END
                    WHERE CASE {code} & 3
                        WHEN {WHEN_ABSENT} THEN {ours_c} AND c.e <= clock_timestamp()
                        WHEN {WHEN_VERSION} THEN c.v = {expected} AND c.v <> excluded.v AND {live_c}
                        ELSE NOT (c.v = excluded.v AND {live_c})
                    END
                    RETURNING c.k, c.v, CASE WHEN isfinite(c.e) THEN {CHANGED} ELSE 0 END AS kind
                ), {tell}
                SELECT w.k, NULL::bytea, n.told::double precision, NULL::bytea, NULL::smallint, NULL::integer, NULL::bytea
                FROM w, n WHERE w.kind > 0
                UNION ALL
                SELECT {RECORD} FROM {table} AS c
                WHERE (SELECT count(*) FROM w WHERE w.kind > 0) < cardinality($1) AND c.k = ANY($1)
                    AND (c.e > clock_timestamp() OR NOT {ours_c})
                    AND c.k NOT IN (SELECT w.k FROM w WHERE w.kind > 0)",
                expiry = from_now("i.t"),
                item_expected = "substr($5::bytea, 1 + 16 * (i.number - 1)::int, 16)",
                ours_x = ours("x"),
                new_expiry = from_now(&ttl),
            )),
            write_one: sql(format!(
                "INSERT INTO {table} AS c (k, v, e, b, o, f, n, d)
                SELECT $1, $2, '-infinity', 0, $6, {FORMAT}, octet_length($4), $4
                WHERE (SELECT x.v = $5 FROM {table} AS x WHERE x.k = $1)
                ON CONFLICT (k) DO UPDATE SET v = excluded.v, e = {expiry}, f = excluded.f, n = excluded.n, d = excluded.d,
                    o = CASE WHEN $7 THEN c.o ELSE excluded.o END
                WHERE c.v = $5 AND c.v <> excluded.v AND {live_c}
                RETURNING isfinite(c.e), CASE WHEN isfinite(c.e) AND (SELECT s.notify FROM {schema_table} AS s WHERE s.name = '{name}')
                    THEN pg_notify('{channel}', encode('\\x0{CHANGED}'::bytea || c.k || c.v || '\\x00'::bytea, 'base64')) END IS NULL",
                expiry = from_now("$3::bigint"),
            )),
            // The rows are locked first, in key order, and judged by their state after that. A
            // touch that prolongs the expiry need not be reported.
            touch: sql(format!(
                "WITH l AS MATERIALIZED (
                    SELECT c.k, c.e, {ours_c} AS ours, i.t FROM unnest($1::bytea[], $2::bigint[]) AS i (k, t)
                    JOIN {table} AS c ON c.k = i.k ORDER BY c.k FOR UPDATE OF c
                ), w AS (
                    UPDATE {table} AS c SET e = {expiry}
                    FROM l WHERE c.k = l.k AND l.ours AND l.e > clock_timestamp()
                    RETURNING c.k, c.v, CASE WHEN c.e < l.e THEN {CHANGED} ELSE 0 END AS kind
                ), {tell}
                SELECT w.k FROM w, n",
                expiry = from_now("l.t"),
            )),
            delete: sql(format!(
                "WITH l AS MATERIALIZED (
                    SELECT c.k, c.v, c.e, {ours_c} AS ours, i.v AS expected FROM unnest($1::bytea[], $2::bytea[]) AS i (k, v)
                    JOIN {table} AS c ON c.k = i.k ORDER BY c.k FOR UPDATE OF c
                ), w AS (
                    DELETE FROM {table} AS c USING l WHERE c.k = l.k AND CASE WHEN l.ours
                        THEN l.e > clock_timestamp() AND (l.expected IS NULL OR l.expected = l.v) ELSE l.expected IS NULL END
                    RETURNING c.k, {no_version} AS v, {DELETED} AS kind
                ), {tell}
                SELECT w.k FROM w, n"
            )),
            // Renames in place: the row stays the same row, so no deletion by owner misses it.
            rename: sql(format!(
                "WITH l AS MATERIALIZED (
                    SELECT c.k, c.e FROM {table} AS c WHERE c.k = $7 AND c.v = $8 AND {ours_c} FOR UPDATE
                ), u AS (
                    UPDATE {table} AS c SET k = $1, v = $2, e = {expiry}, n = octet_length($6), d = $6,
                        o = CASE WHEN $4 THEN c.o ELSE $5 END
                    FROM l WHERE c.k = l.k AND l.e > clock_timestamp()
                    RETURNING c.k
                ), w (k, v, kind) AS (
                    SELECT u.k, $2::bytea, {CHANGED} FROM u UNION ALL SELECT $7::bytea, {no_version}, {DELETED} FROM u
                ), {tell}
                SELECT u.k FROM u, n",
                expiry = from_now("$3::bigint"),
            )),
            make_way: sql(format!("DELETE FROM {table} AS c WHERE c.k = $1 AND {ours_c} AND c.e <= clock_timestamp()")),
            list_owner: sql(format!("SELECT c.k FROM {table} AS c WHERE c.o = $1 AND {live_c} {ON_PRIMARY}")),
            count_owner: sql(format!("SELECT count(*) FROM {table} AS c WHERE c.o = $1 AND {live_c} {ON_PRIMARY}")),
            delete_owner: sql(format!(
                "WITH l AS MATERIALIZED (
                    SELECT c.k FROM {table} AS c WHERE c.o = $1 AND c.k IS DISTINCT FROM $2 AND {live_c} ORDER BY c.k FOR UPDATE
                ), w AS (
                    DELETE FROM {table} AS c USING l WHERE c.k = l.k
                    RETURNING c.k, {no_version} AS v, {DELETED} AS kind
                ), {tell}
                SELECT NULL::bytea, count(*) FROM l UNION ALL SELECT w.k, n.told FROM w, n"
            )),
            page: sql(format!(
                "SELECT * FROM (SELECT {RECORD} FROM {table} AS c WHERE c.k > $1 AND {live_c} ORDER BY c.k LIMIT $2) AS page {ON_PRIMARY}"
            )),
            count: sql(format!(
                "SELECT count(*) FROM {table} AS c WHERE c.f = {FORMAT} AND c.e > now() {ON_PRIMARY}"
            )),
            // Rows that others have locked are skipped: the next purge finds them. The index is
            // searched up to the start of the statement, because it cannot be searched for a moment
            // that differs from row to row. Rows are found by arrays of keys, because a join reads
            // the whole table until the table has been analysed.
            purge: sql(format!(
                "WITH due AS MATERIALIZED (
                    SELECT c.k, c.e, c.b, {ours_c} AS ours FROM {table} AS c
                    WHERE c.f = {FORMAT} AND c.b BETWEEN $2 AND {begun} ORDER BY c.b LIMIT $1 FOR UPDATE SKIP LOCKED
                ), l AS MATERIALIZED (
                    SELECT due.k, due.b, due.ours AND due.e <= clock_timestamp() AS over FROM due
                ), later AS (
                    UPDATE {table} AS c SET b = CASE WHEN {ours_c}
                        THEN greatest(least({due_at}, {now} + ({LONGEST_WAIT}::bigint << {ITEM_BITS})), {now} + (1 << {ITEM_BITS}))
                        ELSE {now} + ({LONGEST_WAIT}::bigint << {ITEM_BITS}) END
                    WHERE c.k = ANY (ARRAY(SELECT l.k FROM l WHERE NOT l.over))
                    RETURNING c.k
                ), w AS (
                    DELETE FROM {table} AS c WHERE c.k = ANY (ARRAY(SELECT l.k FROM l WHERE l.over))
                    RETURNING c.k, {no_version} AS v, {EXPIRED} AS kind
                ), {tell}
                SELECT NULL::bytea, count(*), max(l.b) FROM l UNION ALL SELECT w.k, n.told, NULL FROM w, n",
                begun = in_millis("now()"),
                due_at = format_args!("CASE WHEN isfinite(c.e) THEN {} ELSE 0 END", in_millis("c.e")),
            )),
        }
    }

    /// The statements on the same tables of a replica, for reads that may be stale.
    pub(super) fn on_replica(&self) -> Self {
        Self { read: self.read_anywhere.clone(), ..self.clone() }
    }
}
