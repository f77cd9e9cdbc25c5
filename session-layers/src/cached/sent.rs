use std::{mem, time::Duration};

use session_core::Version;

use super::clock::Moment;
use super::runtime::Mutex;

/// The writes that were sent through this cache recently.
///
/// A store does not say whether it carried out a write or had already done so. In the second case
/// the record expires by the first delivery, or by a later touch, so the second delivery says
/// nothing about the expiry.
///
/// Never takes a write that was sent within the last [`AGE`] for a new one. It may take a new write
/// for a repeated one, more often under a higher write rate. That costs a read.
pub(crate) struct SentWrites(Mutex<Generations>);

/// Longer than any caller retries.
const AGE: Duration = Duration::from_secs(30);

/// 256 KiB of bits for each generation. At 10,000 writes a second, one write in eight is taken for
/// a repeated one.
const BITS: usize = 1 << 21;

struct Generations {
    begun: Moment,
    current: Vec<u64>,
    previous: Vec<u64>,
}

impl SentWrites {
    pub(crate) fn new(now: Moment) -> Self {
        let none = || vec![0; BITS / 64];
        Self(Mutex::new(Generations { begun: now, current: none(), previous: none() }))
    }

    /// Records a write that is about to be sent. Returns true only if it was certainly not sent
    /// before.
    pub(crate) fn is_first(&self, version: &Version, now: Moment) -> bool {
        // Versions are random, so any of their bytes are a hash.
        let (first, rest) = version.as_bytes().split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let second = rest.first_chunk::<4>().unwrap_or(&[0; 4]);
        let places = [first, second].map(|bytes| u32::from_le_bytes(*bytes) as usize % BITS);
        let mut generations = self.0.lock();
        generations.age(now);
        let Generations { current, previous, .. } = &mut *generations;
        let holds = |bits: &[u64]| places.iter().all(|place| (bits[place / 64] >> (place % 64)) & 1 == 1);
        let is_first = !holds(current) && !holds(previous);
        for place in places {
            current[place / 64] |= 1 << (place % 64);
        }
        is_first
    }
}

impl Generations {
    fn age(&mut self, now: Moment) {
        if now.since(self.begun) >= AGE {
            // After two ages without a write, neither generation is kept.
            if now.since(self.begun) >= 2 * AGE {
                self.current.fill(0);
            }
            mem::swap(&mut self.current, &mut self.previous);
            self.current.fill(0);
            self.begun = now;
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::super::clock::Clock;
    use super::*;

    #[test]
    fn a_write_is_known_for_its_age_and_new_ones_are_new() {
        let begun = Clock::start().now();
        let sent = SentWrites::new(begun);
        let versions: Vec<Version> = (0..1_000).map(|_| Version::random()).collect();
        let new = versions.iter().filter(|version| sent.is_first(version, begun)).count();
        assert!(new > 990, "{new}");
        // Recorded at the end of one generation, and looked up at the end of the next one.
        let late = Version::random();
        assert!(sent.is_first(&late, begun.plus(AGE.saturating_sub(Duration::from_micros(1)))));
        let later = begun.plus((AGE * 2).saturating_sub(Duration::from_micros(1)));
        assert!(!sent.is_first(&late, later));
        assert!(versions.iter().all(|version| !sent.is_first(version, later)));
        let much_later = later.plus(AGE * 2);
        let new = versions.iter().filter(|version| sent.is_first(version, much_later)).count();
        assert!(new > 990, "{new}");
    }
}
