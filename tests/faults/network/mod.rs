//! What a network can do between replicas and the server of a shared store.
//!

pub(crate) mod cuts;
pub(crate) mod failover;
pub(crate) mod fleet;
pub(crate) mod lags;
pub(crate) mod late;
pub(crate) mod random;
pub(crate) mod silence;

pub(crate) use super::{Change, Kind};

/// Makes a test of each of the functions here.
macro_rules! instantiate {
    ($kind:ty) => {
        $crate::faults::network::instantiate!($kind:
            cuts::a_bump_that_is_cut_is_made_for_all_or_for_nobody,
            cuts::a_start_that_is_cut_leaves_at_most_a_row,
            cuts::a_refresh_that_is_cut_has_one_successor,
            cuts::an_end_that_is_cut_ends_all_or_nothing,
            cuts::connections_cut_at_any_byte_are_made_again,
            silence::a_replica_cut_off_refuses_what_was_revoked,
            silence::a_replica_whose_requests_are_held_disturbs_nobody,
            silence::a_replica_that_hears_no_answers_is_not_taken_for_alive,
            silence::answers_that_take_long_make_news_no_younger,
            silence::connections_that_went_silent_are_left,
            late::a_bump_delivered_late_is_a_bump,
            late::a_bump_delivered_into_the_next_history_is_refused,
            late::a_refresh_delivered_late_forks_nothing,
            late::a_refresh_delivered_after_others_is_refused,
            late::a_refresh_delivered_after_the_end_revives_nothing,
            late::starts_delivered_late_give_nobody_tokens,
            lags::a_lagging_network_takes_nothing_back,
            failover::a_failover_that_loses_nothing_logs_nobody_out,
            failover::a_demoted_primary_is_left,
            failover::a_failover_that_loses_bumps_logs_everybody_out,
            random::whatever_happens_by_chance,
        );
    };
    ($kind:ty: $($module:ident::$test:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                $crate::faults::network::$module::$test::<$kind>();
            }
        )+
    };
}

pub(crate) use instantiate;
