use mongodb::bson::{Binary, Document, RawBsonRef, RawDocument, doc, raw::RawBinaryRef, spec::BinarySubtype};
use session_core::{Error, ErrorKind, Operation, Owner, Record, Result, SessionKey, Version};
use std::time::Duration;

/// The fields to read. `n` is the time of the server that answers.
///
/// | field | what it holds |
/// | --- | --- |
/// | `_id` | the key, 33 bytes |
/// | `d` | the data |
/// | `v` | the version, 16 bytes |
/// | `e` | when it expires |
/// | `o` | the owner, if there is one |
/// | `f` | the format, in documents of a later release |
pub(crate) fn projection() -> Document {
    doc! { "d": 1, "v": 1, "e": 1, "o": 1, "f": 1, "n": "$$NOW" }
}

pub(crate) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// The key of a document, or `None` if it is not the key of a session.
pub(crate) fn key(document: &RawDocument) -> Option<SessionKey> {
    SessionKey::try_from(generic(document, "_id")?).ok()
}

/// The record in a document that was read by [`projection`]. `None` if it has expired or was
/// deleted.
pub(crate) fn record(operation: Operation, document: &RawDocument) -> Result<Option<Record>> {
    let corrupt = |field: &str| {
        let reason = format!("the field `{field}` of its document is missing or of another type");
        Error::new(ErrorKind::Corrupt, operation).because(reason)
    };
    if document.get("f").map_err(|_| corrupt("f"))?.is_some() {
        let reason = "its document has a format of a later release";
        return Err(Error::new(ErrorKind::Unsupported, operation).because(reason));
    }
    let time = |field| match document.get(field) {
        Ok(Some(RawBsonRef::DateTime(time))) => Ok(time.timestamp_millis()),
        _ => Err(corrupt(field)),
    };
    let left = time("e")?.saturating_sub(time("n")?);
    let Ok(left @ 1..) = u64::try_from(left) else { return Ok(None) };
    let version = generic(document, "v").and_then(|version| version.try_into().ok());
    let owner = match document.get("o") {
        Ok(None) => None,
        Ok(Some(RawBsonRef::String(owner))) => Some(Owner::new(owner).map_err(|_| corrupt("o"))?),
        _ => return Err(corrupt("o")),
    };
    Ok(Some(Record {
        data: generic(document, "d").ok_or_else(|| corrupt("d"))?.to_vec().into(),
        version: Version::from_bytes(version.ok_or_else(|| corrupt("v"))?),
        expires_in: Duration::from_millis(left),
        owner,
    }))
}

fn generic<'a>(document: &'a RawDocument, field: &str) -> Option<&'a [u8]> {
    match document.get(field) {
        Ok(Some(RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::Generic, bytes }))) => Some(bytes),
        _ => None,
    }
}
