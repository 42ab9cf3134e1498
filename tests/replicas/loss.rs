//! A store that loses what it acknowledged, commits whose outcome stays open, and what
//! becomes of those who wait.

use epochkey::{Scope, testing};

use crate::support::*;

#[test]
fn a_lost_tail_is_noticed_by_all_and_answered_once() {
    for number in [2, 8] {
        for lost in [1, 3] {
            let fleet = Fleet::new();
            let replicas = fleet.replicas(number);
            let untouched = replicas[0].issue("v");
            for user in ["u", "w", "x"] {
                replicas[0].bump(user);
            }
            for replica in &replicas {
                replica.follow().unwrap();
            }
            let tokens: Vec<_> = replicas.iter().map(|replica| replica.issue("u")).collect();
            fleet.server.lose_last(lost);
            for replica in &replicas {
                // The answer still comes through, and nothing else: all know of the loss, and
                // none could begin a new history yet.
                replica.link.cut_after_reads(1);
                assert!(replica.follow().is_err());
            }
            for replica in &replicas {
                replica.assert_refuses_everything(&untouched);
                replica.link.mend();
            }
            settle(&replicas);
            let restarts = replicas
                .iter()
                .map(|replica| count(&replica.told.restarted));
            assert_eq!(restarts.sum::<usize>(), 1, "{number} replicas");
            for replica in &replicas {
                for token in tokens.iter().chain([&untouched]) {
                    assert_eq!(replica.outcome(token), "unknown_key");
                }
                let fresh = replica.issue("u");
                assert!(replicas.iter().all(|other| other.outcome(&fresh) == "good"));
            }
        }
    }
}

#[test]
fn a_store_that_forgot_everything_is_a_loss() {
    let fleet = Fleet::new();
    let replicas = fleet.replicas(3);
    let token = replicas[0].issue("u");
    fleet.server.clear();
    settle(&replicas);
    assert!(
        replicas
            .iter()
            .all(|replica| replica.outcome(&token) == "unknown_key")
    );
    let restarts = replicas
        .iter()
        .map(|replica| count(&replica.told.restarted));
    assert_eq!(restarts.sum::<usize>(), 1);
}

/// A replica that starts on the emptied store before the others look begins a history of
/// its own, which the others do not adopt.
#[test]
fn a_newcomer_on_an_emptied_store_is_overruled() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    ours.bump("u");
    let token = ours.issue("u");
    fleet.server.clear();
    let newcomer = fleet.replica();
    let replicas = [ours, newcomer];
    settle(&replicas);
    assert!(
        replicas
            .iter()
            .all(|replica| replica.outcome(&token) == "unknown_key")
    );
}

#[test]
fn a_restored_backup_is_noticed_by_whoever_runs() {
    let fleet = Fleet::new();
    let replicas = fleet.replicas(2);
    let token = replicas[0].issue("u");
    let backup = fleet.server.back_up();
    replicas[0].bump("u");
    fleet.server.restore(&backup);
    // This one never saw the bump: it learns of the loss from the new history.
    assert_eq!(replicas[1].outcome(&token), "good");
    settle(&replicas);
    assert!(
        replicas
            .iter()
            .all(|replica| replica.outcome(&token) == "unknown_key")
    );
}

/// When nobody was running, only the operator knows.
#[test]
fn a_restored_backup_without_witnesses_needs_the_operator() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    let backup = fleet.server.back_up();
    replica.bump("u");
    drop(replica);
    fleet.server.restore(&backup);
    let replica = fleet.replica();
    assert_eq!(replica.outcome(&token), "good", "nobody told it");
    let epoch = replica.finish(replica.authority.restored_from_backup());
    assert_eq!(epoch.position(), replica.position());
    assert_eq!(replica.outcome(&token), "unknown_key");
    assert_eq!(replica.outcome(&replica.issue("u")), "good");
}

#[test]
fn a_lost_bump_does_not_report_success() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    // Acknowledged, then lost before this replica has applied it.
    let bump = ours.authority.bump(Scope::user("u"));
    fleet.server.lose_last(1);
    let failed = testing::finish(&ours.authority, bump).unwrap_err();
    assert_eq!(failed.label(), "store");
    let _ = ours.follow();
    ours.follow().unwrap();
    assert_eq!(
        ours.outcome(&token),
        "unknown_key",
        "nor is anything revived"
    );
}

#[test]
fn a_bump_whose_answer_is_late_is_applied_before() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    ours.link.hold_answers();
    let bump = ours.authority.bump(Scope::user("u"));
    ours.follow().unwrap();
    fleet.clock.advance(secs(6));
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "revoked");
    assert_eq!(format!("{bump:?}"), "Op(running)");
    ours.link.release();
    assert_eq!(bump.wait().unwrap().position(), 2);
}

#[test]
fn a_bump_whose_answer_never_comes_fails() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    ours.link.hold_answers();
    let bump = ours.authority.bump(Scope::user("u"));
    ours.link.drop_held();
    let failed = bump.wait().unwrap_err();
    assert_eq!(failed.label(), "store");
    ours.follow().unwrap();
    assert_eq!(ours.authority.stats().epochs, 1, "it was kept all the same");
}

#[test]
fn a_bump_on_a_cut_connection_fails_and_can_be_made_again() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    ours.link.cut();
    let failed = ours.authority.bump(Scope::user("u")).wait().unwrap_err();
    assert_eq!(failed.label(), "store");
    ours.link.mend();
    ours.bump("u");
}

/// Kept by the store, but this replica cannot read it: whoever waits is told when the
/// replica has stopped accepting anything, not earlier and not never.
#[test]
fn a_bump_that_cannot_be_applied_is_not_waited_for_for_ever() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    let bump = ours.authority.bump(Scope::user("u"));
    ours.link.cut();
    assert!(ours.follow().is_err());
    assert_eq!(format!("{bump:?}"), "Op(running)");
    assert_eq!(ours.outcome(&token), "good");
    fleet.clock.advance(secs(11));
    assert!(ours.follow().is_err());
    assert_eq!(bump.wait().unwrap_err().label(), "store");
    ours.assert_refuses_everything(&token);
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&token), "revoked");
}

#[test]
fn to_wait_for_an_epoch_of_another_replica() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let epoch = theirs.bump("u");
    let wait = ours.authority.wait_for(epoch);
    assert_eq!(format!("{wait:?}"), "Op(running)");
    assert_eq!(ours.finish(wait), epoch);
    // In force already, also by a snapshot that does not show its id.
    assert_eq!(ours.finish(ours.authority.wait_for(epoch)), epoch);
    theirs.bump("v");
    let late = fleet.replica();
    assert_eq!(late.finish(late.authority.wait_for(epoch)), epoch);
    // Of another store altogether: not known here, and nobody is logged out for it.
    let elsewhere = Fleet::new().replica().bump("u");
    let token = ours.issue("u");
    let unknown = testing::finish(&ours.authority, ours.authority.wait_for(elsewhere));
    assert_eq!(unknown.unwrap_err().label(), "lost");
    assert_eq!(ours.outcome(&token), "good");
}

/// A replica that slept while the log was trimmed takes a snapshot, and nothing that was
/// revoked passes.
#[test]
fn a_trimmed_log_is_replaced_by_a_snapshot() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let (dead, alive) = (ours.issue("u"), ours.issue("v"));
    fleet.clock.advance(secs(6));
    ours.follow().unwrap();
    theirs.follow().unwrap();
    for user in ["u", "w", "x"] {
        theirs.bump(user);
    }
    fleet.server.trim();
    let epoch = theirs.bump("y");
    let waiting = ours.authority.wait_for(epoch);
    ours.follow().unwrap();
    assert_eq!(waiting.wait().unwrap(), epoch);
    assert_eq!(ours.outcome(&dead), "revoked");
    assert_eq!(ours.outcome(&alive), "good");
    assert_eq!(ours.authority.stats().epochs, 4);
}
