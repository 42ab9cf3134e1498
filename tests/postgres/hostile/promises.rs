//! What an authority says holds, whatever it was told.

use super::*;
use crate::deceived::{Mark, Markers, World};

/// What is changed is written before the commit, which comes in the same flight.
const MARKERS: Markers = Markers {
    bump: &[
        Mark::In("INSERT INTO \"epochkey\".epochs"),
        Mark::Behind("UPDATE \"epochkey\".head SET position"),
    ],
    end: &[
        Mark::In("DELETE FROM \"epochkey\".sessions WHERE line"),
        Mark::Behind("UPDATE \"epochkey\".head SET position"),
    ],
    refresh: &[
        Mark::In("INSERT INTO \"epochkey\".sessions"),
        Mark::Behind("INSERT INTO \"epochkey\".sessions"),
    ],
    find: Mark::In("sessions.user_tag = $5"),
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
