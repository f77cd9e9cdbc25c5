use session_core::Bytes;

use super::By;

/// The next action, and the handle that it uses.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) handle: usize,
    pub(crate) act: Act,
}

/// An action on the records of a run. Keys and owners are given by their number in the run.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(Vec<PlannedWrite>, By),
    /// Keys, each with a ttl in milliseconds.
    Touch(Vec<(usize, u64)>, By),
    Delete(Vec<(usize, Guess)>, By),
    Rename {
        old: usize,
        new: usize,
        guess: Guess,
        content: Content,
    },
    DeleteOwner {
        owner: usize,
        except: Option<usize>,
    },
    /// Redelivers the last change, with the same values.
    Again,
    /// Redelivers the change before the last one, with the same values.
    Earlier,
    /// Redelivers the writes of the change that was sent `ago` changes ago in the other way, in a
    /// batch or alone. Their condition may name the version that they have set themselves.
    AnotherWay {
        ago: usize,
        names_itself: bool,
    },
    /// Waits until the records with the shortest ttl have expired.
    Wait,
    Purge,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedWrite {
    pub(crate) key: usize,
    pub(crate) guess: Guess,
    pub(crate) content: Content,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) data: usize,
    pub(crate) owner: PlannedOwner,
    pub(crate) ttl: u64,
}

/// The condition to name, relative to the state that the contract requires at that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    Any,
    Absent,
    /// The live version. If there is none, the last one that was live.
    Current,
    /// A version that was live before. If there is none, one that never existed.
    Stale,
    /// The live version with this bit changed.
    Near(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PlannedOwner {
    Keep,
    Set(usize),
    Clear,
}

/// The ttl of records that must expire within a run, in milliseconds.
pub(crate) const BRIEF: u64 = 1;

/// Bytes of this length, in which each byte value and each pair of neighbours is likely.
pub(crate) fn bytes(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32 ^ u32::try_from(len).unwrap_or(u32::MAX);
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(next).collect()
}
