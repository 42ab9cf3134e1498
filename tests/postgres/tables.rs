//! What others do to the tables.

use crate::{
    Postgres,
    faults::{fleet::until, loss::lose_everything},
};

/// Connections go on, and what they ask for is not there.
#[test]
fn tables_that_were_dropped_are_an_empty_store() {
    lose_everything::<Postgres>(|server| {
        // Clients have locks, for a moment each.
        let drop_all = "DROP SCHEMA epochkey CASCADE";
        until("they are dropped", || server.execute(drop_all).is_ok());
    });
}
