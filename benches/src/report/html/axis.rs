use crate::report::number;

/// Formats a value beside an axis.
pub(super) type Label = fn(f64) -> String;

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// The quantity and its unit.
    pub(super) title: String,
    low: f64,
    high: f64,
    is_log: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis from zero to a round number above all values.
    pub(super) fn linear(title: &str, values: impl IntoIterator<Item = f64>, label: Label) -> Self {
        let most = values.into_iter().fold(0.0_f64, f64::max).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf((most / 4.0).log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| step * 4.0 >= most);
        let step = step.unwrap_or(10.0 * power);
        let ticks = (0..=4_u8).map(|n| f64::from(n) * step).map(|at| (at, label(at))).collect();
        Self { title: title.to_owned(), low: 0.0, high: step * 4.0, is_log: false, ticks }
    }

    /// A logarithmic axis between powers of ten, with a tick at each of them.
    pub(super) fn log(title: &str, values: impl IntoIterator<Item = f64>, label: Label) -> Self {
        let (least, most) = range(values);
        let (low, mut high) = (least.log10().floor(), most.log10().ceil());
        if high <= low {
            high = low + 1.0;
        }
        let mut ticks = Vec::new();
        let mut power = low;
        while power <= high {
            let at = 10_f64.powf(power);
            ticks.push((at, label(at)));
            power += 1.0;
        }
        Self { title: title.to_owned(), low: 10_f64.powf(low), high: 10_f64.powf(high), is_log: true, ticks }
    }

    /// A logarithmic axis with a tick at each value.
    pub(super) fn log_of_values(title: &str, values: impl IntoIterator<Item = f64>, label: Label) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (least, most) = range(values.iter().copied());
        let (low, high) = if least < most { (least, most) } else { (least / 2.0, most * 2.0) };
        let ticks = values.into_iter().map(|at| (at, label(at))).collect();
        Self { title: title.to_owned(), low, high, is_log: true, ticks }
    }

    /// Named places at 0, 1, 2 and so on, with room for their names on both sides.
    pub(super) fn named(title: &str, names: &[&str]) -> Self {
        let ticks: Vec<(f64, String)> =
            (0_u8..).map(f64::from).zip(names.iter().map(ToString::to_string)).collect();
        let high = ticks.last().map_or(0.0, |(at, _)| *at) + 0.5;
        Self { title: title.to_owned(), low: -0.5, high, is_log: false, ticks }
    }

    /// The position of a value, from 0 at the low end to 1 at the high end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        place.clamp(0.0, 1.0)
    }

    /// The marked values, with their names.
    pub(super) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }
}

fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values
        .into_iter()
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    if least.is_finite() { (least, most) } else { (1.0, 10.0) }
}

/// Formats a count.
pub(super) fn count(value: f64) -> String {
    number::short(value)
}

/// Formats a time in microseconds.
pub(super) fn time(value: f64) -> String {
    number::time(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_holds_all_values() {
        let axis = Axis::linear("", [3.0, 870.0], count);
        assert_eq!(
            axis.ticks().iter().map(|(_, label)| &**label).collect::<Vec<_>>(),
            ["0", "250", "500", "750", "1k"]
        );
        assert!(axis.place(870.0) < 1.0);
    }

    #[test]
    fn a_logarithmic_axis_spaces_powers_evenly() {
        let axis = Axis::log("", [2.0, 500.0], count);
        assert_eq!(axis.ticks().len(), 4);
        assert!((axis.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
        assert!((axis.place(0.0)).abs() < 1e-9);
    }

    #[test]
    fn a_single_value_has_room_on_both_sides() {
        let axis = Axis::log_of_values("", [64.0], count);
        assert!((axis.place(64.0) - 0.5).abs() < 1e-9);
    }
}
