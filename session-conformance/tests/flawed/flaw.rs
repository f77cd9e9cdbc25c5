//! Which mistake, in which operation, through which handle.

/// The operations that a mistake can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read,
    ReadMany,
    Write,
    WriteMany,
    Touch,
    TouchMany,
    Delete,
    DeleteMany,
    Rename,
    List,
    CountOwner,
    DeleteOwner,
    Page,
    Count,
    Purge,
    Subscribe,
    Ping,
}

/// Whether both handles make the mistake, or the second one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    Both,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: Kind,
    pub(crate) op: Op,
    pub(crate) handle: Handle,
}

/// The kinds of mistakes. Which operations each is made in, and which cases find it, says the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says that it was done, and does nothing.
    Loses,
    /// Says that it was done although the condition did not hold.
    ClaimsSuccess,
    /// Does it, and says that the condition did not hold.
    ClaimsFailure,
    /// Does it whatever the condition.
    IgnoresCondition,
    /// Makes a record where none is.
    Creates,
    /// Brings back what was deleted.
    Revives,
    /// Looks first and acts later.
    ChecksThenActs,
    /// Acts in two steps, with half of it there in between.
    Tears,
    /// Compares the first half of versions.
    ComparesHalves,
    /// Compares versions without the last bit.
    IgnoresABit,
    /// Does not know itself when it is delivered again.
    ForgetsItself,
    /// Counts ttls in seconds, rounded up or down.
    RoundsTtlUp,
    RoundsTtlDown,
    /// Cuts ttls to 30 days.
    CapsTtl,
    /// Leaves the expiry as it was.
    KeepsTtl,
    /// Never shortens a ttl.
    OnlyProlongs,
    /// Drops an owner that is to stay.
    DropsOwner,
    /// Keeps an owner that is to go.
    KeepsOwner,
    /// Does not set an owner.
    IgnoresOwner,
    /// Counts as a new version.
    ChangesVersion,
    /// Cuts data at 64 KiB, at a NUL, or by a byte if it is as long as can be.
    CutsLongData,
    CutsAtNul,
    CutsLongest,
    /// Renews the ttl although the condition failed.
    ConflictRenews,
    /// The conflict carries nothing, no owner, the whole ttl, another version, or too little data.
    ConflictIsEmpty,
    ConflictWithoutOwner,
    ConflictWithWholeTtl,
    ConflictWithOtherVersion,
    ConflictWithCutData,
    /// Shows no owner, the whole ttl, too little data, or what has just expired.
    ShowsNoOwner,
    ShowsWholeTtl,
    ShowsCutData,
    ShowsExpired,
    /// Keeps what it has read, and does not notice when the other handle does this.
    StaysStale,
    /// Does not do what comes after the thousandth item.
    LosesTail,
    /// Answers in the reverse order.
    Reverses,
    /// Lets one item that fails fail all.
    FailsAsOne,
    /// Does only the last of several items of one key.
    KeepsTheLast,
    /// The index misses sessions after this, or keeps them.
    Unlists,
    StaysListed,
    /// Lists a key twice, or no more than a thousand.
    Repeats,
    IsCapped,
    /// Counts one too many.
    Miscounts,
    /// Leaves out the last one.
    DropsLast,
    /// Spares none, or does not stop at the owner.
    IgnoresExcept,
    EndsOthers,
    /// Says nothing of what it ended.
    ReportsNothing,
    /// Leaves the old record, or the new one of a conflict; replaces what is under the new key.
    KeepsOld,
    LeavesNew,
    Overwrites,
    /// After a failure: sends the change again, says that nothing was changed, gives an empty answer, calls it a defect, waits for long, or never recovers.
    Resends,
    SaysNotApplied,
    IsEmptyInOutage,
    IsInternalInOutage,
    HangsInOutage,
    NeverRecovers,
    /// Takes foreign bytes for nothing, overwrites or removes them.
    ForeignIsNothing,
    ForeignIsOverwritten,
    /// Is not heard, or before it can be read.
    IsNotHeard,
    IsHeardEarly,
    /// On a closed store: calls it a defect, or never ends.
    IsInternalWhenClosed,
    HangsWhenClosed,
    /// When the store is closed: is cut off in its midst, counts as under way though it was dropped, does not end a stream that is waited for, or begins one.
    IsCutOff,
    IsWaitedFor,
    IsNotWoken,
    BeginsWhenClosed,
    /// Takes what ends soon for ended, takes no notice of a limit, or of a cursor.
    IsEarly,
    IgnoresLimit,
    IgnoresCursor,
    /// Goes by position, in several steps.
    GoesByPosition,
    /// Reads back after a lost reply, and takes what others have written since for a conflict.
    BlamesOthers,
    /// Locks both keys, one after the other.
    LocksInTurn,
    /// Says that foreign bytes were replaced, and leaves them.
    ForeignStays,
    /// After a failure in a long batch: says that nothing of the rest was changed, and has done it.
    HidesTail,
    /// Closes all namespaces.
    ClosesOthers,
    /// Gives the answer of a call that is under way to one that begins later.
    SharesAnswers,
    /// Loses one of its few places for each call that is dropped.
    LosesPlaces,
    /// Shows the data in an error.
    ShowsData,
    /// Ends a session that is renamed to its own key.
    EndsItself,
    /// Looks into other namespaces, too.
    CrossesNamespaces,
}
