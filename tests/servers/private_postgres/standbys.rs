//! Replicas that follow, that are cut off and promoted, and that come back.

use std::io;

use super::{get, set};
use crate::server::{self, Server};

#[test]
fn a_replica_follows_and_keeps() {
    let Some(mut primary) = server::postgres() else {
        return;
    };
    set(&primary, "before", "1");
    let mut replica = primary.replica().unwrap();
    assert_eq!(get(&replica, "before").as_deref(), Some("1"));
    let refused = replica.execute("CREATE TABLE other ()").unwrap_err();
    assert_eq!(
        refused.code().map(|code| code.code()),
        Some("25006"),
        "{refused}"
    );

    set(&primary, "after", "2");
    replica.cut_off().unwrap();
    assert_eq!(get(&replica, "after").as_deref(), Some("2"));
    primary.kill().unwrap();
    replica.promote().unwrap();
    replica.restart().unwrap();
    set(&replica, "last", "3");
    for key in ["before", "after", "last"] {
        assert!(get(&replica, key).is_some(), "{key}");
    }
}

#[test]
fn promotion_loses_what_was_written_after_the_cut() {
    let Some(mut primary) = server::postgres() else {
        return;
    };
    let mut replica = primary.replica().unwrap();
    set(&primary, "before", "kept");
    replica.cut_off().unwrap();
    set(&primary, "after", "lost");
    primary.kill().unwrap();
    replica.promote().unwrap();
    assert_eq!(get(&replica, "before").as_deref(), Some("kept"));
    assert_eq!(get(&replica, "after"), None);

    // The old primary comes back as a replica, and forgets what nobody else knows.
    primary.restart().unwrap();
    assert_eq!(get(&primary, "after").as_deref(), Some("lost"));
    set(&replica, "after", "found");
    primary.rejoin(&replica).unwrap();
    assert_eq!(get(&primary, "after").as_deref(), Some("found"));
}

#[test]
fn a_replica_that_was_cut_off_stays_so_over_a_restart() -> io::Result<()> {
    let Some(primary) = server::postgres() else {
        return Ok(());
    };
    let mut replica = primary.replica()?;
    set(&primary, "key", "old");
    replica.cut_off()?;
    set(&primary, "key", "new");
    replica.restart()?;
    assert_eq!(get(&replica, "key").as_deref(), Some("old"));
    replica.rejoin(&primary)?;
    assert_eq!(get(&replica, "key").as_deref(), Some("new"));
    Ok(())
}
