//! The expressions that the server evaluates. It judges conditions by its clock, in the same step
//! as the change.

use mongodb::bson::{Binary, DateTime, RawBson, RawDocumentBuf, cstr, rawdoc};
use session_core::{Expected, OwnerChange, Ttl, Version, When, Write};

use crate::record::binary;

/// An expression that makes the server refuse one statement of many: an impossible conversion. The
/// server cannot know that it is impossible before it has the document. The error names the
/// statement.
fn refuse() -> RawDocumentBuf {
    rawdoc! { "$toInt": "$_id" }
}

/// The error code of that refusal: `ConversionFailure`.
pub(crate) const REFUSED: i32 = 241;

/// Whether the document is a live record, complete and of a known format.
fn live() -> RawDocumentBuf {
    rawdoc! { "$and": [
        { "$gt": ["$e", "$$NOW"] },
        { "$eq": [{ "$type": "$e" }, "date"] },
        { "$eq": [{ "$type": "$d" }, "binData"] },
        { "$eq": [{ "$type": "$v" }, "binData"] },
        { "$in": [{ "$type": "$o" }, ["missing", "string"]] },
        { "$eq": [{ "$type": "$f" }, "missing"] },
    ] }
}

/// Whether the document is a record that has expired or was deleted.
fn expired() -> RawDocumentBuf {
    rawdoc! { "$and": [
        { "$lte": ["$e", "$$NOW"] },
        { "$eq": [{ "$type": "$e" }, "date"] },
        { "$eq": [{ "$type": "$f" }, "missing"] },
    ] }
}

/// Whether this statement is about to insert the document.
fn missing() -> RawDocumentBuf {
    rawdoc! { "$eq": ["$$ROOT", { "_id": "$_id" }] }
}

fn has(version: &Version) -> RawDocumentBuf {
    rawdoc! { "$eq": ["$v", bytes(version)] }
}

fn bytes(version: &Version) -> Binary {
    binary(version.as_bytes())
}

fn in_millis(ttl: Ttl) -> RawDocumentBuf {
    rawdoc! { "$add": ["$$NOW", i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)] }
}

/// Replaces the document by the record if the condition holds. A record that this write has already
/// stored stays as it is.
pub(crate) fn writing(write: &Write, when: When) -> RawDocumentBuf {
    let record = record(write, when);
    let mine = rawdoc! { "$and": [has(&write.version), live()] };
    let choice = match when {
        When::Any => rawdoc! { "$cond": [mine, "$$ROOT", record] },
        When::Absent => rawdoc! { "$cond": [
            { "$or": [missing(), expired()] },
            record,
            { "$cond": [mine, "$$ROOT", refuse()] },
        ] },
        When::Version(expected) => rawdoc! { "$cond": [
            { "$and": [{ "$in": ["$v", [bytes(&expected), bytes(&write.version)]] }, live()] },
            { "$cond": [has(&write.version), "$$ROOT", record] },
            refuse(),
        ] },
    };
    rawdoc! { "$replaceWith": choice }
}

fn record(write: &Write, when: When) -> RawDocumentBuf {
    let owner: Option<RawBson> = match (&write.owner, when) {
        (OwnerChange::Set(owner), _) => Some(RawBson::Document(rawdoc! { "$literal": owner.as_str() })),
        (OwnerChange::Clear, _) | (OwnerChange::Keep, When::Absent) => None,
        (OwnerChange::Keep, When::Version(_)) => Some(RawBson::String("$o".to_owned())),
        (OwnerChange::Keep, When::Any) => {
            Some(RawBson::Document(rawdoc! { "$cond": [live(), "$o", "$$REMOVE"] }))
        }
    };
    let (data, version) = (binary(&write.data), bytes(&write.version));
    let mut record = rawdoc! { "_id": "$_id", "d": data, "v": version, "e": in_millis(write.ttl) };
    if let Some(owner) = owner {
        record.append(cstr!("o"), owner);
    }
    record
}

/// Sets the expiry of a live record.
pub(crate) fn touching(ttl: Ttl) -> RawDocumentBuf {
    rawdoc! { "$set": { "e": { "$cond": [live(), in_millis(ttl), refuse()] } } }
}

/// Replaces the record by an expired one, which the TTL index removes. A real delete is not used,
/// because of a batch of deletes, the server reports the total alone. `token` is the version of the
/// expired record, by which a repeated deletion recognises itself.
pub(crate) fn deleting(expected: Expected, token: &Version) -> RawDocumentBuf {
    let condition = match expected {
        Expected::Version(version) => rawdoc! { "$and": [has(&version), live()] },
        Expected::Any => rawdoc! { "$and": [
            { "$not": [missing()] },
            { "$not": [expired()] },
        ] },
    };
    let tombstone = rawdoc! { "_id": "$_id", "e": DateTime::from_millis(0), "v": bytes(token) };
    rawdoc! { "$replaceWith": {
        "$cond": [condition, tombstone, { "$cond": [has(token), "$$ROOT", refuse()] }],
    } }
}
