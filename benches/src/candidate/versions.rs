//! The release of a crate that this program was built with.

use std::cmp::Reverse;

/// The lock file at build time.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The newest release of this crate in the lock file, or `?` if there is none.
pub fn of(name: &str) -> String {
    compatible_with(name, "")
}

/// The newest locked release whose version begins with `prefix`, such as `0.14.`, or `?`.
pub fn compatible_with(name: &str, prefix: &str) -> String {
    let heading = format!("name = \"{name}\"");
    let mut lines = LOCK.lines();
    let mut found = Vec::new();
    while lines.any(|line| line == heading) {
        let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
        found.extend(version.filter(|version| version.starts_with(prefix)));
    }
    let numbers = |version: &&str| -> Vec<u64> {
        version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
    };
    found.sort_by_key(|version| Reverse(numbers(version)));
    found.first().map_or("?", |version| version).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_locked() {
        assert!(of("tokio").starts_with("1."));
        assert_eq!(of("no-such-crate"), "?");
    }

    #[test]
    fn tells_releases_apart() {
        assert_eq!(of("bincode"), "2.0.1");
        assert_eq!(compatible_with("bincode", "2."), "2.0.1");
        assert_eq!(compatible_with("bincode", "7."), "?");
    }
}
