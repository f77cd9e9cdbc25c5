mod bincode_codec;
mod fault;
mod fingerprint;
mod guard;
mod json;
mod message_pack;
mod number;
mod reader;
mod value;

use std::{any::type_name, fmt};

use serde::{Serialize, de::DeserializeOwned};

use fault::Fault;
pub use value::SessionValue;

use crate::{SessionError, payload::Stored};

/// How a deployment encodes the values of its sessions.
///
/// Every value stores its codec, so a deployment can change the codec while sessions are live:
/// stored values stay readable, and newly saved values use the new codec.
///
/// | | `MessagePack` | `Json` | `Bincode` |
/// | --- | --- | --- | --- |
/// | fields added with a default, removed, reordered, renamed with an alias | yes | yes | error at `get` |
/// | `serde_json::Value`, `flatten`, untagged enums | yes | yes | error at `insert` |
/// | NaN and infinities | yes | error at `insert` | yes |
/// | maps whose keys are not text | yes | numbers and booleans; else error at `insert` | yes |
/// | `Some(None)` | error at `insert` | error at `insert` | yes |
///
/// If a struct no longer fits the stored value, only `get` of that key fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// `MessagePack` with the names of fields and variants. Small, fast, and structs may change.
    #[default]
    MessagePack,
    /// JSON, for stored values that people can read.
    Json,
    /// bincode 2 after a fingerprint of the value's shape (names of fields and variants, kinds of
    /// numbers): the smallest and fastest, but a value of a changed struct is an error.
    Bincode,
}

impl Codec {
    /// The number of the codec in a payload. It never changes.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::MessagePack => 1,
            Self::Json => 2,
            Self::Bincode => 3,
        }
    }

    pub(crate) const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            3 => Some(Self::Bincode),
            _ => None,
        }
    }

    fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, Fault> {
        match self {
            Self::MessagePack => message_pack::encode(value),
            Self::Json => json::encode(value),
            Self::Bincode => bincode_codec::encode(value),
        }
    }

    fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Fault> {
        match self {
            Self::MessagePack => message_pack::decode(bytes),
            Self::Json => json::decode(bytes),
            Self::Bincode => bincode_codec::decode(bytes),
        }
    }

    /// Encodes a value, and checks that it can be decoded again.
    pub(crate) fn encode_checked<T: SessionValue + ?Sized>(
        self,
        key: &str,
        value: &T,
    ) -> Result<Vec<u8>, SessionError> {
        let error = |Fault(reason)| SessionError::Encode {
            key: key.to_owned(),
            codec: self,
            type_name: type_name::<T>(),
            reason,
        };
        let bytes = self.encode(value).map_err(error)?;
        self.decode::<T::Stored>(&bytes).map_err(error)?;
        Ok(bytes)
    }
}

/// Decodes the value in `stored` with the codec that encoded it.
pub(crate) fn decode_stored<T: DeserializeOwned>(key: &str, stored: Stored<'_>) -> Result<T, SessionError> {
    let codec = Codec::from_tag(stored.codec);
    let value = codec.map_or(Err(Fault::UNKNOWN_CODEC), |codec| codec.decode(stored.bytes));
    value.map_err(|Fault(reason)| SessionError::Decode {
        key: key.to_owned(),
        codec,
        type_name: type_name::<T>(),
        reason,
    })
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessagePack => "MessagePack",
            Self::Json => "JSON",
            Self::Bincode => "bincode",
        })
    }
}
