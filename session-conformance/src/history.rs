//! Concurrent histories of one record, checked for linearizability.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rand::RngExt;
use session_core::{DeleteOutcome, Expected, SessionKey, SessionStore, Version, When};

use crate::{
    failure::{Checked, ensure},
    steps::{all, hour, write},
};

const CLIENTS: usize = 4;
const STEPS: usize = 6;

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

/// A call with its answer, and when it began and ended by a clock that all clients share.
#[derive(Clone, Debug)]
struct Done {
    began: u32,
    call: Call,
    answer: Answer,
    ended: u32,
}

impl Register {
    /// What the contract says to this call, and what it leaves behind.
    fn apply(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Read => Answer::Found(self.live),
            Call::Touch => Answer::Touched(self.live.is_some()),
            Call::Write(version, when) => {
                let holds = when.holds(self.live);
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

/// Lets a few clients work on one record at once, at random, and checks that some order of their calls, in
/// which none comes before one that had returned before it began, explains every answer.
pub(crate) async fn is_linearizable(store: &Arc<dyn SessionStore>, key: SessionKey) -> Checked {
    let clock = Arc::new(AtomicU32::new(0));
    let clients = (0..CLIENTS).map(|_| {
        let (store, clock) = (Arc::clone(store), Arc::clone(&clock));
        async move {
            let (mut seen, mut done) = (None, Vec::new());
            for _ in 0..STEPS {
                let call = choose(seen);
                let began = clock.fetch_add(1, Ordering::SeqCst);
                let answer = carry_out(&*store, &key, &call, &mut seen).await?;
                done.push(Done { began, call, answer, ended: clock.fetch_add(1, Ordering::SeqCst) });
            }
            Ok(done)
        }
    });
    let mut history = Vec::new();
    for done in all::<Checked<Vec<Done>>, _>(clients).await? {
        history.extend(done?);
    }
    history.sort_by_key(|done| done.began);
    ensure!(can_be_ordered(&history), "no order of these calls explains their answers:\n{history:#?}");
    Ok(())
}

/// The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe ("Testing for
/// linearizability", 2017): of all ways to order the same calls to the same effect, one is followed.
fn can_be_ordered(history: &[Done]) -> bool {
    let all = (1_u64 << history.len()) - 1;
    let mut ways = vec![(0_u64, Register::default())];
    let mut known = HashSet::new();
    while let Some((ordered, register)) = ways.pop() {
        if ordered == all {
            return true;
        }
        let waiting = || history.iter().enumerate().filter(|(at, _)| ordered & (1 << at) == 0);
        let first_end = waiting().map(|(_, done)| done.ended).min().unwrap_or(u32::MAX);
        for (at, done) in waiting().take_while(|(_, done)| done.began < first_end) {
            let mut next = register.clone();
            let way = (ordered | 1 << at, next.apply(&done.call) == done.answer, next);
            if let (ordered, true, register) = way
                && known.insert((ordered, register.live))
            {
                ways.push((ordered, register));
            }
        }
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    fn done(began: u32, ended: u32, call: Call, answer: Answer) -> Done {
        Done { began, call, answer, ended }
    }

    #[test]
    fn a_read_may_overlap_a_write_but_not_contradict_it() {
        let version = Version::random();
        let write = |ended| done(0, ended, Call::Write(version, When::Absent), Answer::Written(true));
        let read = |began, found| done(began, began + 1, Call::Read, Answer::Found(found));
        assert!(can_be_ordered(&[write(10), read(1, None), read(3, Some(version))]));
        assert!(!can_be_ordered(&[write(10), read(1, Some(version)), read(3, None)]), "it went back in time");
        assert!(!can_be_ordered(&[write(2), read(3, None)]), "the write had returned");
    }

    #[test]
    fn two_winners_of_one_version_cannot_be_ordered() {
        let [first, a, b] = [(); 3].map(|()| Version::random());
        let replace = |began, version| {
            done(began, began + 9, Call::Write(version, When::Version(first)), Answer::Written(true))
        };
        let create = done(0, 1, Call::Write(first, When::Absent), Answer::Written(true));
        assert!(can_be_ordered(&[create.clone(), replace(2, a)]));
        assert!(!can_be_ordered(&[create, replace(2, a), replace(3, b)]));
    }
}
