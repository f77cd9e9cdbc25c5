use serde::{Deserialize, Serialize};

use crate::summary::Summary;

/// The median and the quartiles of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle round.
    pub median: f64,
    /// A quarter of the rounds is at most this.
    pub lower: f64,
    /// A quarter of the rounds is at least this.
    pub upper: f64,
}

impl Spread {
    /// Summarises these rounds, in any order; `None` if there are none.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let rounds: Vec<f64> = rounds.into_iter().collect();
        if rounds.is_empty() {
            return None;
        }
        let summary = Summary::of(rounds);
        Some(Self { median: summary.median, lower: summary.lower_quartile, upper: summary.upper_quartile })
    }
}
