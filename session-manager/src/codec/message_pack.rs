use serde::{Serialize, de::DeserializeOwned};

use super::{
    fault::Fault,
    guard::{Guard, Rules},
};

const RULES: Rules = Rules { finite: false, one_null: true, plain_numbers: true, fingerprint: None };

/// As `rmp_serde::to_vec_named`, under these rules.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(64);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    value.serialize(Guard::new(&mut serializer, &RULES)).map_err(Fault::of)?;
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    rmp_serde::from_slice(bytes).map_err(Fault::of)
}
