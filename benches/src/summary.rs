//! The summary of a candidate's rounds.

/// The median and the quartiles of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The lowest measurement.
    pub lowest: f64,
    /// A quarter of the measurements is at most this.
    pub lower_quartile: f64,
    /// The middle measurement.
    pub median: f64,
    /// A quarter of the measurements is at least this.
    pub upper_quartile: f64,
    /// The highest measurement.
    pub highest: f64,
}

impl Summary {
    /// Summarises `measurements`, in any order.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn of(mut measurements: Vec<f64>) -> Self {
        assert!(!measurements.is_empty(), "nothing was measured");
        measurements.sort_by(f64::total_cmp);
        let last = measurements.len() - 1;
        // An even number has two middle values. The lower one is a measurement, their mean is not.
        let quarter = |quarters| measurements[last * quarters / 4];
        Self {
            lowest: quarter(0),
            lower_quartile: quarter(1),
            median: quarter(2),
            upper_quartile: quarter(3),
            highest: quarter(4),
        }
    }

    /// Summarises the ratios of `measurements` to `references`, pair by pair.
    ///
    /// Both values of a pair are from the same round, so that what slows both down cancels out.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn of_ratios(measurements: &[f64], references: &[f64]) -> Self {
        Self::of(
            measurements.iter().zip(references).map(|(measured, reference)| measured / reference).collect(),
        )
    }

    /// Formats the quartiles for a table.
    pub fn quartiles(&self) -> String {
        self.quartiles_to(0)
    }

    /// Formats the quartiles with this many decimals.
    pub fn quartiles_to(&self, decimals: usize) -> String {
        format!("{:.decimals$}..{:.decimals$}", self.lower_quartile, self.upper_quartile)
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn sorts_and_finds_the_quarters() {
        let expected =
            Summary { lowest: 1.0, lower_quartile: 2.0, median: 3.0, upper_quartile: 4.0, highest: 5.0 };
        assert_eq!(Summary::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]), expected);
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let ratios = Summary::of_ratios(&[2.0, 8.0, 9.0], &[1.0, 2.0, 3.0]);
        assert_eq!((ratios.lowest, ratios.median, ratios.highest), (2.0, 3.0, 4.0));
    }
}
