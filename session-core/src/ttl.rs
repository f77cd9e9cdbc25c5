use std::{fmt, time::Duration};

use crate::{Error, ErrorKind, Operation, Result};

/// The time to live of a record, in milliseconds: at least one, at most [a hundred
/// years](Ttl::MAX).
///
/// A store can use a `Ttl` without further checks: it is not zero, and adding it to the present
/// does not overflow in any of the engines.
///
/// ```
/// use std::time::Duration;
/// use session_core::{ErrorKind, Ttl};
///
/// let ttl = Ttl::new(Duration::from_secs(1800))?;
/// assert_eq!(ttl.as_millis(), 1_800_000);
/// assert_eq!(Ttl::new(Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidTtl);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u64);

impl Ttl {
    /// One hundred years of 365 days. Among the engines, `MySQL`'s `DATETIME` has the earliest end:
    /// the year 9999.
    pub const MAX: Self = Self(100 * 365 * 24 * 60 * 60 * 1000);

    /// The shortest ttl: one millisecond.
    pub const MIN: Self = Self(1);

    /// A ttl of this duration, rounded up to whole milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTtl`] if the duration is zero or longer than [`Ttl::MAX`].
    pub fn new(duration: Duration) -> Result<Self> {
        let invalid = |reason: String| Error::new(ErrorKind::InvalidTtl, Operation::Validate).because(reason);
        if duration.is_zero() {
            return Err(invalid("a ttl is longer than zero; to end a session, delete it".to_owned()));
        }
        if duration > Self::MAX.as_duration() {
            let max = Self::MAX.as_duration().as_secs();
            return Err(invalid(format!("{duration:?} is longer than the longest ttl, {max} s (100 years)")));
        }
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Ok(Self(u64::try_from(millis).unwrap_or(Self::MAX.0)))
    }

    /// The number of milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The ttl as a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = Error;

    fn try_from(duration: Duration) -> Result<Self> {
        Self::new(duration)
    }
}

impl fmt::Debug for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ttl({:?})", self.as_duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_overflowing_are_refused() {
        for duration in [Duration::ZERO, Ttl::MAX.as_duration() + Duration::from_nanos(1), Duration::MAX] {
            assert_eq!(Ttl::new(duration).expect_err("out of range").kind(), ErrorKind::InvalidTtl);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_accepted() {
        assert_eq!(Ttl::new(Duration::from_nanos(1)).expect("short"), Ttl::MIN);
        assert_eq!(Ttl::new(Ttl::MAX.as_duration()).expect("long"), Ttl::MAX);
        assert_eq!(Ttl::new(Duration::from_micros(1_001)).expect("a part").as_millis(), 2);
    }
}
