use std::{env, process::ExitCode, sync::Arc, time::Instant};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::{Case, Target, Verdict, cases, report::Report};

/// The variable with the words that turn "unavailable here" into a failure, separated by commas.
const REQUIRE: &str = "SESSION_REQUIRE";

/// The variable that, if set to anything, stops a target after its first failure.
const FAIL_FAST: &str = "SESSION_FAIL_FAST";

/// The whole suite, on any number of targets. It makes up `tests/conformance.rs` of a backend.
///
/// ```no_run
/// use std::process::ExitCode;
/// use session_conformance::{Suite, Target};
/// use session_memory::MemoryStore;
///
/// fn main() -> ExitCode {
///     Suite::new().target(Target::in_process("memory", MemoryStore::new)).main()
/// }
/// ```
#[derive(Debug, Default)]
pub struct Suite {
    targets: Vec<Target>,
}

impl Suite {
    /// A suite without targets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Runs the cases that the command line selects, as `cargo test` and `cargo nextest` do:
    /// filters, `--list`, `--test-threads`.
    ///
    /// Prints each failure as soon as it is found. At the end, prints for each target what was
    /// shown, the time it took, and what could not be proven.
    ///
    /// The cases of an unavailable target are ignored, with the reason. They fail if the
    /// environment variable `SESSION_REQUIRE` (words separated by commas) contains the target's
    /// word. The last line of a target that was not opened says that nothing was proven. A suite
    /// without a target fails.
    ///
    /// If `SESSION_FAIL_FAST` is set, no case of a target begins after one of them has failed.
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // Most cases wait for time to pass or for a server, so they need more threads than
        // processors.
        arguments.test_threads.get_or_insert_with(|| {
            env::var("RUST_TEST_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(10)
        });
        if self.targets.is_empty() {
            say("the suite has no target, so nothing was proven");
            return ExitCode::FAILURE;
        }
        let (mut trials, mut reports) = (Vec::new(), Vec::new());
        for target in self.targets.into_iter().map(Arc::new) {
            let report = Arc::new(Report::new(&target));
            let shown = cases::all().filter(|case| case.not_proven_by(&target).is_none());
            trials.extend(shown.map(|case| trial(*case, Arc::clone(&target), Arc::clone(&report))));
            reports.push(report);
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        for report in reports {
            say(report.lines().trim_end());
        }
        if !arguments.list && conclusion.num_passed + conclusion.num_failed + conclusion.num_ignored == 0 {
            say("no case has a name that the filter matches, so nothing was proven");
        }
        conclusion.exit_code()
    }
}

#[allow(clippy::print_stdout, reason = "this is the report of a test program")]
fn say(line: &str) {
    if !line.is_empty() {
        println!("{line}");
    }
}

fn trial(case: Case, target: Arc<Target>, report: Arc<Report>) -> Trial {
    let name = format!("{}::{}", target.name(), case.name());
    Trial::ignorable_test(name.clone(), move || {
        if report.has_failures() && env::var_os(FAIL_FAST).is_some() {
            return Ok(Completion::ignored_with(format!("another case has failed, and {FAIL_FAST} is set")));
        }
        let begun = Instant::now();
        let verdict = case.check(&target);
        report.note(&name, begun, &verdict);
        match verdict {
            Verdict::Kept => Ok(Completion::Completed),
            Verdict::Broken(found) => {
                say(&format!("\n---- {name} has failed ----\n{found}\n"));
                Err(found.into())
            }
            Verdict::Unavailable(reason) if required(&target) => {
                Err(format!("{REQUIRE} asks for {}, but it is unavailable: {reason}", target.required_as)
                    .into())
            }
            Verdict::TooSlow(reason) => {
                Ok(Completion::ignored_with(format!("too slow: {reason}, not proven")))
            }
            Verdict::Unavailable(reason) | Verdict::NotProven(reason) => Ok(Completion::ignored_with(reason)),
        }
    })
}

fn required(target: &Target) -> bool {
    env::var(REQUIRE).is_ok_and(|words| words.split(',').any(|word| word.trim() == target.required_as))
}
