use std::marker::PhantomData;

use bincode::{
    config::{self, Configuration, Limit, LittleEndian, Varint},
    error::DecodeError,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    fault::Fault,
    fingerprint::Fingerprint,
    guard::{Guard, Rules},
    reader::Reader,
};

/// The most bytes that a length in damaged data can make the decoder reserve.
const LIMIT: usize = 16 << 20;

const CONFIG: Configuration<LittleEndian, Varint, Limit<LIMIT>> = config::standard().with_limit::<LIMIT>();

fn rules() -> Rules {
    Rules { finite: false, one_null: false, plain_numbers: true, fingerprint: Some(Fingerprint::new()) }
}

fn fingerprint(rules: &Rules) -> [u8; 8] {
    rules.fingerprint.as_ref().map_or(0, Fingerprint::value).to_le_bytes()
}

/// Writes the eight bytes of the value's [`Fingerprint`], then the value.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Fault> {
    let rules = rules();
    let value = bincode::serde::encode_to_vec(Shaped { value, rules: &rules }, CONFIG).map_err(Fault::of)?;
    Ok([fingerprint(&rules).as_slice(), &value].concat())
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let Some((written, bytes)) = bytes.split_first_chunk::<8>() else {
        return Err(Fault::CUT);
    };
    let rules = rules();
    let seed = Reader::new(PhantomData::<T>, &rules);
    let decoded = bincode::serde::seed_decode_from_slice(seed, bytes, CONFIG);
    if let Err(error @ DecodeError::Serde(_)) = &decoded {
        // The type cannot be decoded by this codec, whatever the bytes.
        return Err(Fault::of(error));
    }
    let whole = !matches!(decoded, Ok((_, len)) if len != bytes.len());
    // If both are wrong, the shape is the cause.
    if fingerprint(&rules) != *written || !whole {
        return Err(Fault::OTHER_SHAPE);
    }
    decoded.map(|(value, _)| value).map_err(Fault::of)
}

struct Shaped<'a, T: ?Sized> {
    value: &'a T,
    rules: &'a Rules,
}

impl<T: Serialize + ?Sized> Serialize for Shaped<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guard::new(serializer, self.rules))
    }
}
