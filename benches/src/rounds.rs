//! Interleaved rounds.

use crate::summary::Summary;

/// Calls `measure` once for every candidate in each of `rounds` rounds, and summarises the results
/// of each candidate, in the order of `candidates`.
///
/// Every round begins with the next candidate, so that no candidate always follows the same other
/// one.
///
/// # Panics
///
/// When `rounds` is zero.
pub fn interleave<C>(rounds: usize, candidates: &[C], measure: impl FnMut(&C) -> f64) -> Vec<Summary> {
    series(rounds, candidates, measure).into_iter().map(Summary::of).collect()
}

/// Like [`interleave`], but returns the individual results of each candidate, in round order.
pub fn series<C>(rounds: usize, candidates: &[C], mut measure: impl FnMut(&C) -> f64) -> Vec<Vec<f64>> {
    let mut results = vec![Vec::with_capacity(rounds); candidates.len()];
    for round in 0..rounds {
        for turn in 0..candidates.len() {
            let index = (round + turn) % candidates.len();
            results[index].push(measure(&candidates[index]));
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::interleave;

    #[test]
    fn rotates_who_begins() {
        let mut order = String::new();
        let results = interleave(3, &['a', 'b', 'c'], |&candidate| {
            order.push(candidate);
            f64::from(u32::from(candidate))
        });
        assert_eq!(order, "abcbcacab");
        assert_eq!(results.iter().map(|result| result.median).collect::<Vec<_>>(), [97.0, 98.0, 99.0]);
    }
}
