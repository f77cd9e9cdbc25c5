//! The session that each operation of a workload hits, drawn before the timing begins.

use rand::SeedableRng as _;
use rand::distr::{Distribution as _, Uniform};
use rand::rngs::SmallRng;
use rand_distr::Zipf;

/// How the operations spread over the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Every session is equally likely.
    Uniform,
    /// The probability of the `k`-th most popular session is proportional to `k^-0.99`, as in YCSB.
    Zipf,
}

impl Spread {
    /// Both spreads, in the order in which tables show them.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Zipf];

    /// The name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    /// Draws `count` indices below `sessions`. The same `seed` draws the same indices.
    ///
    /// # Panics
    ///
    /// When `sessions` is zero.
    pub fn draw(self, sessions: u32, count: usize, seed: u64) -> Vec<u32> {
        let mut rng = SmallRng::seed_from_u64(seed);
        match self {
            Self::Uniform => {
                let uniform = Uniform::new(0, sessions).expect("there is at least one session");
                uniform.sample_iter(&mut rng).take(count).collect()
            }
            Self::Zipf => {
                let zipf = Zipf::new(f64::from(sessions), 0.99).expect("there is at least one session");
                zipf.sample_iter(&mut rng).take(count).map(|rank| scatter(rank, sessions)).collect()
            }
        }
    }
}

/// Turns a popularity rank (1 is the most popular) into an index, so that popular sessions are not
/// neighbours in memory. The factor is a prime, which makes this a permutation for every realistic
/// number of sessions.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is a whole number from 1 to `sessions`"
)]
fn scatter(rank: f64, sessions: u32) -> u32 {
    ((rank as u64 - 1) * 2_654_435_761 % u64::from(sessions)) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::{Spread, scatter};

    #[test]
    fn stays_below_the_number_of_sessions() {
        for spread in Spread::ALL {
            assert!(spread.draw(7, 1000, 1).into_iter().all(|index| index < 7));
        }
    }

    #[test]
    fn zipf_has_favourites() {
        let mut hits = HashMap::new();
        for index in Spread::Zipf.draw(100_000, 100_000, 1) {
            *hits.entry(index).or_insert(0) += 1;
        }
        assert!(hits.values().any(|&hits| hits > 5_000));
    }

    #[test]
    fn scatter_is_a_permutation() {
        let indices: HashSet<u32> = (1..=100_000).map(|rank| scatter(f64::from(rank), 100_000)).collect();
        assert_eq!(indices.len(), 100_000);
    }
}
