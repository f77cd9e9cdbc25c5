//! The command line of a benchmark.

use std::str::FromStr;

/// The arguments after the program's name, looked up by name. Arguments that no look-up names (such
/// as the `--bench` that cargo passes) are ignored.
#[derive(Debug, Clone)]
pub struct Args(Vec<String>);

impl Args {
    /// The arguments of this process.
    pub fn from_env() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether `name` was given.
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|arg| arg == name)
    }

    /// The text after `name`, if it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The value after `name`, if it was given.
    ///
    /// # Panics
    ///
    /// When the value is missing or does not parse: a benchmark must not measure something other
    /// than what was requested.
    pub fn value<T: FromStr>(&self, name: &str) -> Option<T> {
        if !self.flag(name) {
            return None;
        }
        let Some(value) = self.text(name).and_then(|text| text.parse().ok()) else {
            panic!("{name} needs a value of type {}", std::any::type_name::<T>());
        };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    #[test]
    fn finds_what_was_given_and_ignores_the_rest() {
        let args = Args(["--bench", "--quick", "--rounds", "9"].map(String::from).to_vec());
        assert!(args.flag("--quick"));
        assert!(!args.flag("--sessions"));
        assert_eq!(args.value("--rounds"), Some(9_u32));
        assert_eq!(args.value::<u32>("--sessions"), None);
    }
}
