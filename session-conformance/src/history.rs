//! Concurrent histories of one record, checked for linearizability.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use session_core::{DeleteOutcome, Expected, SessionKey, SessionStore, Version, When};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::{
    failure::{Checked, Failure, ensure},
    steps::{all, hour, write},
};

const CLIENTS: usize = 4;
const STEPS: usize = 5;

/// One record as the contract describes it: the version that is live, if any.
#[derive(Clone, Debug, Default)]
struct Register {
    live: Option<Version>,
}

#[derive(Clone, Debug)]
enum Call {
    Read,
    Write(Version, When),
    Touch,
    Delete(Expected),
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Found(Option<Version>),
    Written(bool),
    Touched(bool),
    Deleted(DeleteOutcome),
}

impl SequentialSpec for Register {
    type Op = Call;
    type Ret = Answer;

    fn invoke(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Read => Answer::Found(self.live),
            Call::Touch => Answer::Touched(self.live.is_some()),
            Call::Write(version, when) => {
                let holds = match when {
                    When::Absent => self.live.is_none(),
                    When::Version(expected) => self.live == Some(expected),
                    When::Any => true,
                };
                if holds {
                    self.live = Some(version);
                }
                Answer::Written(holds)
            }
            Call::Delete(expected) => Answer::Deleted(match self.live {
                None => DeleteOutcome::Absent,
                Some(version) if !expected.matches(version) => DeleteOutcome::Conflict,
                Some(_) => {
                    self.live = None;
                    DeleteOutcome::Deleted
                }
            }),
        }
    }
}

type Tester = LinearizabilityTester<usize, Register>;

/// Lets a few clients work on one record at once, at random, and checks that some order of their calls, in
/// which none comes before one that had returned before it began, explains every answer.
pub(crate) async fn is_linearizable(store: &Arc<dyn SessionStore>, key: SessionKey) -> Checked {
    let tester = Arc::new(Mutex::new(Tester::new(Register::default())));
    let clients = (0..CLIENTS).map(|client| {
        let (store, tester) = (Arc::clone(store), Arc::clone(&tester));
        async move {
            let mut seen = None;
            for _ in 0..STEPS {
                let call = choose(seen);
                record(&tester, |tester| tester.on_invoke(client, call.clone()).map(drop))?;
                let answer = carry_out(&*store, &key, &call, &mut seen).await?;
                record(&tester, |tester| tester.on_return(client, answer).map(drop))?;
            }
            Ok(())
        }
    });
    for done in all::<Checked, _>(clients).await? {
        done?;
    }
    let tester =
        Arc::into_inner(tester).map(|tester| tester.into_inner().unwrap_or_else(PoisonError::into_inner));
    ensure!(
        tester.as_ref().is_some_and(Tester::is_consistent),
        "no order of these calls explains their answers:\n{tester:#?}"
    );
    Ok(())
}

fn record(tester: &Mutex<Tester>, step: impl FnOnce(&mut Tester) -> Result<(), String>) -> Checked {
    step(&mut tester.lock().unwrap_or_else(PoisonError::into_inner)).map_err(Failure::new)
}

fn choose(seen: Option<Version>) -> Call {
    match (rand::rng().random_range(0..10), seen) {
        (0..3, _) => Call::Read,
        (3..6, Some(version)) => Call::Write(Version::random(), When::Version(version)),
        (6, _) => Call::Touch,
        (7, Some(version)) => Call::Delete(Expected::Version(version)),
        (7 | 8, _) => Call::Delete(Expected::Any),
        (9, Some(_)) => Call::Write(Version::random(), When::Any),
        _ => Call::Write(Version::random(), When::Absent),
    }
}

async fn carry_out(
    store: &dyn SessionStore,
    key: &SessionKey,
    call: &Call,
    seen: &mut Option<Version>,
) -> Checked<Answer> {
    Ok(match *call {
        Call::Read => {
            let found = store.read(key).await?.map(|record| record.version);
            *seen = found.or(*seen);
            Answer::Found(found)
        }
        Call::Write(version, when) => {
            let mut write = write("x");
            write.version = version;
            let written = store.write(key, write, when).await?.is_written();
            if written {
                *seen = Some(version);
            }
            Answer::Written(written)
        }
        Call::Touch => Answer::Touched(store.touch(key, hour()).await?),
        Call::Delete(expected) => Answer::Deleted(store.delete(key, expected).await?),
    })
}
