use std::{fmt, str::FromStr, time::Duration};

use session_core::{Error, Result};

use crate::config;

/// One option of a URL, `name=value`, with the value decoded.
///
/// Errors about an option contain its name and never its value.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlOption {
    name: String,
    value: String,
}

impl UrlOption {
    pub(crate) fn new(name: String, value: String) -> Self {
        Self { name, value }
    }

    /// The name as written in the URL.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Parses the value as a whole number.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is not a number in the range of
    /// `N`.
    pub fn number<N: FromStr>(&self) -> Result<N> {
        self.value.parse().map_err(|_| self.refused("a whole number in its range"))
    }

    /// Parses the value as a time in milliseconds that cannot be *off*, such as a deadline.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is not a whole number of
    /// milliseconds, or is zero.
    pub fn millis(&self) -> Result<Duration> {
        match self.value.parse() {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(self.refused("a whole number of milliseconds, at least 1")),
        }
    }

    /// Parses the value as an interval in milliseconds; `None` for `0` and `off`.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is neither a whole number nor
    /// `off`.
    pub fn interval_millis(&self) -> Result<Option<Duration>> {
        Ok(self.bound("a whole number of milliseconds, or 0 or off for never")?.map(Duration::from_millis))
    }

    /// Parses the value as a bound; `None` for `0` and `off`.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is neither a whole number nor
    /// `off`.
    pub fn limit(&self) -> Result<Option<u64>> {
        self.bound("a whole number, or 0 or off for no limit")
    }

    fn bound(&self, accepted: &str) -> Result<Option<u64>> {
        if self.value == "off" {
            return Ok(None);
        }
        match self.value.parse() {
            Ok(0) => Ok(None),
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.refused(accepted)),
        }
    }

    /// Parses the value as a switch: `on`, `true`, `yes` or `1` is true; `off`, `false`, `no` or
    /// `0` is false.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is none of these.
    pub fn switch(&self) -> Result<bool> {
        match &*self.value {
            "on" | "true" | "yes" | "1" => Ok(true),
            "off" | "false" | "no" | "0" => Ok(false),
            _ => Err(self.refused("on or off")),
        }
    }

    /// Looks the value up in this table, ignoring case.
    ///
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) if the value is not in the table. The error
    /// lists the names of the table.
    pub fn one_of<T: Clone>(&self, table: &[(&str, T)]) -> Result<T> {
        let found = table.iter().find(|(name, _)| name.eq_ignore_ascii_case(&self.value));
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            self.refused(&format!("one of {}", names.join(", ")))
        })
    }

    /// The error for a value that is not accepted. It says which values are.
    pub fn refused(&self, accepted: &str) -> Error {
        config(format!("the option {} of the URL takes {accepted}", self.shown_name()))
    }

    /// The error for an unknown name. It lists the known names.
    pub fn unknown(&self, known: &str) -> Error {
        config(format!("the option {} of the URL is not known; these are: {known}", self.shown_name()))
    }

    /// Logs that an option, which other clients of this server accept, has no meaning for this
    /// store.
    pub fn ignore(&self) {
        tracing::warn!(
            option = self.shown_name(),
            "an option of the URL has no meaning for this store and is ignored"
        );
    }

    /// The name, or a placeholder if it does not look like a name: it may be part of a password.
    fn shown_name(&self) -> &str {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
        if self.name.len() <= 40 && self.name.bytes().all(is_name) { &self.name } else { "(not a name)" }
    }
}

impl fmt::Debug for UrlOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlOption").field("name", &self.shown_name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::UrlOption;

    fn option(value: &str) -> UrlOption {
        UrlOption::new("interval_ms".to_owned(), value.to_owned())
    }

    #[test]
    fn zero_and_off_are_never() {
        assert_eq!(option("0").interval_millis().expect("zero"), None);
        assert_eq!(option("off").interval_millis().expect("off"), None);
        assert_eq!(option("20").interval_millis().expect("a number"), Some(Duration::from_millis(20)));
        assert_eq!(option("0").limit().expect("zero"), None);
        option("0").millis().expect_err("a deadline of zero");
    }

    #[test]
    fn errors_hold_no_value() {
        let secret = option("s3cret");
        for error in [
            secret.number::<u32>().map(drop),
            secret.millis().map(drop),
            secret.interval_millis().map(drop),
            secret.limit().map(drop),
            secret.switch().map(drop),
            secret.one_of(&[("a", 1)]).map(drop),
            Err(secret.unknown("a, b")),
        ] {
            let text = format!("{:?}", error.expect_err("it is refused"));
            assert!(text.contains("interval_ms") && !text.contains("s3cret"), "{text}");
        }
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}
