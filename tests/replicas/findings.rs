//! What broke earlier versions of the design, each as a test with its number.

use epochkey::{
    BuildError, Grant, IssueError, MasterSecret, Policy, Scope,
    store::{Store, StoreTime},
    testing::{self, ManualClock},
};

use crate::support::*;

/// A token sealed with a lost epoch lived again when a replica wrote its table back as
/// "the larger one".
#[test]
fn finding_01_writing_back_undoes_a_revocation() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    ours.bump("u");
    let token = ours.issue("u");
    assert_eq!(ours.outcome(&token), "good");

    fleet.server.lose_last(1);
    let theirs = fleet.replica();
    theirs.bump("u");
    theirs.bump("u");
    for replica in [&ours, &theirs, &ours, &theirs] {
        let _ = replica.follow();
        assert_ne!(replica.outcome(&token), "good");
    }
    settle(&[ours, theirs]);
}

/// The same with a swapped key, which came back.
#[test]
fn finding_01_a_swapped_key_does_not_come_back() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    ours.finish(ours.authority.swap_key());
    fleet.server.lose_last(1);
    let theirs = fleet.replica();
    assert_eq!(theirs.outcome(&token), "good", "it cannot know");
    theirs.bump("v");
    for replica in [&ours, &theirs, &ours] {
        let _ = replica.follow();
    }
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(theirs.outcome(&token), "unknown_key");
}

/// Applied ahead of the log, a bump and a swap pruned the table, and then the log brought
/// a key from before them.
#[test]
fn finding_02_own_events_are_applied_in_their_turn() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    theirs.finish(theirs.authority.rotate_key());
    let token = theirs.issue("u");
    let before = ours.position();
    let bump = ours.authority.bump(Scope::user("u"));
    let swap = ours.authority.swap_key();
    assert_eq!(
        ours.position(),
        before,
        "kept by the store, not in force yet"
    );
    assert_eq!(ours.authority.stats().ring_keys, 1);

    ours.follow().unwrap();
    assert_eq!(bump.wait().unwrap().position(), before + 2);
    assert_eq!(swap.wait().unwrap().position(), before + 3);
    let stats = ours.authority.stats();
    assert_eq!(
        (stats.ring_keys, stats.epochs, stats.floor),
        (1, 0, before + 3)
    );
    assert_eq!(ours.outcome(&token), "unknown_key");
}

#[test]
fn finding_03_a_late_snapshot_brings_no_key_back() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    let before = fleet.server.back_up();
    theirs.finish(theirs.authority.swap_key());
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");

    ours.link.lag_at(&before);
    assert!(ours.follow().is_err());
    assert_ne!(ours.outcome(&token), "good");
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(count(&ours.told.restarted), 0, "the store has lost nothing");
    assert_eq!(ours.position(), theirs.position());
}

/// A key missing from a snapshot is gone.
#[test]
fn finding_03_rings_are_replaced_not_united() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    theirs.finish(theirs.authority.swap_key());
    fleet.server.trim();
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(ours.authority.stats().ring_keys, 1);
}

// Finding 4, a prune between ring and table, needs an interleaving within `verify`: see
// `a_prune_between_ring_and_table_revives_nothing` there.

#[test]
fn finding_05_time_alone_prunes_nothing() {
    let fleet = Fleet::new();
    let replica = fleet.replica_of(Policy::default().rotate_by_hand());
    replica.bump("u");
    for _ in 0..10 {
        fleet.clock.advance(secs(40 * 86_400));
        replica.follow().unwrap();
        replica.maintain();
    }
    replica.follow().unwrap();
    let stats = replica.authority.stats();
    assert_eq!((stats.epochs, stats.ring_keys), (1, 1));
    fleet.replica();
    assert_eq!(fleet.replica().authority.stats().epochs, 1);
}

#[test]
fn finding_06_a_stale_replica_does_nothing() {
    let fleet = Fleet::new();
    let replica = fleet.replica_of(Policy::default().rotate_every(secs(60)));
    let token = replica.issue("u");
    fleet.clock.advance(secs(11));
    replica.assert_refuses_everything(&token);
    fleet.clock.advance(secs(100));
    replica.assert_refuses_everything(&token);
    let other = fleet.replica();
    assert_eq!(other.authority.stats().ring_keys, 1, "nor does it rotate");
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
}

#[test]
fn finding_07_a_clock_that_is_off_makes_stale() {
    for (ahead, behind) in [(150, 0), (3, 0), (0, 3), (0, 150)] {
        let fleet = Fleet::new();
        let replica = fleet.replica();
        let token = replica.issue("u");
        let clock = ManualClock::at_unix_seconds(START + ahead - behind);
        let opened = fleet.builder().clock(clock).open(fleet.server.connect());
        let Err(BuildError::Store(error)) = opened else {
            panic!("{ahead} ahead, {behind} behind: {opened:?}")
        };
        assert_eq!(error.label(), "clock");
        assert_eq!(replica.outcome(&token), "good", "the others go on");
    }
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    fleet.server.set_clock_ahead(secs(150));
    assert_eq!(replica.follow().unwrap_err().label(), "clock");
    replica.assert_refuses_everything(&token);
    fleet.server.set_clock_ahead(secs(2));
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
}

/// Lifetimes belong to keys: a deploy of a shorter one refuses no honest token, and
/// retires no key early.
#[test]
fn finding_08_lifetimes_shortened() {
    let fleet = Fleet::new();
    let policy = |lifetime| {
        Policy::default()
            .token_lifetime(secs(lifetime))
            .rotate_by_hand()
    };
    let long = fleet.replica_of(policy(3600));
    let token = long.issue("u");
    let short = fleet.replica_of(policy(60));
    short.finish(short.authority.rotate_key());
    drop(long);
    let mut age = 0;
    for step in [100, 1000, 1000, 1000, 499] {
        fleet.clock.advance(secs(step));
        age += step;
        short.follow().unwrap();
        short.maintain();
        short.follow().unwrap();
        assert_eq!(short.outcome(&token), "good", "{age} s old");
        assert_eq!(short.issue("u").expires_in(), secs(60));
    }
    assert_eq!(short.authority.stats().ring_keys, 2);
    // 3,600 s, leeway 4, staleness 10, twice the skew 4, after 14 s of announcement.
    fleet.clock.advance(secs(3600 + 18 + 14 - age));
    short.follow().unwrap();
    short.maintain();
    short.follow().unwrap();
    assert_eq!(short.authority.stats().ring_keys, 1);
}

/// A longer one takes effect with the next key, so that no token outlives its key.
#[test]
fn finding_08_lifetimes_lengthened() {
    let fleet = Fleet::new();
    let policy = |lifetime| {
        Policy::default()
            .token_lifetime(secs(lifetime))
            .rotate_by_hand()
    };
    drop(fleet.replica_of(policy(60)));
    let long = fleet.replica_of(policy(3600));
    assert_eq!(long.issue("u").expires_in(), secs(60));
    long.finish(long.authority.rotate_key());
    assert_eq!(long.issue("u").expires_in(), secs(60));
    fleet.clock.advance(secs(14));
    long.follow().unwrap();
    assert_eq!(long.issue("u").expires_in(), secs(3600));
}

#[test]
fn finding_09_a_fresh_log_in_elsewhere_is_stale_not_revoked() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let old = ours.issue("u");
    fleet.clock.advance(secs(6));
    ours.follow().unwrap();
    ours.bump("u");
    let fresh = ours.issue("u");
    assert_eq!(theirs.authority.verify(&fresh).unwrap_err(), STALE);
    assert_eq!(
        theirs.outcome(&old),
        "good",
        "the bump is not in force there"
    );
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&fresh), "good");
    // Long before the news, so it is not from after an unknown bump.
    assert_eq!(theirs.outcome(&old), "revoked");
}

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
fn finding_14_freshness_counts_from_sending() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    // A standby that shows the state of then, and goes on showing it.
    replica.link.lag();
    fleet.clock.advance(secs(2));
    replica.follow().unwrap();
    fleet.clock.advance(secs(1));
    assert_eq!(replica.follow().unwrap_err().label(), "clock");
    replica.assert_refuses_everything(&token);
}

/// An answer that does not reach the head proves nothing about the rest.
#[test]
fn finding_14_a_part_of_the_news_is_not_fresh() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let scopes = (0..10_000).map(|n| Scope::user(n.to_string()));
    theirs.finish(theirs.authority.bump_many(scopes));
    fleet.clock.advance(secs(5));
    ours.link.cut_after_reads(1);
    assert!(ours.follow().is_err());
    let position = ours.position();
    assert!(position > 1 && position < theirs.position(), "{position}");
    fleet.clock.advance(secs(6));
    assert!(ours.is_stale());
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.position(), theirs.position());
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

#[test]
fn finding_17_one_wrong_step_of_the_clock_does_not_stay() {
    let fleet = Fleet::new();
    let clock = ManualClock::at_unix_seconds(START);
    let (ours, theirs) = (
        fleet.replica_with(fleet.builder().clock(clock.clone())),
        fleet.replica(),
    );
    clock.set_forward(secs(144));
    let _ = ours.authority.verify(theirs.issue("u"));
    assert!(ours.follow().is_err());
    clock.rewind(secs(144));
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&theirs.issue("u")), "good");
    assert_eq!(theirs.outcome(&ours.issue("u")), "good");
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
