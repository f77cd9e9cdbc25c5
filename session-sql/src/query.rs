//! The part of a URL behind the `?`.

use session_core::{Error, ErrorKind, Operation, Result};

fn config(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, Operation::Connect).because(reason)
}

/// Takes the options that are not the driver's out of a URL.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn split(url: &str, drivers: &[&str]) -> Result<(String, Vec<(String, String)>)> {
    let Some((front, query)) = url.split_once('?') else { return Ok((url.to_owned(), Vec::new())) };
    let is_drivers = |pair: &&str| {
        let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
        drivers.contains(&name) || name.starts_with("options[")
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let (theirs, ours): (Vec<&str>, Vec<&str>) = pairs.partition(is_drivers);
    let rest = if theirs.is_empty() { front.to_owned() } else { format!("{front}?{}", theirs.join("&")) };
    let ours = ours.into_iter().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((name.to_owned(), decoded(value)?))
    });
    Ok((rest, ours.collect::<Result<_>>()?))
}

/// The whole number that an option is set to.
pub(crate) fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| config(format!("the option {name}={value} is not a whole number in its range")))
}

/// The text with `%` and two hexadecimal digits replaced by the byte that they stand for.
pub(crate) fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(16 * high + low).unwrap_or_default());
                rest = &after[2..];
            }
            (b'%', ..) => {
                return Err(config(
                    "a `%` in the URL must be followed by two hexadecimal digits; `%25` stands for itself",
                ));
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|error| config("the URL is not UTF-8").with_source(error))
}
