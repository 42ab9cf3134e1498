//! Rotation among replicas, and clocks that lie.

use epochkey::{Policy, testing};

use crate::support::*;

fn rotating() -> Policy {
    Policy::default().rotate_every(secs(3600))
}

#[test]
fn a_key_is_announced_then_active_then_retiring_then_gone() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica_of(rotating()), fleet.replica_of(rotating()));
    let first = ours.issue("u");
    let kid = |token: &epochkey::Token| token.as_str().split('.').next().unwrap().to_owned();
    ours.finish(ours.authority.rotate_key());
    let announced = ours.issue("u");
    assert_eq!(kid(&announced), kid(&first), "announced: does not sign yet");
    assert_eq!(theirs.authority.stats().ring_keys, 1);
    theirs.follow().unwrap();
    fleet.clock.advance(secs(14));
    for replica in [&ours, &theirs] {
        replica.follow().unwrap();
    }
    let active = ours.issue("u");
    assert_ne!(kid(&active), kid(&first));
    for token in [&first, &announced, &active] {
        assert_eq!(theirs.outcome(token), "good");
    }
    for (wait, keys) in [(917, 2), (1, 1)] {
        fleet.clock.advance(secs(wait));
        for replica in [&ours, &theirs] {
            replica.follow().unwrap();
            replica.maintain();
            replica.follow().unwrap();
            assert_eq!(replica.authority.stats().ring_keys, keys);
        }
    }
    assert_eq!(ours.outcome(&first), "unknown_key");
}

#[test]
fn of_eight_that_rotate_at_once_one_wins() {
    let fleet = Fleet::new();
    let replicas: Vec<_> = (0..8).map(|_| fleet.replica_of(rotating())).collect();
    fleet.clock.advance(secs(3600));
    for replica in &replicas {
        replica.follow().unwrap();
    }
    for replica in &replicas {
        replica.maintain();
    }
    settle(&replicas);
    for replica in &replicas {
        assert_eq!(replica.authority.stats().ring_keys, 2);
        assert_eq!(count(&replica.told.rotated), 1);
    }
    // And by hand: the others are told that they were overtaken.
    let rotations: Vec<_> = replicas
        .iter()
        .map(|replica| (replica, replica.authority.rotate_key()))
        .collect();
    let outcomes: Vec<_> = rotations
        .into_iter()
        .map(|(replica, rotation)| testing::finish(&replica.authority, rotation))
        .map(|outcome| outcome.map_or_else(|error| error.label(), |_| "rotated"))
        .collect();
    assert_eq!(
        outcomes.iter().filter(|label| **label == "rotated").count(),
        1
    );
    assert_eq!(
        outcomes
            .iter()
            .filter(|label| **label == "overtaken")
            .count(),
        7
    );
}

/// The commit of a rotation is late: the announcement counts from when it took effect,
/// not from when it was sent.
#[test]
fn a_slow_rotation_is_announced_in_full() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    replica.link.hold_commits();
    let rotation = replica.authority.rotate_key();
    for _ in 0..3 {
        fleet.clock.advance(secs(9));
        replica.follow().unwrap();
    }
    let before = replica.issue("u");
    replica.link.release();
    replica.finish(rotation);
    let announced = replica.issue("u");
    let header = |token: &epochkey::Token| token.as_str()[..40].to_owned();
    assert_eq!(header(&announced), header(&before));
    fleet.clock.advance(secs(14));
    replica.follow().unwrap();
    assert_ne!(header(&replica.issue("u")), header(&before));
}

#[test]
fn rotation_by_hand_has_a_limit() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    for _ in 1..32 {
        replica.finish(replica.authority.rotate_key());
    }
    let error = replica.authority.rotate_key().wait().unwrap_err();
    assert_eq!(error.label(), "too_many_keys");
    replica.finish(replica.authority.swap_key());
    replica.finish(replica.authority.rotate_key());
}

/// The whole fleet and its store are a month ahead, and back again: nothing revoked
/// passes, nobody is without a key, and the schedule goes on.
#[test]
fn the_clock_forward_by_a_month_and_back() {
    let fleet = Fleet::new();
    let replicas: Vec<_> = (0..2).map(|_| fleet.replica_of(rotating())).collect();
    let turn = || {
        for replica in &replicas {
            let _ = replica.follow();
            let _ = testing::maintain(&replica.authority);
            let _ = replica.follow();
        }
        settle(&replicas);
    };
    let (dead, alive) = (replicas[0].issue("u"), replicas[0].issue("v"));
    replicas[0].bump("u");
    let month = secs(30 * 86_400);
    fleet.clock.set_forward(month);
    turn();
    for replica in &replicas {
        assert_ne!(replica.outcome(&dead), "good");
        assert_eq!(replica.outcome(&replica.issue("w")), "good");
    }
    let from_the_future = replicas[0].issue("w");
    fleet.clock.rewind(month);
    turn();
    for replica in &replicas {
        assert_ne!(replica.outcome(&dead), "good");
        assert_eq!(replica.outcome(&alive), "good");
        assert_eq!(replica.outcome(&from_the_future), "not_yet_valid");
        assert_eq!(replica.outcome(&replica.issue("w")), "good");
    }
    let rotated = count(&replicas[0].told.rotated);
    fleet.clock.advance(secs(3600));
    turn();
    let rotated_again = count(&replicas[0].told.rotated);
    assert_eq!(rotated_again, rotated + 1, "the schedule goes on");
    for replica in &replicas {
        assert_eq!(replica.outcome(&replica.issue("w")), "good");
    }
}
