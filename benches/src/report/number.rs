//! Numbers for people.

/// Three significant digits, with `k`, `M` or `G`: 950, 12.3k, 1.05M.
pub(super) fn short(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        n if n >= 999.5e6 => (number / 1e9, "G"),
        n if n >= 999.5e3 => (number / 1e6, "M"),
        n if n >= 999.5 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    format!("{}{unit}", digits(scaled))
}

/// Formats a time given in microseconds.
pub(super) fn time(microseconds: f64) -> String {
    match microseconds {
        t if t >= 999.5e3 => format!("{} s", digits(t / 1e6)),
        t if t >= 999.5 => format!("{} ms", digits(t / 1e3)),
        t if t >= 0.9995 => format!("{} µs", digits(t)),
        t => format!("{} ns", digits(t * 1e3)),
    }
}

/// Formats a ratio.
pub(super) fn times(ratio: f64) -> String {
    format!("{}×", digits(ratio))
}

/// At most three significant digits, without trailing zeros in the fraction.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        n if n >= 99.95 => 0,
        n if n >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{number:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let numbers = [0.0, 0.5, 7.0, 12.34, 999.0, 999.9, 12_345.0, 1_050_000.0, 2e9];
        let expected = ["0", "0.5", "7", "12.3", "999", "1k", "12.3k", "1.05M", "2G"];
        assert_eq!(numbers.map(short), expected);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(
            [0.25, 1.0, 43.21, 1_500.0, 2.5e6].map(time),
            ["250 ns", "1 µs", "43.2 µs", "1.5 ms", "2.5 s"]
        );
    }
}
