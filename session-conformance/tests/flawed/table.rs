//! The table of mistakes: the operations in which they are made, and the cases that must find them.

use super::{Flaw, Handle, Kind, Op};

const WRITES: [Op; 2] = [Op::Write, Op::WriteMany];
const TOUCHES: [Op; 2] = [Op::Touch, Op::TouchMany];
const DELETES: [Op; 2] = [Op::Delete, Op::DeleteMany];
const READS: [Op; 2] = [Op::Read, Op::ReadMany];

const SEEN_WRITING: &str = "p01_conditional_write::each_way_of_writing_is_seen_in_each_way";
const SEEN_TOUCHING: &str = "p05_touch::each_way_of_touching_is_seen_in_each_way";
const SEEN_DELETING: &str = "p02_deleted_stays_deleted::each_way_of_deleting_is_seen_in_each_way";
const SEEN_RENAMING: &str = "p06_rename::each_way_of_renaming_is_seen_in_each_way";
const SEEN_ENDING: &str = "p08_owner_index::each_way_of_ending_an_owners_is_seen_in_each_way";
const SHORT: &str = "p07_bytes::each_short_length_is_kept_by_each_way_of_writing_it";
const LENGTHS: &str = "p07_bytes::each_length_around_64_kib_is_kept_by_each_way_of_writing_it";
const LONGEST: &str = "p07_bytes::the_longest_data_is_kept_by_each_way_of_writing_it";
const TTLS: &str = "p04_expiry::each_ttl_is_kept_by_each_way_of_setting_it";
const BITS: &str = "p01_conditional_write::each_bit_of_a_version_counts";
const PAIRS: &str = "p01_conditional_write::any_two_changes_take_turns";
const DROPPED: &str = "p11_cancellation::each_dropped_change_is_whole_or_absent";
const LARGE: &str = "p09_batches::large_batches_work";
const ONE_BAD: &str = "p09_batches::one_bad_item_fails_alone";
const FOREIGN: &str = "p15_foreign_bytes::each_operation_leaves_it_alone";
const HEARD: &str = "p14_watch::each_way_of_changing_is_heard";
const LOST: &str = "p13_unknown_outcome::each_change_whose_reply_is_lost_is_told_truly";
const ENDED_BY_CUT: &str = "p13_unknown_outcome::what_was_ended_while_a_connection_was_cut_stays_ended";
const ENDED: &str = "p13_unknown_outcome::what_was_ended_while_a_reply_was_lost_stays_ended";
const DEAD: &str = "p12_outage::a_dead_server_is_unavailable";
const CLOSED: &str = "p17_close::closing_is_an_end";
const APART: &str = "p10_isolation::no_operation_crosses_namespaces";
const CROWD: &str = "p08_owner_index::ten_thousand_sessions_of_one_owner";
const EXPIRED_LISTED: &str = "p04_expiry::the_index_leaves_expired_sessions_out";

/// A mistake in some operations, through both handles and through the second alone, and the case
/// that must find it.
struct Row {
    kind: Kind,
    ops: Vec<Op>,
    handles: &'static [Handle],
    case: fn(Op) -> &'static str,
}

fn of_changes(op: Op) -> &'static str {
    match op {
        Op::Touch | Op::TouchMany => SEEN_TOUCHING,
        Op::Delete | Op::DeleteMany => SEEN_DELETING,
        Op::Rename => SEEN_RENAMING,
        Op::DeleteOwner => SEEN_ENDING,
        _ => SEEN_WRITING,
    }
}

/// Every combination that breaks a promise, with the case that must find it.
#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(crate) fn table() -> Vec<(Flaw, &'static str)> {
    use Handle::{Both, Second};
    const EACH: &[Handle] = &[Both, Second];
    const ALL: &[Handle] = &[Both];
    let join = |parts: &[&[Op]]| parts.concat();
    let [rename, ending, subscribing]: [&[Op]; 3] = [&[Op::Rename], &[Op::DeleteOwner], &[Op::Subscribe]];
    let changes = join(&[&WRITES, &TOUCHES, &DELETES, rename]);
    let all_changes = join(&[&changes, ending]);
    let setting_owners = join(&[&WRITES, rename]);
    let setting_ttls = join(&[&WRITES, &TOUCHES, rename]);
    let naming_versions = join(&[&WRITES, &DELETES, rename]);
    let everything = join(&[
        &READS,
        &changes,
        &[Op::List, Op::CountOwner, Op::DeleteOwner, Op::Page, Op::Count, Op::Purge, Op::Ping],
    ]);
    let row = |kind, ops: &[Op], handles, case| Row { kind, ops: ops.to_vec(), handles, case };
    let rows = [
        row(Kind::Loses, &all_changes, EACH, of_changes),
        row(Kind::ClaimsSuccess, &changes, EACH, of_changes),
        row(Kind::ClaimsFailure, &changes, EACH, of_changes),
        row(Kind::IgnoresCondition, &naming_versions, EACH, of_changes),
        row(Kind::Creates, &setting_ttls, EACH, of_changes),
        row(Kind::Revives, &setting_ttls, EACH, of_changes),
        row(Kind::ChecksThenActs, &changes, EACH, |_| PAIRS),
        row(Kind::ChecksThenActs, ending, ALL, |_| "p08_owner_races::deleting_by_owner_races_renames"),
        row(Kind::Tears, &changes, EACH, |_| DROPPED),
        row(Kind::ComparesHalves, &naming_versions, EACH, |_| BITS),
        row(Kind::IgnoresABit, &naming_versions, EACH, |_| BITS),
        row(Kind::ForgetsItself, &setting_owners, EACH, of_changes),
        row(Kind::RoundsTtlUp, &setting_ttls, EACH, |_| TTLS),
        row(Kind::RoundsTtlDown, &setting_ttls, EACH, |_| TTLS),
        row(Kind::CapsTtl, &setting_ttls, EACH, |_| TTLS),
        row(Kind::KeepsTtl, &setting_ttls, EACH, of_changes),
        row(Kind::OnlyProlongs, &TOUCHES, EACH, of_changes),
        row(Kind::OnlyProlongs, &WRITES, EACH, of_changes),
        row(Kind::DropsOwner, &setting_ttls, EACH, of_changes),
        row(Kind::KeepsOwner, &setting_owners, EACH, of_changes),
        row(Kind::IgnoresOwner, &setting_owners, EACH, of_changes),
        row(Kind::ChangesVersion, &TOUCHES, EACH, of_changes),
        row(Kind::CutsLongData, &setting_owners, EACH, |_| LENGTHS),
        row(Kind::CutsAtNul, &setting_owners, EACH, |_| SHORT),
        row(Kind::CutsLongest, &setting_owners, EACH, |_| LONGEST),
        row(Kind::ConflictRenews, &WRITES, EACH, of_changes),
        row(Kind::ConflictIsEmpty, &setting_owners, EACH, of_changes),
        row(Kind::ConflictWithoutOwner, &setting_owners, EACH, of_changes),
        row(Kind::ConflictWithWholeTtl, &setting_owners, EACH, of_changes),
        row(Kind::ConflictWithOtherVersion, &setting_owners, EACH, of_changes),
        row(Kind::ConflictWithCutData, &setting_owners, EACH, |_| LENGTHS),
        row(Kind::ShowsNoOwner, &join(&[&READS, &[Op::Page]]), EACH, |_| SEEN_WRITING),
        row(Kind::ShowsWholeTtl, &join(&[&READS, &[Op::Page]]), EACH, |_| SEEN_WRITING),
        row(Kind::ShowsCutData, &join(&[&READS, &[Op::Page]]), EACH, |_| LENGTHS),
        row(Kind::ShowsExpired, &READS, EACH, |_| SEEN_TOUCHING),
        row(Kind::ShowsExpired, &[Op::Page], EACH, |_| SEEN_TOUCHING),
        row(Kind::ShowsExpired, &[Op::List], ALL, |_| EXPIRED_LISTED),
        row(Kind::StaysStale, &all_changes, EACH, of_changes),
        row(Kind::LosesTail, &[Op::WriteMany, Op::TouchMany, Op::DeleteMany, Op::ReadMany], ALL, |_| LARGE),
        row(
            Kind::Reverses,
            &[Op::WriteMany, Op::TouchMany, Op::DeleteMany, Op::ReadMany],
            EACH,
            |op| match op {
                Op::ReadMany => SEEN_WRITING,
                op => of_changes(op),
            },
        ),
        row(Kind::FailsAsOne, &[Op::WriteMany], ALL, |_| ONE_BAD),
        row(Kind::FailsAsOne, &[Op::ReadMany, Op::WriteMany], EACH, |_| FOREIGN),
        row(Kind::KeepsTheLast, &[Op::WriteMany], ALL, |_| "p09_batches::writes_of_one_key_take_their_turns"),
        row(Kind::KeepsTheLast, &[Op::TouchMany, Op::DeleteMany], EACH, of_changes),
        row(Kind::Unlists, &setting_ttls, EACH, of_changes),
        row(Kind::StaysListed, &join(&[&WRITES, &DELETES, rename, ending]), EACH, of_changes),
        row(Kind::Repeats, &[Op::List], EACH, |_| SEEN_ENDING),
        row(Kind::DropsLast, &[Op::List, Op::CountOwner, Op::DeleteOwner], EACH, |_| SEEN_ENDING),
        row(Kind::DropsLast, &[Op::Page], EACH, |_| SEEN_WRITING),
        row(Kind::IsCapped, &[Op::List, Op::CountOwner, Op::DeleteOwner], ALL, |_| CROWD),
        row(Kind::IsCapped, &[Op::Page, Op::Count], EACH, |_| SEEN_WRITING),
        row(Kind::Miscounts, &[Op::CountOwner], EACH, |_| SEEN_ENDING),
        row(Kind::Miscounts, &[Op::Count], EACH, |_| SEEN_WRITING),
        row(Kind::IgnoresExcept, ending, EACH, |_| SEEN_ENDING),
        row(Kind::EndsOthers, ending, EACH, |_| SEEN_ENDING),
        row(Kind::EndsOthers, &[Op::Purge], EACH, |_| SEEN_WRITING),
        row(Kind::Miscounts, &[Op::Purge], EACH, |_| "p16_maintenance::a_purge_counts_what_it_frees"),
        row(Kind::ReportsNothing, ending, EACH, |_| SEEN_ENDING),
        row(Kind::KeepsOld, rename, EACH, of_changes),
        row(Kind::LeavesNew, rename, EACH, of_changes),
        row(Kind::Overwrites, rename, EACH, of_changes),
        row(Kind::Resends, &WRITES, ALL, |_| ENDED_BY_CUT),
        row(Kind::Resends, &WRITES, ALL, |_| ENDED),
        row(Kind::SaysNotApplied, &changes, ALL, |_| LOST),
        row(Kind::SaysNotApplied, ending, ALL, |_| LOST),
        row(Kind::IsEmptyInOutage, &everything, ALL, |_| DEAD),
        row(Kind::IsInternalInOutage, &everything, ALL, |_| DEAD),
        row(Kind::HangsInOutage, &everything, ALL, |_| DEAD),
        row(Kind::NeverRecovers, &everything, ALL, |_| DEAD),
        row(Kind::ForeignIsNothing, &join(&[&READS, &WRITES, rename]), EACH, |_| FOREIGN),
        row(Kind::ForeignIsOverwritten, &changes, EACH, |_| FOREIGN),
        row(Kind::IsNotHeard, &all_changes, ALL, |_| HEARD),
        row(Kind::IsHeardEarly, &all_changes, ALL, |_| HEARD),
        row(Kind::IsInternalWhenClosed, &everything, ALL, |_| CLOSED),
        row(Kind::HangsWhenClosed, &everything, ALL, |_| CLOSED),
        row(Kind::IsCutOff, &everything, ALL, |_| "p17_close::each_operation_that_has_begun_finishes"),
        row(Kind::IsWaitedFor, &everything, ALL, |_| "p17_close::dropped_calls_are_not_waited_for"),
        row(Kind::IsNotWoken, subscribing, ALL, |_| "p17_close::streams_end"),
        row(Kind::BeginsWhenClosed, subscribing, ALL, |_| "p17_close::streams_end"),
        row(
            Kind::IsEarly,
            &[Op::Page, Op::Purge],
            EACH,
            |_| "p16_maintenance::a_session_is_there_until_its_end",
        ),
        row(
            Kind::IgnoresLimit,
            &[Op::Purge],
            ALL,
            |_| "p16_maintenance::a_purge_frees_about_as_many_as_asked",
        ),
        row(Kind::IgnoresCursor, &[Op::Page], EACH, |_| "p16_paging::cursors_are_places_and_nothing_else"),
        row(
            Kind::StaysStale,
            &[Op::Count],
            EACH,
            |_| "p16_maintenance::counts_are_fresh_through_each_handle",
        ),
        row(
            Kind::GoesByPosition,
            &[Op::List],
            ALL,
            |_| "p08_owner_races::a_list_misses_none_while_others_go",
        ),
        row(Kind::ChecksThenActs, ending, ALL, |_| "p08_owner_races::deleting_by_owner_races_many_renames"),
        row(Kind::ChecksThenActs, rename, EACH, |_| "p06_rename::one_of_two_renames_gets_the_key"),
        row(Kind::LocksInTurn, rename, ALL, |_| "p06_rename::renames_across_end"),
        row(
            Kind::BlamesOthers,
            &WRITES,
            ALL,
            |_| "p13_unknown_outcome::what_was_replaced_while_a_connection_was_cut_is_told_truly",
        ),
        row(
            Kind::Resends,
            &TOUCHES,
            ALL,
            |_| "p13_unknown_outcome::a_touch_whose_connection_is_cut_is_not_made_again",
        ),
        row(
            Kind::HidesTail,
            &[Op::WriteMany, Op::TouchMany, Op::DeleteMany],
            ALL,
            |_| "p13_unknown_outcome::each_item_of_a_batch_whose_replies_are_lost_is_told_truly",
        ),
        row(
            Kind::SharesAnswers,
            &READS,
            ALL,
            |_| "p03_read_your_writes::no_call_shares_the_answer_of_an_older_one",
        ),
        row(
            Kind::LosesPlaces,
            &everything,
            ALL,
            |_| "p11_cancellation::what_is_given_up_leaves_nothing_behind",
        ),
        row(Kind::ShowsData, rename, ALL, |_| "p07_bytes::errors_show_neither_data_nor_owners"),
        row(Kind::EndsItself, rename, ALL, |_| "p06_rename::a_rename_onto_itself_ends_nothing"),
        row(
            Kind::LocksInTurn,
            &[Op::WriteMany, Op::TouchMany, Op::DeleteMany],
            ALL,
            |_| "p09_batches::batches_that_meet_end",
        ),
        row(
            Kind::ChecksThenActs,
            &[Op::WriteMany, Op::TouchMany, Op::DeleteMany],
            EACH,
            |_| "p09_batches::long_batches_take_turns_at_each_key",
        ),
        row(
            Kind::Resends,
            &DELETES,
            ALL,
            |_| "p13_unknown_outcome::a_delete_whose_connection_is_cut_is_not_made_again",
        ),
        row(
            Kind::ClosesOthers,
            &[Op::Read, Op::Write, Op::Ping],
            ALL,
            |_| "p17_close::other_namespaces_stay_open",
        ),
        row(
            Kind::ForeignStays,
            &WRITES,
            EACH,
            |_| "p15_foreign_bytes::a_blind_write_replaces_it_or_is_refused",
        ),
        row(
            Kind::CrossesNamespaces,
            &[Op::Read, Op::ReadMany, Op::List, Op::CountOwner, Op::DeleteOwner, Op::Page, Op::Count],
            ALL,
            |_| APART,
        ),
    ];
    let mut table = Vec::new();
    for Row { kind, ops, handles, case } in rows {
        for op in ops {
            for handle in handles {
                table.push((Flaw { kind, op, handle: *handle }, case(op)));
            }
        }
    }
    table
}
