//! The servers whose absence is a failure.

use std::env;

/// Returns true if `SESSION_REQUIRE` names this server. Its absence is then a failure and not a
/// reason to ignore a case.
///
/// The variable is a comma-separated list, e.g. `redis,postgres`. Blanks around the names are
/// ignored.
#[must_use]
pub fn required(server: &str) -> bool {
    env::var("SESSION_REQUIRE").is_ok_and(|list| names(&list, server))
}

fn names(list: &str, server: &str) -> bool {
    list.split(',').any(|name| name.trim() == server)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn whole_names_count() {
        assert!(names("redis", "redis"));
        assert!(names("postgres, redis ,mysql", "redis"));
        assert!(!names("postgres", "redis"));
        assert!(!names("redis-cluster", "redis"));
        assert!(!names("", "redis"));
    }
}
