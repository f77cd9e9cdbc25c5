use std::{collections::BTreeMap, env, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::{Case, Target, Verdict, cases};

/// The list of words that turn "unavailable here" into a failure, separated by commas.
const REQUIRE: &str = "SESSION_REQUIRE";

/// The whole suite, on any number of targets: what `tests/conformance.rs` of a backend consists of.
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
    /// A suite without targets yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Runs what the command line asks for, as `cargo test` and `cargo nextest` do: filters, `--list`, `--test-threads`.
    ///
    /// Prints what cannot be proven about each target. An unavailable target's cases are ignored with the reason, or fail if the
    /// environment variable `SESSION_REQUIRE` (words separated by commas) holds the target's word.
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // Most cases wait for time to pass or for a server, not for a processor.
        arguments.test_threads.get_or_insert_with(|| {
            env::var("RUST_TEST_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
        });
        let mut trials = Vec::new();
        let mut not_proven = Vec::new();
        for target in self.targets.into_iter().map(Arc::new) {
            let mut missing = BTreeMap::<_, usize>::new();
            for case in cases::all() {
                match case.not_proven_by(&target) {
                    None => trials.push(trial(*case, Arc::clone(&target))),
                    Some(reason) => *missing.entry((case.promise(), reason)).or_default() += 1,
                }
            }
            not_proven.extend(missing.into_iter().map(|((promise, reason), count)| {
                let cases = if count == 1 { "case" } else { "cases" };
                format!("{}: not proven: {promise} ({reason}; {count} {cases})", target.name())
            }));
        }
        let conclusion = libtest_mimic::run(&arguments, trials);
        let whole_run = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
        if whole_run {
            #[allow(clippy::print_stdout, reason = "this is the report of a test program")]
            for line in not_proven {
                println!("{line}");
            }
        }
        conclusion.exit_code()
    }
}

fn trial(case: Case, target: Arc<Target>) -> Trial {
    Trial::ignorable_test(format!("{}::{}", target.name(), case.name()), move || match case.check(&target) {
        Verdict::Kept => Ok(Completion::Completed),
        Verdict::Broken(found) => Err(found.into()),
        Verdict::Unavailable(reason) if required(&target) => {
            Err(format!("{REQUIRE} asks for {}, but it is unavailable: {reason}", target.required_as).into())
        }
        Verdict::Unavailable(reason) | Verdict::NotProven(reason) => Ok(Completion::ignored_with(reason)),
    })
}

fn required(target: &Target) -> bool {
    env::var(REQUIRE).is_ok_and(|words| words.split(',').any(|word| word.trim() == target.required_as))
}
