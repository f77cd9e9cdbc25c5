//! Tests the suite with broken stores: each store below has one flaw, which the named case must
//! find.
//!
//! A flaw that is not found is a gap in the suite.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

mod finding;
mod reference_store;

use finding::must_find;
use reference_store::Flaw;

/// A test for each flaw: the named case must fail on the store with that flaw, and name the broken
/// promise.
macro_rules! broken {
    ($($test:ident: $flaw:ident is caught by $case:literal;)+) => {
        /// The flaws that are tested.
        const LISTED: &[Flaw] = &[$(Flaw::$flaw),+];

        fn trials() -> Vec<Trial> {
            vec![$(Trial::test(stringify!($test), || {
                must_find($case, || reference_store::target(Some(Flaw::$flaw))).map_err(Into::into)
            })),+]
        }
    };
}

broken! {
    check_then_write: CheckThenWrite is caught by "p01_conditional_write::concurrent_increments_are_not_lost";
    checks_outside_the_lock: ChecksOutsideTheLock is caught by "p01_conditional_write::one_of_two_that_meet_takes_it";
    absent_overwrites: AbsentOverwrites is caught by "p01_conditional_write::absent_creates_once";
    conflict_without_record: ConflictWithoutRecord is caught by "p01_conditional_write::a_conflict_carries_the_record";
    conflict_without_owner: ConflictWithoutOwner is caught by "p01_conditional_write::a_conflict_carries_the_record";
    conflict_carries_an_old_record: ConflictCarriesAnOldRecord is caught by "p01_conditional_write::a_conflict_is_enough_to_go_on";
    conflict_renews: ConflictRenews is caught by "p01_conditional_write::a_stale_version_changes_nothing";
    conflict_sets_owner: ConflictSetsOwner is caught by "p01_conditional_write::a_stale_version_changes_nothing";
    version_is_the_data: VersionIsTheData is caught by "p01_conditional_write::equal_bytes_are_not_the_same_version";
    any_version_wins: AnyVersionWins is caught by "p01_conditional_write::one_of_many_version_writers_wins";

    write_revives: WriteRevives is caught by "p02_deleted_stays_deleted::a_late_write_revives_nothing";
    touch_revives: TouchRevives is caught by "p02_deleted_stays_deleted::a_late_touch_revives_nothing";
    rename_revives: RenameRevives is caught by "p02_deleted_stays_deleted::a_late_rename_revives_nothing";
    batch_revives: BatchRevives is caught by "p02_deleted_stays_deleted::a_late_batch_revives_nothing";
    version_outlives_deletion: VersionOutlivesDeletion is caught by "p02_deleted_stays_deleted::an_old_version_does_not_fit_a_new_record";
    rename_forgets_to_check: RenameForgetsToCheck is caught by "p02_deleted_stays_deleted::a_delete_races_a_rename";
    delete_ignores_version: DeleteIgnoresVersion is caught by "p02_deleted_stays_deleted::a_conditional_delete_ends_only_its_version";
    delete_always_succeeds: DeleteAlwaysSucceeds is caught by "p02_deleted_stays_deleted::deleting_nothing_says_so";
    delete_in_two_steps: DeleteInTwoSteps is caught by "p02_deleted_stays_deleted::one_of_many_deletes_ends_the_record";
    touch_rewrites_zombie: TouchRewrites is caught by "p02_deleted_stays_deleted::a_delete_races_a_touch";
    check_then_write_zombie: CheckThenWrite is caught by "p02_deleted_stays_deleted::a_delete_races_a_write";
    check_then_write_history: CheckThenWrite is caught by "p01_conditional_write::concurrent_histories_are_linearizable";

    caches_reads: CachesReads is caught by "p03_read_your_writes::another_handle_sees_the_changes";
    remembers_absence: RemembersAbsence is caught by "p03_read_your_writes::many_that_were_absent_are_found";
    judges_by_cache: JudgesByCache is caught by "p03_read_your_writes::conditions_are_never_judged_by_stale_data";
    model_finds_batch_bugs: BatchKeepsTheLast is caught by "p03_read_your_writes::any_sequence_agrees_with_the_model";

    ttl_in_seconds: TtlInSeconds is caught by "p04_expiry::visible_for_its_ttl_and_no_longer";
    ttl_cut_to_seconds: TtlCutToSeconds is caught by "p04_expiry::visible_for_its_ttl_and_no_longer";
    off_by_one_tick: OffByOneTick is caught by "p04_expiry::visible_for_its_ttl_and_no_longer";
    touch_revives_expired: TouchRevivesExpired is caught by "p04_expiry::a_touch_revives_nothing";
    expired_blocks_absent: ExpiredBlocksAbsent is caught by "p04_expiry::absent_replaces_an_expired_record";
    expired_takes_writes: ExpiredTakesWrites is caught by "p04_expiry::an_expired_record_is_absent";
    expired_owner_inherited: ExpiredOwnerInherited is caught by "p04_expiry::any_inherits_nothing_from_an_expired_record";
    index_lists_expired: IndexListsExpired is caught by "p04_expiry::the_index_leaves_expired_sessions_out";
    counts_expired: CountsExpired is caught by "p04_expiry::listings_leave_expired_records_out";
    write_keeps_ttl: WriteKeepsTtl is caught by "p04_expiry::a_write_renews_the_ttl";
    ttl_overflows: TtlOverflows is caught by "p04_expiry::the_ends_of_the_range_work";
    reports_whole_ttl: ReportsWholeTtl is caught by "p04_expiry::what_is_left_is_reported";

    touch_changes_version: TouchChangesVersion is caught by "p05_touch::a_touch_does_not_cost_a_writer_its_version";
    touch_rewrites: TouchRewrites is caught by "p05_touch::a_touch_races_a_write";
    touch_only_prolongs: TouchOnlyProlongs is caught by "p05_touch::a_touch_can_shorten";
    touch_creates: TouchCreates is caught by "p05_touch::what_is_absent_stays_absent";
    touch_drops_owner: TouchDropsOwner is caught by "p05_touch::a_touch_moves_the_expiry_and_nothing_else";

    rename_keeps_old: RenameKeepsOld is caught by "p06_rename::content_moves_to_the_new_key";
    rename_drops_owner: RenameDropsOwner is caught by "p06_rename::the_owner_is_set_kept_and_cleared";
    rename_leaves_new: RenameLeavesNew is caught by "p06_rename::a_stale_version_changes_nothing";
    rename_overwrites: RenameOverwrites is caught by "p06_rename::a_taken_key_is_left_alone";
    rename_deletes_first: RenameDeletesFirst is caught by "p06_rename::a_dropped_rename_loses_nothing";
    rename_redelivery_conflicts: RenameRedeliveryConflicts is caught by "p06_rename::a_redelivered_rename_knows_itself";
    rename_redelivery_undoes: RenameRedeliveryUndoes is caught by "p06_rename::a_redelivered_rename_does_not_undo_what_came_later";
    rename_trusts_the_new_record: RenameTrustsTheNewRecord is caught by "p06_rename::a_dropped_and_redelivered_rename_revives_nothing";

    cuts_at_nul: CutsAtNul is caught by "p07_bytes::every_byte_value_comes_back";
    data_is_text: DataIsText is caught by "p07_bytes::every_byte_value_comes_back";
    cuts_long_data: CutsLongData is caught by "p07_bytes::every_length_comes_back";
    cuts_what_is_too_large: CutsWhatIsTooLarge is caught by "p07_bytes::too_much_is_refused";
    too_large_deletes: TooLargeDeletes is caught by "p07_bytes::too_much_is_refused";
    debug_shows_records: DebugShowsRecords is caught by "p07_bytes::debug_shows_neither_data_nor_owners";

    index_misses_renamed: IndexMissesRenamed is caught by "p08_owner_index::a_renamed_session_is_listed_once";
    index_forgets_renewed: IndexForgetsRenewed is caught by "p08_owner_index::a_session_that_is_given_more_time_stays_listed";
    index_keeps_cleared: IndexKeepsCleared is caught by "p08_owner_index::the_index_follows_the_owner";
    owners_fold_case: OwnersFoldCase is caught by "p08_owner_index::owners_that_look_alike_are_different";
    owners_ignore_trailing_spaces: OwnersIgnoreTrailingSpaces is caught by "p08_owner_index::owners_that_look_alike_are_different";
    owner_delete_misses_renamed: OwnerDeleteMissesRenamed is caught by "p08_owner_races::deleting_by_owner_races_renames";
    owner_delete_spares_none: OwnerDeleteSparesNone is caught by "p08_owner_index::all_but_one_can_be_deleted";
    index_comes_later: IndexComesLater is caught by "p08_owner_races::a_dropped_write_is_in_the_index_or_nowhere";
    owner_is_a_path: OwnerIsAPath is caught by "p08_owner_index::owners_that_look_alike_are_different";
    index_is_capped: IndexIsCapped is caught by "p08_owner_index::ten_thousand_sessions_of_one_owner";

    batch_sorts_results: BatchSortsResults is caught by "p09_batches::reads_answer_in_order";
    batch_drops_duplicates: BatchDropsDuplicates is caught by "p09_batches::reads_answer_in_order";
    batch_blames_the_first: BatchBlamesTheFirst is caught by "p09_batches::one_bad_item_fails_alone";
    batch_fails_as_one: BatchFailsAsOne is caught by "p09_batches::one_bad_item_fails_alone";
    batch_keeps_the_last: BatchKeepsTheLast is caught by "p09_batches::writes_of_one_key_take_their_turns";
    batch_reads_back: BatchReadsBack is caught by "p09_batches::writes_of_one_key_take_their_turns";
    batch_touches_alike: BatchTouchesAlike is caught by "p09_batches::touches_answer_in_order";
    batch_delete_ignores_version: BatchDeleteIgnoresVersion is caught by "p09_batches::deletes_answer_in_order";

    read_ignores_namespace: ReadIgnoresNamespace is caught by "p10_isolation::one_key_in_two_namespaces_is_two_records";
    count_ignores_namespace: CountIgnoresNamespace is caught by "p10_isolation::maintenance_is_kept_apart";
    index_ignores_namespace: IndexIgnoresNamespace is caught by "p10_isolation::owners_are_kept_apart";

    write_tears: WriteTears is caught by "p11_cancellation::a_dropped_write_is_whole_or_absent";
    delete_tears: DeleteTears is caught by "p11_cancellation::dropped_calls_harm_nothing";

    outage_empties_batches: OutageEmptiesBatches is caught by "p12_outage::a_frozen_server_is_unavailable";
    freeze_is_empty: OutageIsEmpty is caught by "p12_outage::each_question_that_meets_a_freeze_is_answered_truly";
    outage_is_empty: OutageIsEmpty is caught by "p12_outage::a_frozen_server_is_unavailable";
    no_deadline: NoDeadline is caught by "p12_outage::a_frozen_server_is_unavailable";
    never_recovers: NeverRecovers is caught by "p12_outage::a_dead_server_is_unavailable";
    outage_is_internal: OutageIsInternal is caught by "p12_outage::a_dead_server_is_unavailable";

    death_empties_the_index: DeathEmptiesTheIndex is caught by "p12_outage::what_outlives_a_death_is_whole";
    death_renews_ttls: DeathRenewsTtls is caught by "p12_outage::what_outlives_a_death_is_whole";
    death_stops_close: DeathStopsClose is caught by "p12_outage::a_dead_server_is_unavailable";

    late_caller_keeps_the_key: LateCallerKeepsTheKey is caught by "p12_outage::callers_that_look_away_keep_nothing_back";

    renews_what_another_delivers: RenewsWhatAnotherDelivers is caught by "p04_expiry::nothing_lives_longer_for_being_delivered_again";
    writes_itself_again: WritesItselfAgain is caught by "p01_conditional_write::each_way_of_writing_is_seen_in_each_way";
    crowd_is_told_unsent: CrowdIsToldUnsent is caught by "p13_unknown_outcome::each_of_a_crowd_whose_replies_are_lost_is_told_truly";
    redelivery_conflicts: RedeliveryConflicts is caught by "p13_unknown_outcome::a_redelivered_write_knows_itself";
    retry_meets_itself: RetryMeetsItself is caught by "p13_unknown_outcome::a_lost_reply_is_never_taken_for_a_failure";
    retry_counts_twice: RetryMeetsItself is caught by "p13_unknown_outcome::no_increment_counts_twice";
    lost_reply_means_failed: LostReplyMeansFailed is caught by "p13_unknown_outcome::a_lost_reply_is_never_taken_for_a_failure";
    death_means_failed: LostReplyMeansFailed is caught by "p13_unknown_outcome::each_change_that_meets_a_death_is_told_truly";

    watch_drops_silently: WatchDropsSilently is caught by "p14_watch::a_slow_listener_is_told";
    watch_misses_touches: WatchMissesTouches is caught by "p14_watch::each_change_is_heard";
    watch_misses_owner_deletes: WatchMissesOwnerDeletes is caught by "p14_watch::a_deletion_by_owner_is_heard";
    watch_hears_first_of_batch: WatchHearsFirstOfBatch is caught by "p14_watch::each_item_of_a_batch_is_heard";
    watch_misses_old_key: WatchMissesOldKey is caught by "p14_watch::a_rename_is_heard_for_both_keys";
    watch_dies_with_server: WatchDiesWithServer is caught by "p14_watch::a_watch_outlives_a_dead_server";
    watch_dies_with_frozen_server: WatchDiesWithServer is caught by "p14_watch::a_watch_outlives_a_frozen_server";
    watch_dies_when_replies_are_lost: WatchDiesWithServer is caught by "p14_watch::a_watch_outlives_lost_replies";
    watch_begins_deaf_in_a_freeze: WatchBeginsDeaf is caught by "p14_watch::a_stream_that_begins_in_a_freeze_hears_what_follows";
    watch_begins_deaf_in_an_outage: WatchBeginsDeaf is caught by "p14_watch::a_stream_that_begins_in_an_outage_hears_what_follows";
    watch_begins_deaf_when_cut: WatchBeginsDeaf is caught by "p14_watch::a_stream_whose_beginning_is_cut_hears_what_follows";
    watch_misses_each_expiry: WatchMissesExpiry is caught by "p14_watch::each_way_of_expiring_is_heard";
    count_frees_silently: CountFreesSilently is caught by "p14_watch::each_way_of_expiring_is_heard";
    full_purge_is_silent: FullPurgeIsSilent is caught by "p14_watch::each_way_of_expiring_is_heard";
    dropped_handle_ends_streams: DroppedHandleEndsStreams is caught by "p14_watch::a_handle_that_is_dropped_takes_nothing";
    watch_disowns_other_nodes: WatchDisownsOtherNodes is caught by "p14_watch::it_says_whose_changes_it_reports";
    purges_itself_once: PurgesItselfOnce is caught by "p14_watch::each_expiry_is_heard_without_a_purge";
    subscribing_drowns: SubscribingDrowns is caught by "p14_watch::listeners_that_come_and_go_take_nothing";
    caller_tells_deletions: CallerTellsDeletions is caught by "p11_cancellation::each_dropped_change_is_whole_or_absent";
    watch_misses_expiry: WatchMissesExpiry is caught by "p14_watch::an_expiry_is_heard";

    foreign_is_gone: ForeignIsGone is caught by "p15_foreign_bytes::conditional_writes_leave_it_alone";
    foreign_is_empty: ForeignIsEmpty is caught by "p15_foreign_bytes::a_read_says_what_it_found";
    foreign_is_overwritten: ForeignIsOverwritten is caught by "p15_foreign_bytes::conditional_writes_leave_it_alone";
    foreign_is_of_a_read: ForeignIsOfARead is caught by "p15_foreign_bytes::other_changes_leave_it_alone";
    foreign_holds_the_purge: ForeignHoldsThePurge is caught by "p15_foreign_bytes::purges_end_beside_it";
    foreign_fails_batch: ForeignFailsBatch is caught by "p15_foreign_bytes::the_rest_of_a_batch_is_unharmed";

    lists_after_the_first_key: ListsAfterTheFirstKey is caught by "p16_paging::the_first_and_the_last_key_are_met";
    counts_by_prefix: CountsByPrefix is caught by "p01_conditional_write::each_byte_of_a_key_counts";
    pages_by_position: PagesByPosition is caught by "p16_paging::paging_meets_what_stays_while_others_come_and_go";
    page_drops_last: PageDropsLast is caught by "p16_maintenance::paging_meets_every_record";
    purge_forgets_renewal: PurgeForgetsRenewal is caught by "p16_maintenance::a_purge_spares_what_was_renewed";
    purge_frees_nothing: PurgeFreesNothing is caught by "p16_maintenance::a_purge_frees_what_has_expired";
    purge_counts_renewed: PurgeCountsRenewed is caught by "p16_maintenance::a_purge_counts_what_it_frees";
    counts_renewed: CountsRenewed is caught by "p16_maintenance::each_renewed_session_ends_at_last";
    long_pages_end: LongPagesEnd is caught by "p08_owner_index::ten_thousand_sessions_of_one_owner";
    foreign_cursor_is_corrupt: ForeignCursorIsCorrupt is caught by "p16_paging::foreign_cursors_do_no_harm";
    purge_in_two_steps: PurgeInTwoSteps is caught by "p16_maintenance::a_purge_races_a_new_record";

    second_close_is_early: SecondCloseIsEarly is caught by "p17_close::a_second_close_closes";
    close_fails: CloseFails is caught by "p17_close::closing_is_an_end";
    closed_is_internal: ClosedIsInternal is caught by "p17_close::closing_is_an_end";
    streams_outlive_close: StreamsOutliveClose is caught by "p17_close::streams_end";
}

/// Checks that every flaw of the reference store is in the list above.
fn no_flaw_is_forgotten() -> Result<(), Failed> {
    match Flaw::ALL.iter().find(|flaw| !LISTED.contains(flaw)) {
        Some(flaw) => Err(format!("{flaw:?} is tested by nothing").into()),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Many trials wait for the deadline of an outage or the expiry of a session.
    arguments.test_threads.get_or_insert(12);
    let mut trials = trials();
    trials.push(Trial::test("no_flaw_is_forgotten", no_flaw_is_forgotten));
    libtest_mimic::run(&arguments, trials).exit_code()
}
