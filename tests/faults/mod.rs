//! What can happen to the server of a shared store, and what its replicas make of it.
//!
//! Written once for all kinds of servers. Whoever includes this has the module `server`, names a
//! [`Kind`], and makes a test of each function with [`instantiate`]. Authorities have their
//! threads and the system's clock, so the tests wait until something is so, for as long as it
//! takes, and never take it to be so after a while.

// Every kind of server uses a part of it besides.
#![allow(dead_code)]

pub(crate) mod fleet;
pub(crate) mod forwarder;
pub(crate) mod known;
pub(crate) mod loss;
pub(crate) mod silence;

use std::time::Duration;

use epochkey::Store;

use crate::server::Server;

/// A kind of server, and the store on it.
pub(crate) trait Kind: 'static {
    type Server: Server;
    type Store: Store;

    /// Connects, with this time-out for everything that the server is asked.
    ///
    /// # Panics
    ///
    /// If that does not work.
    fn connect(url: &str, timeout: Duration) -> Self::Store;
}

/// Makes a test of each of the functions here.
macro_rules! instantiate {
    ($kind:ty) => {
        $crate::faults::instantiate!($kind:
            silence::all_refuse_while_it_is_stopped,
            silence::all_refuse_while_it_is_frozen_and_nobody_hangs,
            loss::a_wiped_store_logs_everybody_out,
            loss::a_store_that_comes_back_empty_logs_everybody_out,
            loss::a_store_wiped_while_nobody_reached_it_logs_everybody_out,
            loss::a_promotion_that_lost_the_tail_logs_everybody_out,
            loss::a_promotion_that_lost_nothing_logs_nobody_out,
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
