/// Declares the flaws and the list of them in one place.
macro_rules! flaws {
    ($(#[$about:meta])+ pub(crate) enum Flaw { $($(#[$what:meta])+ $flaw:ident,)+ }) => {
        $(#[$about])+
        pub(crate) enum Flaw { $($(#[$what])+ $flaw,)+ }

        impl Flaw {
            /// All of them.
            #[allow(dead_code, reason = "the test of the unbroken store has no use for it")]
            pub(crate) const ALL: &[Self] = &[$(Self::$flaw),+];
        }
    };
}

flaws! {
/// One thing that a broken store does wrong. Each is a mistake that real stores make, or that somebody who writes one
/// could make; without a flaw, the reference store keeps every promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    // 1. Conditional write
    /// Checks the version, and then writes, in two steps.
    CheckThenWrite,
    /// Checks the version and writes under two locks, with nothing awaited between them.
    ChecksOutsideTheLock,
    /// Writes with `Absent` as if it were `Any`.
    AbsentOverwrites,
    /// Reports a conflict without the record.
    ConflictWithoutRecord,
    /// Leaves the owner out of the record that a conflict carries.
    ConflictWithoutOwner,
    /// Reports the record that was seen before the condition was checked by another.
    ConflictCarriesAnOldRecord,
    /// Renews the ttl although the condition failed.
    ConflictRenews,
    /// Moves the owner although the condition failed.
    ConflictSetsOwner,
    /// Takes records with equal data for the same version.
    VersionIsTheData,
    /// Ignores which version a writer has seen, as long as something is there.
    AnyVersionWins,

    // 2. Deleted stays deleted
    /// A conditional write creates the record if it is gone.
    WriteRevives,
    /// A touch brings back what was deleted.
    TouchRevives,
    /// A rename of what was deleted creates the new record.
    RenameRevives,
    /// Batched writes do not mind that the record is gone.
    BatchRevives,
    /// Remembers the versions of deleted records, and accepts them for the next.
    VersionOutlivesDeletion,
    /// A rename does not look whether the old record is still there when it ends.
    RenameForgetsToCheck,
    /// A delete ends the record whatever version was expected.
    DeleteIgnoresVersion,
    /// A delete always claims to have ended something.
    DeleteAlwaysSucceeds,
    /// A delete looks first and deletes later, so that several claim the same record.
    DeleteInTwoSteps,

    // 3. Read your writes
    /// Each handle caches what it reads, for good.
    CachesReads,
    /// Conditions are judged by what this handle has cached.
    JudgesByCache,
    /// A handle that remembers many ids as absent goes on doing so when they are created.
    RemembersAbsence,

    // 4. Expiry
    /// The ttl is rounded up to seconds.
    TtlInSeconds,
    /// The ttl is cut to seconds.
    TtlCutToSeconds,
    /// The expiry is compared in coarse ticks, and is off by one.
    OffByOneTick,
    /// A touch finds expired records, too.
    TouchRevivesExpired,
    /// An expired record stops an `Absent` write.
    ExpiredBlocksAbsent,
    /// An expired record still takes a conditional write.
    ExpiredTakesWrites,
    /// The owner of an expired record passes on to the next.
    ExpiredOwnerInherited,
    /// The index lists expired sessions.
    IndexListsExpired,
    /// Expired records are counted.
    CountsExpired,
    /// A write does not renew the ttl.
    WriteKeepsTtl,
    /// Long ttls are cut to what fits 32 bits of milliseconds.
    TtlOverflows,
    /// Reports the whole ttl instead of what is left.
    ReportsWholeTtl,

    // 5. Touch
    /// A touch counts as a new version.
    TouchChangesVersion,
    /// A touch reads the record and writes it back, in two steps.
    TouchRewrites,
    /// A touch never shortens.
    TouchOnlyProlongs,
    /// A touch creates an empty record.
    TouchCreates,
    /// A touch drops the owner.
    TouchDropsOwner,

    // 6. Rename
    /// The old record stays.
    RenameKeepsOld,
    /// The owner does not come along.
    RenameDropsOwner,
    /// The new record stays although the old one had changed.
    RenameLeavesNew,
    /// Whatever is under the new key is overwritten.
    RenameOverwrites,
    /// The old record is deleted first, the new one created later.
    RenameDeletesFirst,
    /// A rename that is delivered again does not know itself.
    RenameRedeliveryConflicts,
    /// A rename that is delivered again is carried out again, whatever has become of the new record.
    RenameRedeliveryUndoes,
    /// A rename creates the new record first, and when it is delivered again, it takes that for its success.
    RenameTrustsTheNewRecord,

    // 7. Bytes
    /// Data ends at the first NUL.
    CutsAtNul,
    /// Data is taken for UTF-8.
    DataIsText,
    /// Data ends at 65,535 bytes.
    CutsLongData,
    /// Too much is cut instead of refused.
    CutsWhatIsTooLarge,
    /// What is refused for its size ends the record.
    TooLargeDeletes,
    /// The `Debug` of the store is derived, down to the records.
    DebugShowsRecords,

    // 8. Owner index
    /// The count takes keys for one that begin alike.
    CountsByPrefix,
    /// A renamed session is not in the index.
    IndexMissesRenamed,
    /// The index forgets a session when its first ttl has passed.
    IndexForgetsRenewed,
    /// A cleared owner stays in the index.
    IndexKeepsCleared,
    /// Owners are compared without regard to case.
    OwnersFoldCase,
    /// Owners are compared without trailing spaces.
    OwnersIgnoreTrailingSpaces,
    /// Deleting by owner looks at the index once and misses what moves on.
    OwnerDeleteMissesRenamed,
    /// Deleting all but one deletes all.
    OwnerDeleteSparesNone,
    /// A write comes into the index a moment later.
    IndexComesLater,
    /// The index does not find an owner that begins like a path of a field.
    OwnerIsAPath,
    /// The index holds at most 1,000 sessions of an owner.
    IndexIsCapped,

    // 9. Batches
    /// Results come in the order of the keys.
    BatchSortsResults,
    /// Repeated keys are read once and answered once.
    BatchDropsDuplicates,
    /// When one item fails, its error goes to the first item.
    BatchBlamesTheFirst,
    /// When one item fails, all fail.
    BatchFailsAsOne,
    /// Of several writes of one key, only the last is carried out.
    BatchKeepsTheLast,
    /// Who has won is found out afterwards, by what is there then.
    BatchReadsBack,
    /// Batched touches all take the first one's ttl.
    BatchTouchesAlike,
    /// Batched deletes ignore versions.
    BatchDeleteIgnoresVersion,

    // 10. Isolation
    /// Reads do not mind the namespace.
    ReadIgnoresNamespace,
    /// Counting does not mind the namespace.
    CountIgnoresNamespace,
    /// The owner index does not mind the namespace.
    IndexIgnoresNamespace,

    // 11. Cancellation
    /// A write sets the data first, and the version a moment later.
    WriteTears,
    /// A dropped delete leaves an empty record.
    DeleteTears,

    // 12. Outage
    /// In an outage, a batched read has no results at all.
    OutageEmptiesBatches,
    /// An outage is an empty answer.
    OutageIsEmpty,
    /// There is no deadline.
    NoDeadline,
    /// After an outage, the connection stays broken.
    NeverRecovers,
    /// An outage is reported as a defect.
    OutageIsInternal,
    /// When the server has died and come back, the index does not know what was there before.
    DeathEmptiesTheIndex,
    /// When the server has died and come back, what was there has its whole ttl again.
    DeathRenewsTtls,
    /// When the server has died and come back, the store cannot be closed any more.
    DeathStopsClose,
    /// A write whose caller looks at it long after its deadline keeps its key.
    LateCallerKeepsTheKey,

    // 13. Unknown outcome
    /// A write that is delivered again does not know itself.
    RedeliveryConflicts,
    /// A write that is delivered again through another handle gives the record its ttl anew.
    RenewsWhatAnotherDelivers,
    /// A write that is delivered again and names its own version is made again.
    WritesItselfAgain,
    /// After a lost reply, the write is tried again, and meets itself as a conflict.
    RetryMeetsItself,
    /// Of a crowd of changes whose replies are lost, the last ones are said to have changed nothing.
    CrowdIsToldUnsent,
    /// After a lost reply, the error says that nothing was changed.
    LostReplyMeansFailed,

    // 14. Watch
    /// Events that do not fit the queue are dropped silently.
    WatchDropsSilently,
    /// Touches are not heard.
    WatchMissesTouches,
    /// Deletions by owner are not heard.
    WatchMissesOwnerDeletes,
    /// Of a batch, only the first item is heard.
    WatchHearsFirstOfBatch,
    /// A rename is heard for the new key only.
    WatchMissesOldKey,
    /// After an outage, a stream hears nothing any more, and does not say so.
    WatchDiesWithServer,
    /// A stream that is asked for in an outage is given out, and hears nothing.
    WatchBeginsDeaf,
    /// The store frees by itself what has expired, once.
    PurgesItselfOnce,
    /// Expiry is not heard.
    WatchMissesExpiry,
    /// A count frees what has expired, and no listener is told.
    CountFreesSilently,
    /// Of a purge that frees as many as it may, no listener is told.
    FullPurgeIsSilent,
    /// The watch says that it reports the changes of one process, and reports all.
    WatchDisownsOtherNodes,
    /// A handle that is dropped ends the streams of the others.
    DroppedHandleEndsStreams,
    /// The next change after a subscription is not heard on the streams from before.
    SubscribingDrowns,
    /// A deletion is told by its caller, which may have gone away.
    CallerTellsDeletions,

    // 15. Foreign bytes
    /// To a conditional write, foreign bytes are nothing.
    ForeignIsGone,
    /// Foreign bytes are an empty answer.
    ForeignIsEmpty,
    /// `Absent` writes overwrite foreign bytes.
    ForeignIsOverwritten,
    /// One item with foreign bytes fails the whole batch.
    ForeignFailsBatch,
    /// Whatever meets foreign bytes, the error is that of a read.
    ForeignIsOfARead,
    /// A purge comes back to foreign bytes for ever.
    ForeignHoldsThePurge,

    // 16. Maintenance
    /// A listing begins after the first of all possible keys.
    ListsAfterTheFirstKey,
    /// Pages go by position, so that what comes and goes shifts what stays.
    PagesByPosition,
    /// The last record of a page is left out.
    PageDropsLast,
    /// The purge goes by the first expiry of a record, and does not look again.
    PurgeForgetsRenewal,
    /// The purge frees nothing, and says so.
    PurgeFreesNothing,
    /// The purge counts what it has looked at because it had to end at first.
    PurgeCountsRenewed,
    /// What was renewed once is counted for ever.
    CountsRenewed,
    /// A listing ends after a thousand records if its pages may be longer.
    LongPagesEnd,
    /// A cursor that makes no sense is taken for a damaged record.
    ForeignCursorIsCorrupt,
    /// The purge looks first and deletes later.
    PurgeInTwoSteps,

    // 17. Close
    /// Closing fails.
    CloseFails,
    /// Closing takes a while, and a second call does not wait for the first.
    SecondCloseIsEarly,
    /// Streams of events go on when the store is closed.
    StreamsOutliveClose,
    /// A closed store reports a defect.
    ClosedIsInternal,
}
}
