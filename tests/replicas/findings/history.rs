//! Losses, histories, and what proves or hides them.

use epochkey::{
    Grant, IssueError, MasterSecret, Scope,
    store::{Store, StoreTime},
    testing::{self},
};

use crate::support::*;

#[test]
fn finding_10_positions_used_again_do_not_hide_a_loss() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let lost = ours.bump("u");
    let token = theirs.issue("u");
    fleet.server.lose_last(1);
    let reused = theirs.bump("v");
    assert_eq!(lost.position(), reused.position());

    let wait = theirs.authority.wait_for(lost);
    let waited = testing::finish(&theirs.authority, wait);
    assert_eq!(waited.unwrap_err().label(), "lost");
    // It was told of the epoch, by whomever; who has seen it acknowledged restarts.
    assert_eq!(count(&theirs.told.restarted), 0);
    let _ = ours.follow();
    settle(&[ours, theirs]);
    let late = fleet.replica();
    assert_eq!(late.outcome(&token), "unknown_key");
}

#[test]
fn finding_11_a_snapshot_of_an_older_history_is_not_adopted() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let before = fleet.server.back_up();
    ours.finish(ours.authority.start_over());
    let token = ours.issue("u");
    let position = ours.position();
    ours.link.lag_at(&before);
    for _ in 0..3 {
        assert!(ours.follow().is_err());
        assert_eq!(ours.position(), position);
    }
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "good");
    assert_eq!(ours.position(), position, "and nothing was begun for it");
}

#[test]
fn finding_11_a_snapshot_of_an_older_history_is_not_adopted_for_a_newer_one() {
    let fleet = Fleet::new();
    let theirs = fleet.replica();
    let token = theirs.issue("u");
    let oldest = fleet.server.back_up();
    theirs.finish(theirs.authority.start_over());
    // It has never seen the oldest history, nor its key.
    let ours = fleet.replica();
    theirs.finish(theirs.authority.start_over());
    ours.link.lag_in_snapshots_at(&oldest);
    assert!(ours.follow().is_err());
    assert_ne!(ours.outcome(&token), "good");
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(ours.position(), theirs.position());
    assert_eq!(count(&ours.told.restarted), 0);
}

/// Restored from before a restart, with a replica born in between: they settle.
#[test]
fn finding_11_replicas_of_different_histories_settle() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let before = fleet.server.back_up();
    ours.finish(ours.authority.start_over());
    fleet.server.restore(&before);
    let born_between = fleet.replica();
    let token = born_between.issue("u");
    let replicas = [ours, born_between];
    settle(&replicas);
    let restarts = replicas
        .iter()
        .map(|replica| count(&replica.told.restarted));
    assert_eq!(
        restarts.sum::<usize>(),
        2,
        "the one asked for, and one after the loss"
    );
    assert_eq!(replicas[1].outcome(&token), "unknown_key");
}

#[test]
fn finding_12_a_commit_does_not_land_in_another_history() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    ours.link.hold_commits();
    let bump = ours.authority.bump(Scope::user("u"));
    theirs.finish(theirs.authority.start_over());
    let token = theirs.issue("u");
    ours.link.release();
    let refused = testing::finish(&ours.authority, bump).unwrap_err();
    assert_eq!(refused.label(), "store");
    ours.follow().unwrap();
    theirs.follow().unwrap();
    assert_eq!(theirs.authority.stats().epochs, 0, "it has landed nowhere");
    assert_eq!(ours.outcome(&token), "good");
    ours.bump("u");
    theirs.follow().unwrap();
    assert_ne!(theirs.outcome(&token), "good");
}

#[test]
fn finding_13_a_new_history_begins_above_every_replica() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    for _ in 0..5 {
        theirs.bump("u");
    }
    ours.follow().unwrap();
    for _ in 0..20 {
        theirs.bump("u");
    }
    let (token, highest) = (theirs.issue("u"), theirs.position());
    fleet.server.lose_last(22);
    ours.follow().unwrap();
    assert!(ours.position() > highest + (1 << 31));
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&token), "unknown_key");
    assert_eq!(theirs.authority.stats().floor, ours.position());
}

#[test]
fn finding_15_a_lagging_read_does_not_log_everybody_out() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let before = fleet.server.back_up();
    ours.bump("u");
    let token = ours.issue("u");
    ours.link.lag_at(&before);
    assert!(ours.follow().is_err());
    ours.assert_refuses_everything(&token);
    ours.link.mend();
    ours.follow().unwrap();
    theirs.follow().unwrap();
    assert_eq!(ours.outcome(&token), "good");
    assert_eq!(theirs.outcome(&token), "good");
    assert_eq!(count(&ours.told.restarted), 0);
}

/// Who waits for a bump to be applied everywhere must see a replica that boots before
/// that replica has read anything.
#[test]
fn finding_16_a_replica_announces_itself_before_it_loads() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    replica.follow().unwrap();
    // It stops behind the announcement, for it cannot read the snapshot.
    let wrong = fleet
        .builder()
        .master_secret(MasterSecret::generate().unwrap());
    assert!(wrong.open(fleet.server.connect()).is_err());
    let receipts = fleet.server.receipts(StoreTime::default()).unwrap().value;
    let applied: Vec<_> = receipts
        .iter()
        .map(|receipt| receipt.heartbeat.applied)
        .collect();
    assert_eq!(applied.len(), 2);
    assert_eq!(
        applied.iter().filter(|applied| applied.is_none()).count(),
        1
    );
}

/// Facts read under a history that is no more give no token.
#[test]
fn a_mark_of_another_history_is_refused() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let mark = replica.authority.mark();
    replica.finish(replica.authority.start_over());
    let refused = replica.authority.issue(Grant::user("u").as_of(mark));
    assert!(matches!(refused, Err(IssueError::OutdatedMark)));
}
