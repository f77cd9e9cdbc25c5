//! The stored form of a session: for tools that inspect records.
//!
//! A payload is a header with format, codec, schema version, length and checksum, and a table of
//! values, each of which is decoded when it is requested. Applications use
//! [`Session`](crate::Session) and never see it.
//!
//! ```
//! use session_manager::{SessionManager, payload::Payload};
//! use session_memory::MemoryStore;
//! use session_core::{Maintenance, SessionStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let session = SessionManager::new(store.clone()).create();
//! session.insert("theme", "dark")?;
//! session.save().await?;
//!
//! for (_key, record) in store.page(None, 100).await?.records {
//!     let payload = Payload::decode(record.data)?;
//!     assert_eq!(payload.keys().collect::<Vec<_>>(), ["theme"]);
//!     assert_eq!(payload.get::<String>("theme")?.as_deref(), Some("dark"));
//! }
//! # Ok(()) }
//! ```

mod error;
mod header;
pub(crate) mod meta;
mod table;

use std::{fmt, time::SystemTime};

pub use error::PayloadError;
use header::Header;
use meta::Meta;
use serde::de::DeserializeOwned;
use session_core::Bytes;
use table::Entry;

use crate::{Codec, SessionError, codec};

/// The decoded table of one session's payload. Values are decoded when they are requested.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    header: Header,
    meta: Meta,
    entries: Vec<Entry>,
}

/// Up to this number of keys, a linear search that compares lengths first is faster than a binary
/// search.
const SCANNED: usize = 16;

/// One value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    pub(crate) codec: u8,
    pub(crate) bytes: &'a [u8],
}

impl Payload {
    /// Decodes the header and the table, and shares the bytes. Of the values, it checks only their
    /// positions.
    ///
    /// # Errors
    /// [`PayloadError`]. Any bytes give a payload or an error, never a panic.
    #[inline]
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, PayloadError> {
        let bytes = bytes.into();
        let (header, body) = Header::open(&bytes)?;
        let (meta, entries) = table::read(body, header::LEN)?;
        Ok(Self { bytes, header, meta, entries })
    }

    /// A payload of these values, whose keys must be in ascending order.
    pub(crate) fn encode<'a>(
        codec: Codec,
        schema_version: u16,
        meta: Meta,
        values: &[(&'a str, Stored<'a>)],
    ) -> Self {
        let len: usize = values.iter().map(|(key, value)| key.len() + value.bytes.len() + 8).sum();
        let mut bytes = Vec::with_capacity(len + header::LEN + 96);
        bytes.resize(header::LEN, 0);
        table::begin(&mut bytes, &meta, values.len());
        let entries = values
            .iter()
            .map(|(key, value)| table::push(&mut bytes, key, value.codec, value.bytes))
            .collect();
        let header = Header { codec: codec.tag(), schema_version };
        header.seal(&mut bytes);
        Self { bytes: bytes.into(), header, meta, entries }
    }

    /// The keys of the values, ascending.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|entry| self.key(entry))
    }

    /// The value under `key`, decoded by the codec that encoded it, or `None` if there is none.
    ///
    /// # Errors
    /// [`SessionError::Decode`] if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        self.stored(key).map(|stored| codec::decode_stored(key, stored)).transpose()
    }

    /// The codec of the deployment that last wrote the payload, if this release knows it.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_tag(self.header.codec)
    }

    /// The highest schema version of the application that has written to it.
    pub fn schema_version(&self) -> u16 {
        self.header.schema_version
    }

    /// When the session began or its owner logged in, by the clock of the node that handled it.
    pub fn created(&self) -> SystemTime {
        meta::time(self.meta.created)
    }

    /// When it was last written, by the clock of the node that wrote it.
    pub fn saved(&self) -> SystemTime {
        meta::time(self.meta.saved)
    }

    /// The application's name for the place where the session is used.
    pub fn label(&self) -> Option<&str> {
        self.meta.label.as_deref()
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(crate) fn stored(&self, key: &str) -> Option<Stored<'_>> {
        let key = key.as_bytes();
        let found = if self.entries.len() <= SCANNED {
            self.entries.iter().find(|entry| entry.key.len() == key.len() && entry.key.of(&self.bytes) == key)
        } else {
            let found = self.entries.binary_search_by(|entry| entry.key.of(&self.bytes).cmp(key));
            found.ok().and_then(|at| self.entries.get(at))
        };
        found.map(|entry| self.value(entry))
    }

    /// All keys with their values, ascending.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, Stored<'_>)> {
        self.entries.iter().map(|entry| (self.key(entry), self.value(entry)))
    }

    fn key(&self, entry: &Entry) -> &str {
        str::from_utf8(entry.key.of(&self.bytes)).unwrap_or_default()
    }

    fn value(&self, entry: &Entry) -> Stored<'_> {
        Stored { codec: entry.codec, bytes: entry.value.of(&self.bytes) }
    }
}

impl fmt::Debug for Payload {
    /// Omits values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("codec", &self.codec())
            .field("schema_version", &self.header.schema_version)
            .field("len", &self.bytes.len())
            .field("keys", &self.entries.len())
            .finish_non_exhaustive()
    }
}
