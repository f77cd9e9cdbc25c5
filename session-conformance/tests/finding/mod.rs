//! Checks that a case finds the mistake of a store, concurrently with other cases or else alone.

use std::sync::{PoisonError, RwLock};

use session_conformance::{Case, Target, Verdict, cases};

/// How often a case runs alone before a mistake counts as not found. Some show only when tasks
/// race.
const RUNS_ALONE: usize = 2;

/// Read-locked by cases that run concurrently, write-locked by a case that runs alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// Checks that the case with this name finds a target to be broken, not only by a hang.
///
/// The case first runs concurrently with others, because most cases wait. It then has time for
/// fewer rounds, so a case that finds nothing runs again with the machine to itself.
pub(crate) fn must_find(name: &str, target: impl Fn() -> Target) -> Result<(), String> {
    let case = cases().find(|case| case.name() == name).ok_or_else(|| format!("there is no case {name}"))?;
    let beside = {
        let _others_run = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        case.check(&target())
    };
    if let Verdict::Broken(found) = beside {
        return judge(case, &found);
    }
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    let mut last = beside;
    for _ in 0..RUNS_ALONE {
        match case.check(&target()) {
            Verdict::Broken(found) => return judge(case, &found),
            other => last = other,
        }
    }
    Err(format!("{name} does not find it, alone {RUNS_ALONE} times as well: {last:?}"))
}

fn judge(case: &Case, found: &str) -> Result<(), String> {
    let named = format!("promise {} ({}) is broken", case.promise().number(), case.promise().title());
    if !found.starts_with(&named) {
        return Err(format!("it does not name the promise: {found}"));
    }
    if found.contains("hangs") {
        return Err(format!("found by hanging alone: {found}"));
    }
    Ok(())
}
