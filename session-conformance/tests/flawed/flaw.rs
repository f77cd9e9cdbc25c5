//! A flaw: its kind of mistake, its operation, and its handle.

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

/// The kinds of mistakes. The table lists the operations for each, and the cases that find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reports success, and does nothing.
    Loses,
    /// Reports success although the condition did not hold.
    ClaimsSuccess,
    /// Makes the change, and reports that the condition did not hold.
    ClaimsFailure,
    /// Makes the change whatever the condition.
    IgnoresCondition,
    /// Creates a record where none is.
    Creates,
    /// Revives a deleted record.
    Revives,
    /// Checks first and acts later.
    ChecksThenActs,
    /// Acts in two steps, with a partial state in between.
    Tears,
    /// Compares only the first half of versions.
    ComparesHalves,
    /// Compares versions without the last bit.
    IgnoresABit,
    /// Does not recognise itself when it is redelivered.
    ForgetsItself,
    /// Counts ttls in seconds, rounded up or down.
    RoundsTtlUp,
    RoundsTtlDown,
    /// Cuts ttls to 30 days.
    CapsTtl,
    /// Leaves the expiry unchanged.
    KeepsTtl,
    /// Never shortens a ttl.
    OnlyProlongs,
    /// Drops an owner that must be kept.
    DropsOwner,
    /// Keeps an owner that must be cleared.
    KeepsOwner,
    /// Does not set an owner.
    IgnoresOwner,
    /// Changes the version.
    ChangesVersion,
    /// Cuts data at 64 KiB, at a NUL, or by one byte if it has the maximum length.
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
    /// Returns no owner, the whole ttl, too little data, or a record that has just expired.
    ShowsNoOwner,
    ShowsWholeTtl,
    ShowsCutData,
    ShowsExpired,
    /// Caches what it has read, and does not notice changes by the other handle.
    StaysStale,
    /// Does not execute items after the thousandth.
    LosesTail,
    /// Answers in the reverse order.
    Reverses,
    /// Fails all items if one fails.
    FailsAsOne,
    /// Executes only the last of several items of one key.
    KeepsTheLast,
    /// The index loses sessions after this operation, or keeps them.
    Unlists,
    StaysListed,
    /// Lists a key twice, or at most a thousand keys.
    Repeats,
    IsCapped,
    /// Counts one too many.
    Miscounts,
    /// Omits the last one.
    DropsLast,
    /// Does not spare the exception, or also ends sessions of other owners.
    IgnoresExcept,
    EndsOthers,
    /// Does not report what it ended.
    ReportsNothing,
    /// Keeps the old record, keeps the new one after a conflict, or replaces a record under the new
    /// key.
    KeepsOld,
    LeavesNew,
    Overwrites,
    /// After a failure: resends the change, reports that nothing was changed, returns an empty
    /// answer, reports a defect, waits for a long time, or never recovers.
    Resends,
    SaysNotApplied,
    IsEmptyInOutage,
    IsInternalInOutage,
    HangsInOutage,
    NeverRecovers,
    /// Treats foreign bytes as absent, overwrites or removes them.
    ForeignIsNothing,
    ForeignIsOverwritten,
    /// Is not reported, or is reported before a read finds it.
    IsNotHeard,
    IsHeardEarly,
    /// On a closed store: reports a defect, or never ends.
    IsInternalWhenClosed,
    HangsWhenClosed,
    /// When the store is closed: is cut off halfway, counts as in flight though it was dropped,
    /// does not end a stream that a listener waits for, or begins a new one.
    IsCutOff,
    IsWaitedFor,
    IsNotWoken,
    BeginsWhenClosed,
    /// Treats records that expire soon as expired, or ignores a limit or a cursor.
    IsEarly,
    IgnoresLimit,
    IgnoresCursor,
    /// Goes by position, in several steps.
    GoesByPosition,
    /// Reads back after a lost reply, and reports a later write of another writer as a conflict.
    BlamesOthers,
    /// Locks both keys, one after the other.
    LocksInTurn,
    /// Reports that foreign bytes were replaced, and keeps them.
    ForeignStays,
    /// After a failure in a long batch: reports the rest as unchanged although it was executed.
    HidesTail,
    /// Closes all namespaces.
    ClosesOthers,
    /// Returns the answer of a call in flight to one that begins later.
    SharesAnswers,
    /// Leaks one of its few permits for each call that is dropped.
    LosesPlaces,
    /// Shows the data in an error.
    ShowsData,
    /// Ends a session that is renamed to its own key.
    EndsItself,
    /// Reads other namespaces, too.
    CrossesNamespaces,
}
