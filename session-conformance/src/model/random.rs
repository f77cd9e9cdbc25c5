//! Random sequences of changes, compared with the contract step by step. A failing one is shrunk.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};
use tokio::{runtime::Handle, task::spawn_blocking};

use super::{
    By,
    run::Run,
    sight::Sight,
    step::{Act, BRIEF, Content, Guess, PlannedOwner, PlannedWrite, Step},
};
use crate::{
    Context,
    failure::{Checked, Failure},
};

/// How many keys a sequence uses. Few, so that the changes affect the same records.
const KEYS: usize = 4;

fn guesses() -> impl Strategy<Value = Guess> {
    prop_oneof![
        1 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        3 => Just(Guess::Current),
        2 => Just(Guess::Stale),
        1 => (0..128_u8).prop_map(Guess::Near),
    ]
}

fn ttls() -> BoxedStrategy<u64> {
    prop_oneof![6 => 60_000..100_000_u64, 1 => Just(31 * 86_400_000 + 1_499)].boxed()
}

/// Includes a ttl that expires soon, for an act that does nothing else.
fn any_ttls() -> BoxedStrategy<u64> {
    prop_oneof![1 => Just(BRIEF), 14 => ttls()].boxed()
}

fn contents(ttls: BoxedStrategy<u64>) -> impl Strategy<Value = Content> {
    let owners = prop_oneof![
        3 => Just(PlannedOwner::Keep),
        2 => (0..2_usize).prop_map(PlannedOwner::Set),
        1 => Just(PlannedOwner::Clear)
    ];
    (0..300_usize, owners, ttls).prop_map(|(data, owner, ttl)| Content { data, owner, ttl })
}

fn writes(ttls: BoxedStrategy<u64>) -> impl Strategy<Value = PlannedWrite> {
    (0..KEYS, guesses(), contents(ttls)).prop_map(|(key, guess, content)| PlannedWrite {
        key,
        guess,
        content,
    })
}

fn ways() -> impl Strategy<Value = By> {
    prop_oneof![2 => Just(By::Single), 1 => Just(By::Batch)]
}

fn sequences() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        6 => (vec(writes(any_ttls()), 1..2), ways()).prop_map(|(planned, by)| Act::Write(planned, by)),
        3 => vec(writes(ttls()), 1..6).prop_map(|planned| Act::Write(planned, By::Batch)),
        2 => (vec((0..KEYS, any_ttls()), 1..2), ways()).prop_map(|(touches, by)| Act::Touch(touches, by)),
        1 => vec((0..KEYS, ttls()), 1..4).prop_map(|touches| Act::Touch(touches, By::Batch)),
        3 => (vec((0..KEYS, guesses()), 1..4), ways()).prop_map(|(deletes, by)| Act::Delete(deletes, by)),
        3 => (0..KEYS, 0..KEYS, guesses(), contents(any_ttls()))
            .prop_filter("a rename is between two keys", |(old, new, ..)| old != new)
            .prop_map(|(old, new, guess, content)| Act::Rename { old, new, guess, content }),
        1 => (0..2_usize, proptest::option::of(0..KEYS)).prop_map(|(owner, except)| Act::DeleteOwner { owner, except }),
        2 => Just(Act::Again),
        1 => Just(Act::Earlier),
        1 => (1..3_usize, any::<bool>()).prop_map(|(ago, names_itself)| Act::AnotherWay { ago, names_itself }),
        1 => Just(Act::Purge),
    ];
    vec((0..2_usize, act).prop_map(|(handle, act)| Step { handle, act }), 1..30)
}

/// Runs this many random sequences, or as many as fit into the time of a case. On failure, reports
/// the shortest one that still fails.
pub(crate) async fn agrees_with_contract(cx: &Context, usual: u32) -> Checked {
    let (handles, runtime) = (cx.handles().await?, Handle::current());
    let run = cx.runs_on(handles);
    let (rounds, limit) = (cx.rounds(usual).for_longer(), cx.limit());
    let result = spawn_blocking(move || {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 4_000,
            max_shrink_time: u32::try_from(limit.as_millis() / 2).unwrap_or(u32::MAX),
            ..Config::default()
        };
        for _ in rounds {
            // Each sequence has its own seed.
            TestRunner::new(config.clone()).run(&sequences(), |steps| {
                runtime
                    .block_on(follow(run(), &steps))
                    .map_err(|failure| TestCaseError::fail(failure.to_string()))
            })?;
        }
        Ok(())
    })
    .await?;
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, steps)) => Err(Failure::new(format!(
            "{reason}\n    (the shortest sequence that shows it, of {} steps)",
            steps.len()
        ))),
        Err(TestError::Abort(reason)) => Err(Failure::new(format!("no sequences could be made: {reason}"))),
    }
}

/// Performs a sequence. Checks everything after each step in one way, and at the end in every way.
async fn follow(mut run: Run, steps: &[Step]) -> Checked {
    for key in 0..KEYS {
        run.key(key);
    }
    for owner in 0..2 {
        run.owner(owner);
    }
    for (at, step) in steps.iter().enumerate() {
        run.step(step).await?;
        run.look(at % 2, Sight::ALL[(at + steps.len()) % Sight::ALL.len()]).await?;
        run.look_at_owners(at % 2).await?;
    }
    run.look_everywhere().await
}
