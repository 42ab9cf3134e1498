//! What an authority says holds, whatever it was told.

use super::*;
use crate::deceived::{Mark, Markers, World};

const MARKERS: Markers = Markers {
    bump: &[Mark::In("$5\r\nepoch\r\n")],
    end: &[Mark::In("$3\r\nend\r\n")],
    refresh: &[Mark::In("$7\r\nreplace\r\n")],
    find: Mark::In("$2\r\nid\r\n"),
    wake: "XREAD",
};

fn world() -> Option<World<RedisServer>> {
    let (server, hostile) = start()?;
    let honest = server.url();
    Some(World::of(server, hostile, MARKERS, |url| {
        let options = if url == honest {
            RedisOptions::new()
        } else {
            impatient()
        };
        RedisStore::connect(url, options).ok()
    }))
}

crate::deceived::promises!();
