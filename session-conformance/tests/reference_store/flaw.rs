/// Declares the flaws together with their list.
macro_rules! flaws {
    ($(#[$about:meta])+ pub(crate) enum Flaw { $($(#[$what:meta])+ $flaw:ident,)+ }) => {
        $(#[$about])+
        pub(crate) enum Flaw { $($(#[$what])+ $flaw,)+ }

        impl Flaw {
            /// All flaws.
            #[allow(dead_code, reason = "the test of the unbroken store has no use for it")]
            pub(crate) const ALL: &[Self] = &[$(Self::$flaw),+];
        }
    };
}

flaws! {
/// One flaw of a broken store. Each is a mistake that real stores make or could make. Without a
/// flaw, the reference store keeps every promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    // 1. Conditional write
    /// Checks the version and then writes, in two steps.
    CheckThenWrite,
    /// Checks the version and writes under two locks, with nothing awaited between them.
    ChecksOutsideTheLock,
    /// Writes with `Absent` as if it were `Any`.
    AbsentOverwrites,
    /// Reports a conflict without the record.
    ConflictWithoutRecord,
    /// Leaves the owner out of the record that a conflict carries.
    ConflictWithoutOwner,
    /// Returns the record that was there before another writer's change made the condition fail.
    ConflictCarriesAnOldRecord,
    /// Renews the ttl although the condition failed.
    ConflictRenews,
    /// Changes the owner although the condition failed.
    ConflictSetsOwner,
    /// Treats records with equal data as the same version.
    VersionIsTheData,
    /// Ignores the expected version, as long as a record is there.
    AnyVersionWins,

    // 2. Deleted stays deleted
    /// A conditional write creates the record if it is gone.
    WriteRevives,
    /// A touch revives a deleted record.
    TouchRevives,
    /// A rename of a deleted record creates the new record.
    RenameRevives,
    /// Batched writes ignore that the record is gone.
    BatchRevives,
    /// Remembers the versions of deleted records, and accepts them for the next record.
    VersionOutlivesDeletion,
    /// A rename does not check at its end whether the old record is still there.
    RenameForgetsToCheck,
    /// A delete ends the record whatever version was expected.
    DeleteIgnoresVersion,
    /// A delete always reports that it ended a record.
    DeleteAlwaysSucceeds,
    /// A delete checks first and deletes later, so several calls report the same record.
    DeleteInTwoSteps,

    // 3. Read your writes
    /// Each handle caches what it reads for ever.
    CachesReads,
    /// Conditions are judged by the cache of the handle.
    JudgesByCache,
    /// A handle that has cached many ids as absent keeps them when they are created.
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
    /// The next record inherits the owner of an expired record.
    ExpiredOwnerInherited,
    /// The index lists expired sessions.
    IndexListsExpired,
    /// Expired records are counted.
    CountsExpired,
    /// A write does not renew the ttl.
    WriteKeepsTtl,
    /// Long ttls are cut to 32 bits of milliseconds.
    TtlOverflows,
    /// Reports the whole ttl instead of the remaining one.
    ReportsWholeTtl,

    // 5. Touch
    /// A touch changes the version.
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
    /// The owner is lost.
    RenameDropsOwner,
    /// The new record stays although the old one had changed.
    RenameLeavesNew,
    /// A record under the new key is overwritten.
    RenameOverwrites,
    /// The old record is deleted first, the new one created later.
    RenameDeletesFirst,
    /// A redelivered rename does not recognise itself.
    RenameRedeliveryConflicts,
    /// A redelivered rename is executed again, whatever has happened to the new record.
    RenameRedeliveryUndoes,
    /// A rename creates the new record first. When it is redelivered, it takes that record for its
    /// success.
    RenameTrustsTheNewRecord,

    // 7. Bytes
    /// Data ends at the first NUL.
    CutsAtNul,
    /// Data is treated as UTF-8.
    DataIsText,
    /// Data ends at 65,535 bytes.
    CutsLongData,
    /// Data that is too long is cut instead of rejected.
    CutsWhatIsTooLarge,
    /// A write that is rejected for its size deletes the record.
    TooLargeDeletes,
    /// The `Debug` of the store is derived, down to the records.
    DebugShowsRecords,

    // 8. Owner index
    /// The count includes keys with the same prefix.
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
    /// Deleting by owner reads the index once and misses sessions that are renamed.
    OwnerDeleteMissesRenamed,
    /// Deleting all but one deletes all.
    OwnerDeleteSparesNone,
    /// A write enters the index a moment later.
    IndexComesLater,
    /// The index does not find an owner whose text begins like a field path.
    OwnerIsAPath,
    /// The index holds at most 1,000 sessions of an owner.
    IndexIsCapped,

    // 9. Batches
    /// Results are in the order of the keys.
    BatchSortsResults,
    /// Repeated keys are read once and answered once.
    BatchDropsDuplicates,
    /// When one item fails, its error goes to the first item.
    BatchBlamesTheFirst,
    /// When one item fails, all fail.
    BatchFailsAsOne,
    /// Of several writes of one key, only the last is carried out.
    BatchKeepsTheLast,
    /// The winner is determined afterwards, by reading the record.
    BatchReadsBack,
    /// Batched touches all take the first one's ttl.
    BatchTouchesAlike,
    /// Batched deletes ignore versions.
    BatchDeleteIgnoresVersion,

    // 10. Isolation
    /// Reads ignore the namespace.
    ReadIgnoresNamespace,
    /// Counting ignores the namespace.
    CountIgnoresNamespace,
    /// The owner index ignores the namespace.
    IndexIgnoresNamespace,

    // 11. Cancellation
    /// A write sets the data first, and the version a moment later.
    WriteTears,
    /// A dropped delete leaves an empty record.
    DeleteTears,

    // 12. Outage
    /// In an outage, a batched read has no results at all.
    OutageEmptiesBatches,
    /// An outage gives an empty answer.
    OutageIsEmpty,
    /// There is no deadline.
    NoDeadline,
    /// After an outage, the connection stays broken.
    NeverRecovers,
    /// An outage is reported as a defect.
    OutageIsInternal,
    /// After the server has died and restarted, the index does not know earlier records.
    DeathEmptiesTheIndex,
    /// After the server has died and restarted, earlier records have their whole ttl again.
    DeathRenewsTtls,
    /// After the server has died and restarted, the store can no longer be closed.
    DeathStopsClose,
    /// A write whose caller polls it long after its deadline keeps its key locked.
    LateCallerKeepsTheKey,

    // 13. Unknown outcome
    /// A redelivered write does not recognise itself.
    RedeliveryConflicts,
    /// A write redelivered through another handle renews the ttl of the record.
    RenewsWhatAnotherDelivers,
    /// A redelivered write that names its own version is made again.
    WritesItselfAgain,
    /// After a lost reply, the write is retried, and reports itself as a conflict.
    RetryMeetsItself,
    /// Of many changes whose replies are lost, the last ones are reported as not made.
    CrowdIsToldUnsent,
    /// After a lost reply, the error says that nothing was changed.
    LostReplyMeansFailed,

    // 14. Watch
    /// Events that do not fit the queue are dropped silently.
    WatchDropsSilently,
    /// Touches are not reported.
    WatchMissesTouches,
    /// Deletions by owner are not reported.
    WatchMissesOwnerDeletes,
    /// Only the first item of a batch is reported.
    WatchHearsFirstOfBatch,
    /// A rename is reported for the new key only.
    WatchMissesOldKey,
    /// After an outage, a stream receives nothing more, and does not report a gap.
    WatchDiesWithServer,
    /// A subscription during an outage succeeds, and receives nothing.
    WatchBeginsDeaf,
    /// The store frees expired records by itself only once.
    PurgesItselfOnce,
    /// Expiry is not reported.
    WatchMissesExpiry,
    /// A count frees expired records without reporting them.
    CountFreesSilently,
    /// A purge that frees as many records as its limit is not reported.
    FullPurgeIsSilent,
    /// The watch claims to report the changes of one process only, and reports all.
    WatchDisownsOtherNodes,
    /// Dropping a handle ends the streams of the others.
    DroppedHandleEndsStreams,
    /// The next change after a subscription is not reported on the earlier streams.
    SubscribingDrowns,
    /// A deletion is reported by its caller, which may have gone away.
    CallerTellsDeletions,

    // 15. Foreign bytes
    /// A conditional write treats foreign bytes as absent.
    ForeignIsGone,
    /// Foreign bytes give an empty answer.
    ForeignIsEmpty,
    /// `Absent` writes overwrite foreign bytes.
    ForeignIsOverwritten,
    /// One item with foreign bytes fails the whole batch.
    ForeignFailsBatch,
    /// An error for foreign bytes always names a read as its operation.
    ForeignIsOfARead,
    /// A purge returns to foreign bytes for ever.
    ForeignHoldsThePurge,

    // 16. Maintenance
    /// A listing begins after the smallest possible key.
    ListsAfterTheFirstKey,
    /// Pages go by position, so records that come and go shift the others.
    PagesByPosition,
    /// The last record of a page is left out.
    PageDropsLast,
    /// The purge goes by the first expiry of a record, and does not check again.
    PurgeForgetsRenewal,
    /// The purge frees nothing, and returns zero.
    PurgeFreesNothing,
    /// The purge also counts renewed records that it has examined because of their first expiry.
    PurgeCountsRenewed,
    /// A record that was renewed once is counted for ever.
    CountsRenewed,
    /// A listing with larger pages ends after a thousand records.
    LongPagesEnd,
    /// An invalid cursor is reported as a damaged record.
    ForeignCursorIsCorrupt,
    /// The purge checks first and deletes later.
    PurgeInTwoSteps,

    // 17. Close
    /// Closing fails.
    CloseFails,
    /// Closing takes a while, and a second call does not wait for the first.
    SecondCloseIsEarly,
    /// Event streams continue after the store is closed.
    StreamsOutliveClose,
    /// A closed store reports a defect.
    ClosedIsInternal,
}
}
