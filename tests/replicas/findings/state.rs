//! What a replica takes over from the store, and in which order.

use epochkey::{
    Policy, Scope,
    store::{Effect, Store, StoreTime},
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

/// The exchange is with the primary, the snapshot comes from a standby that lags.
#[test]
fn finding_03_an_older_snapshot_of_the_same_history_is_not_adopted() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    let before = fleet.server.back_up();
    theirs.finish(theirs.authority.swap_key());
    ours.follow().unwrap();
    theirs.bump("u");
    fleet.server.trim();
    ours.link.lag_in_snapshots_at(&before);
    assert_eq!(ours.follow().unwrap_err().label(), "old_snapshot");
    assert_eq!(ours.outcome(&token), "unknown_key");
    ours.link.mend();
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(count(&ours.told.restarted), 0);
}

/// The store lost a swap, went on beyond its position, and trimmed what would prove it:
/// the key that was seen to go does.
#[test]
fn finding_03_a_key_seen_to_go_proves_a_loss_in_a_snapshot() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    ours.finish(ours.authority.swap_key());
    fleet.server.lose_last(1);
    let theirs = fleet.replica();
    for _ in 0..3 {
        theirs.bump("v");
    }
    fleet.server.trim();
    let replicas = [ours, theirs];
    settle(&replicas);
    assert_eq!(count(&replicas[0].told.restarted), 1);
    for replica in &replicas {
        assert_eq!(replica.outcome(&token), "unknown_key");
    }
}

#[test]
fn finding_03_a_key_seen_to_go_proves_a_loss_in_the_log() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    let state = fleet.server.snapshot(StoreTime::default(), &mut |_| {});
    let key = state.unwrap().value.unwrap().keys.remove(0);
    ours.finish(ours.authority.swap_key());
    let introduce = [&[1, 2], key.id.as_bytes().as_slice(), &key.record].concat();
    let back = Effect::AddKey {
        key: key.id,
        record: key.record,
    };
    fleet.commit(introduce, back);
    assert_eq!(ours.follow().unwrap_err().label(), "lost");
    assert_ne!(ours.outcome(&token), "good");
    ours.follow().unwrap();
    assert_eq!(ours.outcome(&token), "unknown_key");
    assert_eq!(count(&ours.told.restarted), 1);
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
