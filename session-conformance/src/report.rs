//! The summary at the end of a run, in addition to the output of the test harness.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{Promise, Target, Verdict, cases};

/// How many of the slowest cases are named, if the whole run took longer than `LONG`.
const SLOWEST: usize = 12;
const LONG: Duration = Duration::from_secs(15);

/// The results of one target's cases.
#[derive(Debug)]
pub(crate) struct Report {
    target: String,
    /// The promises for which the target lacks hooks or abilities, with the reason and the number
    /// of cases.
    missing: BTreeMap<(Promise, String), usize>,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    kept: usize,
    broken: Vec<(String, String)>,
    too_slow: Vec<(String, String)>,
    unavailable: BTreeSet<String>,
    slowest: Vec<(Duration, String)>,
    span: Option<(Instant, Instant)>,
}

impl Report {
    pub(crate) fn new(target: &Target) -> Self {
        let mut missing = BTreeMap::<_, usize>::new();
        for case in cases() {
            if let Some(reason) = case.not_proven_by(target) {
                *missing.entry((case.promise(), reason)).or_default() += 1;
            }
        }
        Self { target: target.name().to_owned(), missing, tally: Mutex::default() }
    }

    /// Records the verdict of a case that began at `begun`.
    pub(crate) fn note(&self, case: &str, begun: Instant, verdict: &Verdict) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, _) = tally.span.unwrap_or((begun, begun));
        tally.span = Some((first.min(begun), Instant::now()));
        tally.slowest.push((begun.elapsed(), case.to_owned()));
        tally.slowest.sort_by(|a, b| b.cmp(a));
        tally.slowest.truncate(SLOWEST);
        match verdict {
            Verdict::Kept => tally.kept += 1,
            Verdict::Broken(found) => tally.broken.push((case.to_owned(), found.clone())),
            Verdict::TooSlow(reason) => tally.too_slow.push((case.to_owned(), reason.clone())),
            Verdict::Unavailable(reason) => drop(tally.unavailable.insert(reason.clone())),
            Verdict::NotProven(_) => {}
        }
    }

    /// Returns true if a case has failed so far.
    pub(crate) fn has_failures(&self) -> bool {
        !self.tally.lock().unwrap_or_else(PoisonError::into_inner).broken.is_empty()
    }

    /// The lines of this target. The last one says what was shown, or that nothing was. Empty if no
    /// case of it was run.
    pub(crate) fn lines(&self) -> String {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut lines, target) = (String::new(), &self.target);
        let Some((first, last)) = tally.span else { return lines };
        for ((promise, reason), count) in &self.missing {
            let cases = if *count == 1 { "case" } else { "cases" };
            let _ = writeln!(lines, "{target}: not proven: {promise} ({reason}; {count} {cases})");
        }
        for (case, reason) in &tally.too_slow {
            let _ = writeln!(lines, "{target}: not proven: {case} (too slow here: {reason})");
        }
        if last - first > LONG {
            let name = |case: &str| case.rsplit("::").next().unwrap_or_default().to_owned();
            let slowest =
                tally.slowest.iter().map(|(spent, case)| format!("{} {}", name(case), seconds(*spent)));
            let _ = writeln!(lines, "{target}: the slowest: {}", slowest.collect::<Vec<_>>().join(", "));
        }
        for reason in &tally.unavailable {
            let _ = writeln!(lines, "{target}: it could not be opened: {reason}");
        }
        // Of many failures, the shortest is usually the clearest.
        if let Some((case, found)) = tally.broken.iter().min_by_key(|(_, found)| found.len()) {
            let _ = writeln!(
                lines,
                "{target}: of {} failures, read this one first: {case}\n{found}",
                tally.broken.len()
            );
        }
        let spent = seconds(last - first);
        let _ = match (tally.kept, tally.broken.len()) {
            (0, 0) => writeln!(lines, "{target}: NOTHING WAS PROVEN"),
            (kept, 0) => writeln!(lines, "{target}: {kept} cases passed in {spent}"),
            (kept, broken) => writeln!(lines, "{target}: {broken} cases FAILED and {kept} passed in {spent}"),
        };
        lines
    }
}

fn seconds(spent: Duration) -> String {
    format!("{:.1} s", spent.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new(&Target::in_process("mine", session_memory::MemoryStore::new))
    }

    #[test]
    fn a_target_that_was_not_opened_is_not_said_to_pass() {
        let report = report();
        assert_eq!(report.lines(), "", "no case was run");
        report.note("p01::a", Instant::now(), &Verdict::Unavailable("connection refused".to_owned()));
        let lines = report.lines();
        assert!(lines.contains("mine: it could not be opened: connection refused\n"), "{lines}");
        assert!(lines.ends_with("mine: NOTHING WAS PROVEN\n"), "{lines}");
    }

    #[test]
    fn the_shortest_failure_is_shown_and_what_was_too_slow_is_named() {
        let report = report();
        for (case, verdict) in [
            ("p01::a", Verdict::Broken("promise 1 is broken: a long history".to_owned())),
            ("p02::b", Verdict::Broken("promise 2 is broken".to_owned())),
            ("p03::c", Verdict::TooSlow("1 of 9 rounds".to_owned())),
            ("p04::d", Verdict::Kept),
        ] {
            report.note(case, Instant::now(), &verdict);
        }
        let lines = report.lines();
        assert!(
            lines.contains("of 2 failures, read this one first: p02::b\npromise 2 is broken\n"),
            "{lines}"
        );
        assert!(lines.contains("mine: not proven: p03::c (too slow here: 1 of 9 rounds)\n"), "{lines}");
        assert!(lines.contains("mine: 2 cases FAILED and 1 passed in "), "{lines}");
    }
}
