use std::{fmt, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

/// The number of progress lines of a run without a terminal.
const PARTS: u64 = 20;

/// The progress of a run: a bar on a terminal; elsewhere, such as in a log, a line for each
/// twentieth.
pub struct Progress {
    bar: ProgressBar,
    told: u64,
}

impl Progress {
    /// Starts at zero of this many steps.
    pub fn new(steps: u64) -> Self {
        let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
        let bar = ProgressBar::new(steps);
        let bar = match style {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        };
        Self { bar, told: 0 }
    }

    /// Reports what is being done.
    pub fn say(&mut self, what: String) {
        if self.bar.is_hidden()
            && let Some(part) = due(self.bar.position(), self.bar.length().unwrap_or(0), self.told)
        {
            self.told = part;
            line(self.bar.elapsed(), part, &what);
        }
        self.bar.set_message(what);
    }

    /// Completes a step.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Hides the bar while `print` prints.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The part of the run that has begun, if it is later than the last reported part.
fn due(done: u64, steps: u64, told: u64) -> Option<u64> {
    let part = (PARTS * done).checked_div(steps)?;
    (part > told).then_some(part)
}

#[expect(clippy::print_stderr, reason = "who waits is to see that it goes on")]
fn line(elapsed: Duration, part: u64, what: &str) {
    let seconds = elapsed.as_secs();
    eprintln!("{:2}:{:02} {:3} % {what}", seconds / 60, seconds % 60, 100 * part / PARTS);
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("done", &self.bar.position()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_once() {
        let mut told = 0;
        let lines: Vec<u64> =
            (0..=1_000).filter_map(|done| due(done, 1_000, told).inspect(|part| told = *part)).collect();
        assert_eq!(lines, (1..=PARTS).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_of_few_steps_leaves_parts_out() {
        assert_eq!(due(1, 3, 0), Some(6));
        assert_eq!(due(1, 3, 6), None);
        assert_eq!(due(0, 0, 0), None);
    }
}
