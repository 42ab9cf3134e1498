//! What can happen to the server of a shared store, and what its replicas make of it.
//!
//! Written once for all kinds of servers. Whoever includes this has the module `server`, names a
//! [`Kind`], and makes a test of each function with [`instantiate`]. Authorities have their
//! threads and the system's clock, so the tests wait until something is so, for as long as it
//! takes, and never take it to be so after a while. [`network`] has those that put something
//! between replicas and the server; it needs the modules `network` and `random` too.

// Every kind of server uses a part of it besides.
#![allow(dead_code)]

pub(crate) mod fleet;
pub(crate) mod forwarder;
pub(crate) mod kills;
pub(crate) mod known;
pub(crate) mod load;
pub(crate) mod loss;
pub(crate) mod many;
pub(crate) mod network;
pub(crate) mod rotation;
pub(crate) mod silence;
pub(crate) mod tasks;
pub(crate) mod trimmed;
mod waiting;

use std::time::Duration;

use epochkey::Store;

use crate::server::Server;

/// A kind of server, and the store on it.
pub(crate) trait Kind: 'static {
    type Server: Server;
    type Store: Store;

    /// Bytes with which the part of the request ends that makes a change, and which occur in the
    /// answer once it was made. `None` if that is the whole request, and nothing is answered
    /// before.
    const DECIDES: Option<&'static str> = None;

    /// Connects, with this time-out for everything that the server is asked.
    ///
    /// # Panics
    ///
    /// If that does not work.
    fn connect(url: &str, timeout: Duration) -> Self::Store;

    /// Bytes that occur in the request which makes this change, and in none that is sent
    /// without any change being asked for; they come in one piece.
    fn marker(change: Change) -> &'static str;
}

/// What a commit can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    BumpOfUser,
    Start,
    Refresh,
    End,
}

/// Makes a test of each of the functions here.
macro_rules! instantiate {
    ($kind:ty) => {
        $crate::faults::instantiate!($kind:
            silence::all_refuse_while_it_is_stopped,
            silence::all_refuse_while_it_is_frozen_and_nobody_hangs,
            silence::an_answer_that_was_held_up_is_as_old_as_its_question,
            loss::a_wiped_store_logs_everybody_out,
            loss::a_store_that_comes_back_empty_logs_everybody_out,
            loss::a_store_wiped_while_nobody_reached_it_logs_everybody_out,
            loss::a_newcomer_on_an_emptied_store_is_overruled,
            loss::of_eight_that_notice_a_loss_at_once_one_starts_over,
            loss::a_change_that_rests_on_a_lost_past_is_refused,
            loss::a_promotion_that_lost_the_tail_logs_everybody_out,
            loss::a_promotion_that_lost_nothing_logs_nobody_out,
            kills::what_was_acknowledged_survives_kills_under_load,
            load::ten_thousand_bumps_from_eight_replicas,
            many::long_lists_are_given,
            many::all_that_wait_for_a_silent_server_are_answered_together,
            rotation::of_eight_rotations_at_once_one_is_made,
            rotation::one_key_is_introduced_when_all_find_it_due,
            tasks::a_frozen_server_does_not_hold_up_an_async_runtime,
            trimmed::a_replica_that_slept_while_the_log_was_trimmed_agrees,
        );
    };
    ($kind:ty: $($module:ident::$test:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                $crate::faults::$module::$test::<$kind>();
            }
        )+
    };
}

pub(crate) use instantiate;
