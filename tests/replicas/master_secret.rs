//! The secret that wraps all others.

use epochkey::{
    Authority, BuildError, MasterSecret,
    store::{Store, StoreTime},
    testing,
};

use crate::support::*;

#[test]
fn a_kept_store_needs_one() {
    let fleet = Fleet::new();
    let builder = testing::by_hand(Authority::builder("i", "a")).clock(fleet.clock.clone());
    let opened = builder.open(fleet.server.connect());
    assert!(matches!(opened, Err(BuildError::NoMasterSecret)));
}

#[test]
fn the_wrong_one_is_an_error_and_changes_nothing() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    let token = replica.issue("u");
    let state = |fleet: &Fleet| fleet.server.snapshot(StoreTime::default(), &mut |_| {});
    let before = state(&fleet).unwrap();
    let wrong = MasterSecret::generate().unwrap();
    let opened = fleet
        .builder()
        .master_secret(wrong)
        .open(fleet.server.connect());
    let error = opened.unwrap_err();
    assert!(matches!(error, BuildError::WrongMasterSecret), "{error}");
    assert!(error.to_string().contains("previous_master_secret"));
    assert_eq!(state(&fleet).unwrap().value, before.value);
    replica.follow().unwrap();
    assert_eq!(replica.outcome(&token), "good");
}

/// In the order that `rewrap_secrets` describes, with a replica of each kind at every step.
#[test]
fn it_can_be_changed_while_the_fleet_runs() {
    let fleet = Fleet::new();
    let (old, new) = (fleet.secret.clone(), MasterSecret::generate().unwrap());
    let open = |current: &MasterSecret, previous: Option<&MasterSecret>| {
        let mut builder = fleet.builder().master_secret(current.clone());
        if let Some(previous) = previous {
            builder = builder.previous_master_secret(previous.clone());
        }
        fleet.replica_with(builder)
    };
    let first = open(&old, None);
    let token = first.issue("u");
    let second = open(&old, Some(&new));
    let third = open(&new, Some(&old));
    drop(first);
    // Keys wrapped with either are read by both kinds that run now.
    third.finish(third.authority.rotate_key());
    second.follow().unwrap();
    second.finish(second.authority.rotate_key());
    drop(second);
    third.finish(third.authority.rewrap_secrets());

    let last = open(&new, None);
    assert_eq!(last.outcome(&token), "good");
    assert_eq!(last.authority.stats().ring_keys, 3);
    let with_old = fleet
        .builder()
        .master_secret(old)
        .open(fleet.server.connect());
    assert!(matches!(with_old, Err(BuildError::WrongMasterSecret)));
}

#[test]
fn rewrapping_loses_to_a_rotation_and_can_be_repeated() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    for _ in 0..2 {
        replica.finish(replica.authority.rewrap_secrets());
    }
    replica.link.cut();
    let rewrap = replica.authority.rewrap_secrets();
    fleet.clock.advance(secs(11));
    assert!(replica.follow().is_err());
    assert!(rewrap.wait().is_err());
}

/// Given everything in the store: no user id, and no key that signs.
#[test]
fn the_store_holds_no_user_ids_and_no_keys_in_the_clear() {
    let fleet = Fleet::new();
    let replica = fleet.replica();
    replica.bump("a-very-recognisable-user");
    let secrets = testing::expose_secrets(&replica.authority);
    let mut held = Vec::new();
    let snapshot = fleet.server.snapshot(StoreTime::default(), &mut |epoch| {
        held.extend_from_slice(&epoch.tag);
        held.extend_from_slice(&epoch.secret);
    });
    let snapshot = snapshot.unwrap().value.unwrap();
    held.extend_from_slice(&snapshot.secrets);
    for key in &snapshot.keys {
        held.extend_from_slice(&key.record);
    }
    let contains = |needle: &[u8]| held.windows(needle.len()).any(|window| window == needle);
    assert!(!contains(b"recognisable"));
    assert!(!contains(&secrets.seal_key));
    assert!(!contains(&secrets.ring_keys[0].secret));
    assert!(
        contains(&secrets.ring_keys[0].introduction_nonce),
        "and the search finds things"
    );
}
