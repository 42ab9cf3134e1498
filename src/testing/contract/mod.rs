//! The contract of stores, clause by clause.

mod asker;
mod beginning;
mod committing;
mod concurrent;
mod expected;
mod following;
mod fresh;
mod keys;
mod places;
mod receipts;
mod reopening;
mod series;
mod sessions;
mod snapshots;
mod subject;
mod threads;
mod tidying;
mod times;

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use self::subject::{Open, Subject};
use crate::Store;

/// Holds a store to the contract of [`store`](crate::store), clause by clause: the test of
/// a store of your own, in one line.
///
/// `fresh` is called for each clause: it makes a place for a store, with nothing in it, and
/// gives what opens the store there. That is called
///
/// - once, for a store of [`Reach::Memory`](crate::store::Reach::Memory);
/// - again when what it gave before was dropped, for one of
///   [`Reach::Embedded`](crate::store::Reach::Embedded): all that was kept must be there;
/// - at any time, for one of [`Reach::Shared`](crate::store::Reach::Shared): each call is
///   another connection to the same store, and requests take turns over them.
///
/// Both may `unwrap`: whatever panics fails the test. There are about 80 clauses, and some
/// write ten thousand events: on a server, take a schema or a key prefix for each.
///
/// A minor version may bring more clauses, each of which tells more of what the contract says
/// already.
///
/// ```
/// # use epochkey::{MemoryStore, SystemClock, testing::FaultyStore};
/// use epochkey::testing::store_contract;
///
/// // In memory.
/// store_contract(|| MemoryStore::new);
///
/// // A server: for each clause an empty database, and any number of connections to it.
/// store_contract(|| {
///     let database = FaultyStore::new(SystemClock);
///     move || database.connect()
/// });
/// ```
///
/// In a file, in a directory that is removed when the clause is over:
///
/// ```no_run
/// # use epochkey::{MemoryStore as MyStore, testing::store_contract};
/// # struct TempDir;
/// # impl TempDir {
/// #     fn new() -> Result<Self, ()> { Ok(Self) }
/// #     fn path(&self) -> &std::path::Path { "".as_ref() }
/// # }
/// # trait Open: Sized { fn open(_: impl AsRef<std::path::Path>) -> Result<Self, ()>; }
/// # impl Open for MyStore {
/// #     fn open(_: impl AsRef<std::path::Path>) -> Result<Self, ()> { Ok(Self::new()) }
/// # }
/// store_contract(|| {
///     let directory = TempDir::new().unwrap();
///     move || MyStore::open(directory.path().join("auth.db")).unwrap()
/// });
/// ```
///
/// # Panics
///
/// At the first clause that the store does not keep, with its name and with what was
/// expected.
///
/// # What it cannot show
///
/// - That what was answered as done survives `kill -9` and the loss of power.
/// - That requests which must not block do not.
/// - That answers come from whoever takes commits, never from a standby or a cache.
/// - What becomes of requests while a server fails: that they are errors, not empty answers.
///
/// Each store needs tests of its own for these.
pub fn store_contract<S: Store, O: Fn() -> S>(fresh: impl Fn() -> O) {
    for (name, clause) in CLAUSES {
        let open = fresh();
        let open: Open<'_> = Box::new(move || Arc::new(open()));
        // A clause that has panicked is not gone on with.
        let kept = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut subject = Subject::new(open);
            clause(&mut subject);
            subject.check();
        }));
        if let Err(cause) = kept {
            panic!(
                "the store does not keep its contract, clause `{name}`: {}",
                text(&*cause)
            );
        }
    }
}

/// A promise, and whether a fresh store keeps it.
type Clause = (&'static str, fn(&mut Subject<'_>));

macro_rules! clauses {
    ($($part:ident { $($clause:ident,)* })*) => {
        &[$($((stringify!($clause), $part::$clause),)*)*]
    };
}

/// Those that others take for granted come first.
const CLAUSES: &[Clause] = clauses! {
    beginning {
        an_empty_store_knows_nothing_and_refuses_all,
        the_first_history_begins_at_position_1,
    }
    committing {
        what_is_done_is_seen_by_the_next_request,
        positions_are_consecutive,
    }
    times {
        a_change_is_dated_as_its_answer,
    }
    committing {
        changes_of_sessions_alone_take_no_position,
        events_and_sessions_are_changed_in_one_commit,
        a_commit_in_another_history_is_refused,
    }
    sessions {
        rows_are_found_by_id_and_by_user,
        rows_are_not_found_in_another_history,
    }
    beginning {
        a_history_begins_over_an_unknown_place,
        a_history_begins_over_a_lost_place_of_the_present_one,
        a_first_history_begins_in_an_empty_store_only,
        a_known_place_begins_no_history,
        a_place_that_was_trimmed_begins_no_history,
        a_history_begins_instead_of_the_present_one_only,
        a_history_names_all_that_went_before_it,
        a_history_names_those_that_went_before_the_lost_place,
        a_beginning_drops_all_but_the_receipts,
        a_beginning_may_keep_the_sessions,
        of_several_that_begin_at_once_one_does,
    }
    times {
        a_store_in_this_process_takes_the_askers_time,
        a_shared_store_has_its_own_clock,
    }
    following {
        a_replica_that_has_applied_nothing_takes_a_snapshot,
        nothing_follows_the_head,
        events_follow_each_place_of_the_log,
        another_event_at_a_known_position_is_not_my_past,
        a_position_above_the_head_is_not_my_past,
        another_history_is_not_my_past,
        who_is_in_a_history_that_went_before_takes_a_snapshot,
        who_is_behind_a_trimmed_log_takes_a_snapshot,
        ten_thousand_events_come_in_order,
        who_waits_for_news_hears_of_a_commit,
        a_wait_ends_when_it_is_over_or_by_wake,
    }
    keys {
        keys_come_and_go_in_order,
        a_commit_is_refused_if_another_key_is_the_newest,
        a_key_that_is_there_is_not_added,
        only_the_oldest_of_several_keys_is_removed,
        the_events_of_a_commit_take_effect_in_order,
    }
    committing {
        a_refused_commit_leaves_nothing,
    }
    sessions {
        a_row_starts_once,
        a_row_may_expire_as_late_as_it_likes,
        a_row_is_replaced_in_the_version_expected,
        a_row_keeps_its_rotation_unless_it_rotates,
        a_row_is_ended_in_the_version_expected_or_in_any,
        all_rows_of_a_user_end_whatever_their_version,
        all_rows_of_a_user_end_but_one,
        sessions_are_changed_in_order,
        conditions_of_sessions_are_those_before_the_commit,
        a_commit_may_exclude_other_rows,
    }
    committing {
        ids_and_bodies_are_any_bytes,
        bodies_are_empty_or_large,
        a_completion_may_make_requests,
    }
    snapshots {
        a_snapshot_shows_the_newest_epoch_of_each_tag,
        a_snapshot_shows_all_epochs_above_the_oldest_key,
        a_snapshot_shows_very_many_epochs,
        a_snapshot_is_of_one_moment,
        a_snapshot_is_of_one_history,
    }
    receipts {
        a_replica_that_has_applied_nothing_gets_a_receipt,
        a_receipt_has_what_a_replica_said_last,
        each_replica_has_its_receipt,
        a_receipt_is_there_while_its_replica_waits,
    }
    tidying {
        tidying_keeps_the_epochs_above_the_oldest_key,
        tidying_keeps_the_events_that_are_not_older,
        tidying_keeps_the_events_above,
        tidying_never_drops_the_head,
        a_log_is_trimmed_from_its_old_end_only,
        tidying_keeps_the_rows_that_do_not_expire_before,
        tidying_keeps_the_receipts_that_are_not_older,
        rewrapping_keeps_all_but_the_wrapping,
        rewrapping_is_refused_for_another_ring,
    }
    places {
        events_of_the_log_are_part_of_it,
        what_is_below_the_oldest_event_is_trimmed,
        what_is_in_a_history_that_went_before_is_before,
        everything_else_is_unknown,
        a_commit_for_a_place_not_of_the_log_is_refused,
        a_commit_for_an_older_place_is_made,
        rows_are_not_found_for_a_place_not_of_the_log,
        rows_are_found_for_an_older_place,
        a_receipt_names_a_place_of_the_log_or_none,
        tidying_for_a_place_not_of_the_log_is_refused,
        tidying_for_an_older_place_is_done,
        rewrapping_for_a_place_not_of_the_log_is_refused,
        rewrapping_for_an_older_place_is_done,
    }
    concurrent {
        commits_at_once_get_positions_one_after_the_other,
        commits_become_visible_in_order_and_whole,
        of_several_under_one_condition_one_is_made,
        all_rows_of_a_user_end_in_the_step_of_the_commit,
        the_rows_of_a_user_are_of_one_moment,
    }
    reopening {
        what_is_done_is_there_when_the_store_is_opened_again,
    }
    series {
        any_series_of_changes_adds_up,
    }
};

/// What a panic says.
fn text(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}
