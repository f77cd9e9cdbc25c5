//! Each way of changing a record, in each state that it can be in.

use super::{
    By,
    step::{Act, BRIEF, Content, Guess, PlannedOwner, PlannedWrite, Step},
};

/// The record that is changed, the key that it is renamed to, and a third one.
pub(crate) const KEY: usize = 0;
pub(crate) const NEW: usize = 2;
const THIRD: usize = 4;
/// A key of another shard.
pub(crate) const FAR: usize = 1;

const ALICE: usize = 0;
const BOB: usize = 1;

/// A ttl that is not a whole number of seconds, to detect a store that counts seconds.
const TTL: u64 = 90_500;

/// The kind of a change in the table. Each kind belongs to one promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Write,
    Touch,
    Delete,
    Rename,
    DeleteOwner,
}

/// An initial state, a change, and the handle that the change uses.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) start: &'static str,
    pub(crate) before: Vec<Step>,
    pub(crate) change: Vec<Step>,
}

/// Every initial state with every change of a kind, through each handle, in adjacent rows. The
/// record is brought into its state through the other handle.
pub(crate) fn rows(kind: Kind) -> Vec<Row> {
    let through = |handle, acts: &[Act]| acts.iter().map(|act| Step { handle, act: act.clone() }).collect();
    let mut rows = Vec::new();
    for (start, before) in starts() {
        for change in changes(kind) {
            for handle in [0, 1] {
                rows.push(Row {
                    start,
                    before: through(1 - handle, &before),
                    change: through(handle, &change),
                });
            }
        }
    }
    rows
}

fn write(key: usize, guess: Guess, owner: PlannedOwner, ttl: u64, by: By) -> Act {
    Act::Write(vec![PlannedWrite { key, guess, content: Content { data: 40, owner, ttl } }], by)
}

fn rename(old: usize, new: usize, guess: Guess, owner: PlannedOwner) -> Act {
    Act::Rename { old, new, guess, content: Content { data: 50, owner, ttl: TTL } }
}

/// The same change, for this key in place of the new key of a rename.
fn over(act: &Act, key: usize) -> Act {
    match act {
        Act::Write(planned, by) if planned[0].key == NEW => {
            Act::Write(vec![PlannedWrite { key, ..planned[0] }], *by)
        }
        Act::Touch(touches, by) => Act::Touch(vec![(key, touches[0].1)], *by),
        Act::Delete(_, by) => Act::Delete(vec![(key, Guess::Any)], *by),
        Act::Rename { guess, content, .. } => {
            Act::Rename { old: key, new: NEW, guess: *guess, content: *content }
        }
        other => other.clone(),
    }
}

/// The initial states.
fn starts() -> Vec<(&'static str, Vec<Act>)> {
    use By::{Batch, Single};
    use Guess::{Absent, Any, Current};
    use PlannedOwner::{Keep, Set};
    let alices = |by| write(KEY, Absent, Set(ALICE), 3_600_000, by);
    let brief = |by| write(KEY, Absent, Set(ALICE), BRIEF, by);
    let nothing = Content { data: 0, owner: Set(ALICE), ttl: TTL };
    let empty = Act::Write(vec![PlannedWrite { key: KEY, guess: Any, content: nothing }], Single);
    vec![
        ("nothing was ever there", vec![write(THIRD, Absent, Set(ALICE), TTL, Single)]),
        ("a record without an owner", vec![write(KEY, Absent, Keep, TTL, Single)]),
        ("an empty record", vec![empty]),
        ("alice's record", vec![alices(Single), write(THIRD, Absent, Set(ALICE), TTL, Single)]),
        ("alice's record, by a batch", vec![alices(Batch), write(THIRD, Absent, Set(BOB), TTL, Batch)]),
        ("bob's record, which was alice's", vec![alices(Single), write(KEY, Current, Set(BOB), TTL, Batch)]),
        (
            "alice's record, renamed here",
            vec![write(THIRD, Any, Set(ALICE), TTL, Single), rename(THIRD, KEY, Current, Keep)],
        ),
        ("a record that was touched", vec![alices(Single), Act::Touch(vec![(KEY, TTL)], Batch)]),
        ("an expired record", vec![brief(Single), Act::Wait]),
        ("an expired record, by a batch", vec![brief(Batch), Act::Wait]),
        ("expired by a touch", vec![alices(Single), Act::Touch(vec![(KEY, BRIEF)], Single), Act::Wait]),
        (
            "expired by a batched touch",
            vec![alices(Single), Act::Touch(vec![(KEY, BRIEF)], Batch), Act::Wait],
        ),
        ("expired and purged", vec![brief(Single), Act::Wait, Act::Purge]),
        ("a deleted record", vec![alices(Single), Act::Delete(vec![(KEY, Any)], Single)]),
        ("a deleted record, by a batch", vec![alices(Single), Act::Delete(vec![(KEY, Current)], Batch)]),
        ("a record that was renamed away", vec![alices(Single), rename(KEY, THIRD, Current, Keep)]),
        (
            "ended with all of its owner's",
            vec![alices(Single), Act::DeleteOwner { owner: ALICE, except: None }],
        ),
    ]
}

fn changes(kind: Kind) -> Vec<Vec<Act>> {
    use By::{Batch, Single};
    use Guess::{Absent, Any, Current, Stale};
    use PlannedOwner::{Clear, Keep, Set};
    let mut changes = Vec::new();
    match kind {
        Kind::Write => {
            for by in [Single, Batch] {
                for guess in [Any, Absent, Current, Stale] {
                    for owner in [Keep, Set(BOB), Clear] {
                        changes.push(vec![write(KEY, guess, owner, TTL, by)]);
                    }
                    changes.push(vec![write(KEY, guess, Set(BOB), TTL, by), Act::Again]);
                }
                for guess in [Any, Absent, Current] {
                    changes.push(vec![write(KEY, guess, Keep, BRIEF, by), Act::Wait]);
                    changes.push(vec![write(KEY, guess, Set(BOB), BRIEF, by), Act::Wait, Act::Again]);
                    let touched = Act::Touch(vec![(KEY, 80_500)], by);
                    changes.push(vec![write(KEY, guess, Keep, TTL, by), touched.clone(), Act::Earlier]);
                    let again = |ago, names_itself| Act::AnotherWay { ago, names_itself };
                    changes.push(vec![write(KEY, guess, Set(BOB), TTL, by), again(1, false)]);
                    changes.push(vec![write(KEY, guess, Keep, TTL, by), touched, again(2, true)]);
                    let moved = rename(KEY, NEW, Current, Keep);
                    changes.push(vec![write(KEY, guess, Keep, TTL, by), moved, Act::Earlier]);
                    let ending = Act::DeleteOwner { owner: ALICE, except: None };
                    changes.push(vec![write(KEY, guess, Set(BOB), TTL, by), ending]);
                }
            }
        }
        Kind::Touch => {
            for by in [Single, Batch] {
                for ttl in [TTL, 4_000_500, 31 * 86_400_000 + 500] {
                    changes.push(vec![Act::Touch(vec![(KEY, ttl)], by)]);
                }
                changes.push(vec![Act::Touch(vec![(KEY, BRIEF)], by), Act::Wait]);
                changes.push(vec![Act::Touch(vec![(KEY, TTL), (KEY, 80_500)], by)]);
                changes.push(vec![Act::Touch(vec![(KEY, 4_000_500), (KEY, 80_500), (KEY, TTL)], by)]);
            }
        }
        Kind::Delete => {
            for by in [Single, Batch] {
                for guess in [Any, Current, Stale] {
                    changes.push(vec![Act::Delete(vec![(KEY, guess)], by)]);
                }
                changes.push(vec![Act::Delete(vec![(KEY, Stale), (KEY, Any), (KEY, Any)], by)]);
                changes.push(vec![Act::Delete(vec![(KEY, Any)], by), Act::Again]);
                changes.push(vec![Act::Delete(vec![(KEY, Any)], by), write(KEY, Absent, Keep, TTL, by)]);
                let anew = write(KEY, Any, Keep, TTL, by);
                changes.push(vec![Act::Delete(vec![(KEY, Current)], by), anew, Act::Earlier]);
            }
        }
        Kind::Rename => {
            let occupied = |ttl, by| write(NEW, Absent, Set(BOB), ttl, by);
            for guess in [Current, Stale] {
                for owner in [Keep, Set(BOB), Clear] {
                    changes.push(vec![rename(KEY, NEW, guess, owner)]);
                }
                changes.push(vec![rename(KEY, FAR, guess, Keep)]);
                changes.push(vec![occupied(TTL, Single), rename(KEY, NEW, guess, Keep)]);
                changes.push(vec![occupied(BRIEF, Single), Act::Wait, rename(KEY, NEW, guess, Keep)]);
                let ending = Act::DeleteOwner { owner: BOB, except: None };
                changes.push(vec![occupied(BRIEF, Single), Act::Wait, rename(KEY, NEW, guess, Keep), ending]);
                changes.push(vec![rename(KEY, NEW, guess, Set(BOB)), Act::Again]);
                changes.push(vec![rename(KEY, FAR, guess, Keep), Act::Again]);
            }
            changes.push(vec![
                occupied(TTL, Single),
                Act::Delete(vec![(NEW, Any)], Single),
                rename(KEY, NEW, Current, Keep),
            ]);
            changes.push(vec![rename(KEY, NEW, Current, Keep), rename(NEW, THIRD + 2, Current, Set(BOB))]);
            changes.push(vec![rename(KEY, NEW, Current, Keep), write(KEY, Absent, Keep, TTL, Single)]);
            let brief = Content { data: 60, owner: Keep, ttl: BRIEF };
            let brief = Act::Rename { old: KEY, new: NEW, guess: Current, content: brief };
            changes.push(vec![brief.clone(), Act::Wait]);
            changes.push(vec![brief, Act::Wait, Act::Again]);
            // An action between two deliveries of one rename.
            for between in [
                write(KEY, Absent, Set(BOB), TTL, Single),
                write(NEW, Current, Keep, TTL, Single),
                Act::Delete(vec![(NEW, Any)], Single),
                Act::Touch(vec![(NEW, TTL)], Single),
                Act::Touch(vec![(NEW, 4_000_500)], Batch),
                rename(NEW, FAR, Current, Keep),
            ] {
                for new in [NEW, FAR] {
                    let between = if new == NEW { between.clone() } else { over(&between, FAR) };
                    changes.push(vec![rename(KEY, new, Current, Keep), between, Act::Earlier]);
                }
            }
        }
        Kind::DeleteOwner => {
            for owner in [ALICE, BOB] {
                for except in [None, Some(KEY), Some(THIRD), Some(FAR)] {
                    changes.push(vec![Act::DeleteOwner { owner, except }]);
                }
                changes.push(vec![Act::DeleteOwner { owner, except: None }, Act::Again]);
            }
        }
    }
    changes
}

/// Each change of a record that takes effect, one row each, for faults and dropped calls.
pub(crate) fn effective() -> Vec<Row> {
    use By::{Batch, Single};
    use Guess::{Absent, Any, Current};
    use PlannedOwner::{Clear, Keep, Set};
    let alices = write(KEY, Absent, Set(ALICE), TTL, Single);
    let mut changes = Vec::new();
    for by in [Single, Batch] {
        for (guess, owner) in [(Any, Keep), (Current, Set(BOB)), (Current, Clear)] {
            changes.push((Some(&alices), write(KEY, guess, owner, TTL, by)));
        }
        for guess in [Any, Absent] {
            changes.push((None, write(KEY, guess, Set(BOB), TTL, by)));
        }
        changes.push((Some(&alices), Act::Touch(vec![(KEY, 4_000_500)], by)));
        changes.push((Some(&alices), Act::Touch(vec![(KEY, 60_500)], by)));
        for guess in [Any, Current] {
            changes.push((Some(&alices), Act::Delete(vec![(KEY, guess)], by)));
        }
    }
    for new in [NEW, FAR] {
        for owner in [Keep, Set(BOB)] {
            changes.push((Some(&alices), rename(KEY, new, Current, owner)));
        }
    }
    changes.push((Some(&alices), Act::DeleteOwner { owner: ALICE, except: None }));
    changes.iter().map(|(before, act)| in_one_step(*before, act)).collect()
}

/// Touches, alone and in a batch, that shorten the ttl compared with the touch before, but not
/// compared with the first write.
pub(crate) fn shortened() -> Vec<Row> {
    let step = |act| Step { handle: 0, act };
    let touch = |ttl, by| step(Act::Touch(vec![(KEY, ttl)], by));
    let begun = || step(write(KEY, Guess::Absent, PlannedOwner::Set(ALICE), TTL, By::Single));
    let row = |by| Row {
        start: "a record that was given more time",
        before: vec![begun(), touch(4_000_500, by)],
        change: vec![touch(200_500, by)],
    };
    [By::Single, By::Batch].map(row).into()
}

/// Each change that takes no effect because no record is there, or another one than it names. For
/// faults, in which the store must not report that it took effect.
pub(crate) fn idle() -> Vec<Row> {
    use By::{Batch, Single};
    use Guess::{Absent, Any, Current, Stale};
    use PlannedOwner::{Keep, Set};
    let alices = write(KEY, Absent, Set(ALICE), TTL, Single);
    let mut changes = Vec::new();
    for by in [Single, Batch] {
        changes.push((None, write(KEY, Current, Keep, TTL, by)));
        changes.push((None, Act::Touch(vec![(KEY, TTL)], by)));
        changes.push((Some(&alices), write(KEY, Absent, Set(BOB), TTL, by)));
        changes.push((Some(&alices), write(KEY, Stale, Set(BOB), TTL, by)));
        changes.push((Some(&alices), Act::Delete(vec![(KEY, Stale)], by)));
        for guess in [Any, Current] {
            changes.push((None, Act::Delete(vec![(KEY, guess)], by)));
        }
    }
    for new in [NEW, FAR] {
        changes.push((None, rename(KEY, new, Current, Keep)));
        changes.push((Some(&alices), rename(KEY, new, Stale, Keep)));
    }
    changes.push((Some(&alices), Act::DeleteOwner { owner: BOB, except: None }));
    changes.iter().map(|(before, act)| in_one_step(*before, act)).collect()
}

fn in_one_step(before: Option<&Act>, act: &Act) -> Row {
    let step = |act: &Act| Step { handle: 0, act: act.clone() };
    Row {
        start: if before.is_some() { "alice's record" } else { "nothing was ever there" },
        before: before.into_iter().map(step).collect(),
        change: vec![step(act)],
    }
}

/// Data of each of these lengths, by each way of writing.
pub(crate) fn lengths(lengths: &[usize]) -> Vec<Row> {
    let content = |data| Content { data, owner: PlannedOwner::Set(ALICE), ttl: TTL };
    contents("data of each length", lengths.iter().map(|data| content(*data)))
}

/// Each of these ttls, in milliseconds, by each way of writing and of touching.
pub(crate) fn ttls(ttls: &[u64]) -> Vec<Row> {
    let mut rows = contents(
        "each ttl",
        ttls.iter().map(|ttl| Content { data: 9, owner: PlannedOwner::Keep, ttl: *ttl }),
    );
    for ttl in ttls {
        for by in [By::Single, By::Batch] {
            for handle in [0, 1] {
                let begun = write(KEY, Guess::Absent, PlannedOwner::Keep, TTL, by);
                let before = vec![Step { handle: 1 - handle, act: begun }];
                let touch = Step { handle, act: Act::Touch(vec![(KEY, *ttl)], by) };
                rows.push(Row { start: "a record that is touched", before, change: vec![touch] });
            }
        }
    }
    rows
}

/// Each content by each way of writing: a creation, a replacement, each alone and in a batch, and a rename.
fn contents(start: &'static str, contents: impl Iterator<Item = Content>) -> Vec<Row> {
    let mut rows = Vec::new();
    for content in contents {
        let planned = |guess| vec![PlannedWrite { key: KEY, guess, content }];
        let begun = write(KEY, Guess::Absent, PlannedOwner::Keep, TTL, By::Single);
        let changes = [
            (None, Act::Write(planned(Guess::Absent), By::Single)),
            (None, Act::Write(planned(Guess::Absent), By::Batch)),
            (Some(begun.clone()), Act::Write(planned(Guess::Current), By::Single)),
            (Some(begun.clone()), Act::Write(planned(Guess::Current), By::Batch)),
            (Some(begun), Act::Rename { old: KEY, new: NEW, guess: Guess::Current, content }),
        ];
        for (before, act) in changes {
            for handle in [0, 1] {
                let step = |handle, act: &Act| Step { handle, act: act.clone() };
                let before = before.iter().map(|act| step(1 - handle, act)).collect();
                rows.push(Row { start, before, change: vec![step(handle, &act)] });
            }
        }
    }
    rows
}

/// Conditions that name a version which differs from the live one in a single bit, by each way of
/// naming one. None of them holds.
pub(crate) fn near_versions() -> Vec<Row> {
    let bits = || (0..128_u8).map(Guess::Near);
    let content = Content { data: 7, owner: PlannedOwner::Keep, ttl: TTL };
    let writes: Vec<_> = bits().map(|guess| PlannedWrite { key: KEY, guess, content }).collect();
    let deletes: Vec<_> = bits().map(|guess| (KEY, guess)).collect();
    // In parts that a store which sends one change of a key at a time can finish within its
    // deadline, over any network.
    let changes = [
        vec![Act::Write(writes.clone(), By::Single)],
        writes.chunks(16).map(|writes| Act::Write(writes.to_vec(), By::Batch)).collect(),
        vec![Act::Delete(deletes.clone(), By::Single)],
        deletes.chunks(16).map(|deletes| Act::Delete(deletes.to_vec(), By::Batch)).collect(),
        bits().map(|guess| rename(KEY, NEW, guess, PlannedOwner::Keep)).collect(),
    ];
    let begun = write(KEY, Guess::Absent, PlannedOwner::Set(ALICE), TTL, By::Single);
    let mut rows = Vec::new();
    for change in changes {
        for handle in [0, 1] {
            let change = change.iter().map(|act| Step { handle, act: act.clone() }).collect();
            let before = vec![Step { handle: 0, act: begun.clone() }];
            rows.push(Row { start: "a record, and versions that differ in a bit", before, change });
        }
    }
    rows
}
