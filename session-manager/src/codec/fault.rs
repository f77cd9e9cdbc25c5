//! What an error may say about a value that a codec could not carry: a category, in fixed words.
//! The messages of serde and of the codecs quote values, and those of an application's own types
//! may, so none of them leaves this module.

use std::fmt::Display;

/// Why a codec could not encode or decode a value. It cannot hold the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

impl Fault {
    pub(super) const NOT_FINITE: Self =
        Self("it holds a number that is not finite, and this codec has finite numbers only");
    pub(super) const SOME_OF_NULL: Self = Self(
        "it holds a Some of what is null (Some(None) or Some(())), which this codec could not tell from None",
    );
    pub(super) const LONG_NUMBER: Self = Self(
        "it holds a number that neither has 64 bits nor is a float, and is carried as no other number would be; keep it as text",
    );
    pub(super) const STRANGE_NUMBER: Self =
        Self("a number of serde_json is not what it is in the releases that are known");
    pub(super) const OTHER_SHAPE: Self = Self(
        "it was encoded from a type with another shape (other fields, variants, or kinds of numbers), and bincode cannot \
         tell what has become of which",
    );
    pub(super) const UNKNOWN_CODEC: Self =
        Self("its codec is not known to this release; a later one wrote the value");
    pub(super) const CUT: Self = Self("it is shorter than any value");

    /// The category of a codec's error.
    pub(super) fn of(error: impl Display) -> Self {
        let text = error.to_string();
        // bincode formats serde's messages with `Debug`.
        let text = text.strip_prefix("OtherString(\"").unwrap_or(&text);
        let own = OWN.iter().find(|own| text.starts_with(own.0)).copied();
        own.or_else(|| {
            let known = CATEGORIES.iter().find(|(start, _)| text.starts_with(start));
            known.map(|(_, category)| Self(category))
        })
        .unwrap_or(OTHERWISE)
    }
}

/// The faults that the guard passes through serde.
const OWN: [Fault; 4] = [Fault::NOT_FINITE, Fault::SOME_OF_NULL, Fault::LONG_NUMBER, Fault::STRANGE_NUMBER];

/// The first words of the messages of serde and the codecs, and their categories.
const CATEGORIES: [(&str, &str); 17] = [
    ("invalid type", "a part of it has another type"),
    ("wrong msgpack marker", "a part of it has another type"),
    ("invalid value", "a part of it is no value of that type"),
    ("numeric cast", "a number in it is out of range"),
    ("number out of range", "a number in it is out of range"),
    ("invalid length", "a part of it has more or fewer elements"),
    ("array had incorrect length", "a part of it has more or fewer elements"),
    ("trailing", "a part of it has more elements"),
    ("unknown variant", "a variant of an enum in it is unknown"),
    ("data did not match any variant", "no variant of an untagged enum fits"),
    ("unknown field", "a field in it is unknown"),
    ("missing field", "a field of a struct is missing in it"),
    ("duplicate field", "a field of a struct is in it twice"),
    ("key must be a string", "the keys of a map in it are not text, numbers or booleans"),
    (
        "Serde(",
        "the type has to be told what comes next, which this codec cannot: it has no names or types in its bytes",
    ),
    ("SequenceMustHaveLength", "a sequence in it does not know its length"),
    ("depth limit", "it is nested too deeply"),
];

/// Any other error, such as that of an application's own type.
const OTHERWISE: Fault = Fault("the type does not accept it");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_of_this_crate_come_back_and_no_others() {
        for own in OWN {
            assert_eq!(Fault::of(own.0), own);
            assert_eq!(Fault::of(format!("{} at line 1 column 7", own.0)), own);
        }
        assert_eq!(Fault::of("the password is hunter2"), OTHERWISE);
        assert_eq!(Fault::of("invalid type: string \"hunter2\", expected u8").0, CATEGORIES[0].1);
    }
}
