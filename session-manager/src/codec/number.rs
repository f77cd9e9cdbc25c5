//! Numbers of `serde_json` in a build where its feature `arbitrary_precision` is on.

use serde::Serialize;

use super::fault::Fault;

/// A number that every codec and every build can carry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Plain {
    /// The number in the JSON text, exactly, or as the nearest float.
    pub(super) fn of(text: &str) -> Result<Self, Fault> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Unsigned(number));
        }
        // "-0" is not an integer.
        if let Ok(number) = text.parse::<i64>()
            && number != 0
        {
            return Ok(Self::Signed(number));
        }
        let whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && (!whole || number == 0.0) => Ok(Self::Float(number)),
            _ => Err(Fault::LONG_NUMBER),
        }
    }
}

/// The text in a magic struct: a plain string, as JSON.
pub(super) fn text_of<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    let json = serde_json::to_string(value).map_err(|_| Fault::STRANGE_NUMBER)?;
    serde_json::from_str(&json).map_err(|_| Fault::STRANGE_NUMBER)
}
