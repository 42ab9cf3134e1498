//! What an authority says holds, whatever it was told.

use super::*;
use crate::deceived::{Mark, Markers, World};

/// What is changed is written before the commit, which comes in the same flight.
const MARKERS: Markers = Markers {
    bump: &[Mark::In("_put_epochs ("), Mark::Behind("_move_head (")],
    end: &[Mark::In("_remove_sessions ("), Mark::Behind("_move_head (")],
    refresh: &[Mark::In("_put_sessions ("), Mark::Behind("_put_sessions (")],
    find: Mark::In("_find_sessions ("),
    wake: "LISTEN",
};

fn world() -> Option<World<PostgresServer>> {
    let (server, hostile) = start()?;
    let honest = server.url();
    Some(World::of(server, hostile, MARKERS, |url| {
        let options = if url == honest {
            PostgresOptions::new()
        } else {
            impatient()
        };
        PostgresStore::connect(url, options).ok()
    }))
}

crate::deceived::promises!();
