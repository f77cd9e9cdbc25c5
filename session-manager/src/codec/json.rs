use serde::{Serialize, de::DeserializeOwned};

use super::{
    fault::Fault,
    guard::{Guard, Rules},
    reader::Reader,
};

const RULES: Rules = Rules { finite: true, one_null: true, plain_numbers: true, fingerprint: None };

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(64);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    value.serialize(Guard::new(&mut serializer, &RULES)).map_err(Fault::of)?;
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Reader::new(&mut deserializer, &RULES)).map_err(Fault::of)?;
    deserializer.end().map_err(Fault::of)?;
    Ok(value)
}
