//! Whatever makes a known token bad is in force at the next call.

use std::time::{Duration, SystemTime};

use epochkey::{Grant, Policy, Scope, testing};

use crate::{Fleet, HOUR, get_known, label};

#[test]
fn a_bump_of_any_of_its_scopes_kills_it_and_no_other() {
    let fleet = Fleet::new();
    let authority = fleet.alone();
    let session = "a-session".parse().unwrap();
    let bumps = [
        Scope::user("u"),
        Scope::session(&session),
        Scope::group("first"),
        Scope::group("last"),
    ];
    for scope in bumps {
        let grant = Grant::user("u").session(&session).groups(["first", "last"]);
        let token = authority.issue(grant).unwrap();
        let verified = get_known(&authority, &token);
        let other = authority.issue(Grant::user("v").group("other")).unwrap();
        let other_verified = get_known(&authority, &other);
        testing::finish(&authority, authority.bump(Scope::user("another"))).unwrap();
        assert_eq!(authority.verify(&token).unwrap().user(), "u");
        testing::finish(&authority, authority.bump(scope.clone())).unwrap();
        for _ in 0..3 {
            let refused = authority.verify(&token).unwrap_err();
            let scope = Some(scope.clone());
            assert_eq!(refused, epochkey::VerifyError::Revoked { scope });
            assert!(authority.recheck(&verified).is_err());
            assert_eq!(authority.verify(&other).unwrap().user(), "v");
            authority.recheck(&other_verified).unwrap();
        }
    }
}

/// A seal that the thread knows is not that of a token from after a bump.
#[test]
fn a_new_log_in_is_good_at_once() {
    let fleet = Fleet::new();
    let authority = fleet.alone();
    for _ in 0..3 {
        let old = authority.issue(Grant::user("u")).unwrap();
        get_known(&authority, &old);
        testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
        let new = authority.issue(Grant::user("u")).unwrap();
        assert_eq!(label(authority.verify(&old)), "revoked");
        get_known(&authority, &new);
        assert_eq!(label(authority.verify(&old)), "revoked");
    }
}

#[test]
fn a_swap_kills_it() {
    let fleet = Fleet::new();
    let authority = fleet.alone();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = get_known(&authority, &token);
    testing::finish(&authority, authority.swap_key()).unwrap();
    assert_eq!(label(authority.verify(&token)), "unknown_key");
    assert!(authority.recheck(&verified).is_err());
}

#[test]
fn a_rotation_does_not_and_the_retirement_of_its_key_does() {
    let fleet = Fleet::new();
    let authority = fleet.remembering();
    let token = authority.issue(Grant::user("u")).unwrap();
    get_known(&authority, &token);
    testing::finish(&authority, authority.rotate_key()).unwrap();
    assert_eq!(label(authority.verify(&token)), "good");
    assert_eq!(authority.stats().ring_keys, 2);
    fleet.clock.advance(HOUR);
    testing::follow(&authority).unwrap();
    assert_eq!(label(authority.verify(&token)), "good");
    fleet.clock.advance(2 * HOUR);
    testing::follow(&authority).unwrap();
    testing::maintain(&authority).unwrap();
    testing::follow(&authority).unwrap();
    assert_eq!(authority.stats().ring_keys, 1);
    assert_eq!(label(authority.verify(&token)), "unknown_key");
}

#[test]
fn it_is_dead_when_it_expires() {
    let fleet = Fleet::new();
    let authority = fleet.remembering();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = get_known(&authority, &token);
    fleet.clock.advance(2 * HOUR - Duration::from_secs(1));
    testing::follow(&authority).unwrap();
    assert_eq!(label(authority.verify(&token)), "good");
    fleet.clock.advance(Duration::from_secs(1));
    testing::follow(&authority).unwrap();
    assert_eq!(label(authority.verify(&token)), "expired");
    assert_eq!(authority.recheck(&verified).unwrap_err().label(), "expired");
}

#[test]
fn it_is_not_accepted_before_it_was_issued() {
    let fleet = Fleet::new();
    let authority = fleet.alone();
    let token = authority.issue(Grant::user("u")).unwrap();
    get_known(&authority, &token);
    fleet.clock.rewind(HOUR);
    assert_eq!(label(authority.verify(&token)), "not_yet_valid");
}

#[test]
fn a_stale_replica_accepts_it_no_more_and_a_fresh_one_again() {
    let fleet = Fleet::new();
    let authority = fleet.remembering();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = get_known(&authority, &token);
    fleet.clock.advance(Duration::from_secs(11));
    assert_eq!(label(authority.verify(&token)), "stale_epochs");
    assert!(authority.recheck(&verified).is_err());
    testing::follow(&authority).unwrap();
    assert_eq!(label(authority.verify(&token)), "good");
    authority.recheck(&verified).unwrap();
}

/// Also where the replica that made it is another one.
#[test]
fn a_bump_made_elsewhere_kills_it_when_it_is_applied() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.remembering(), fleet.remembering());
    let token = there.issue(Grant::user("u")).unwrap();
    get_known(&here, &token);
    get_known(&there, &token);
    fleet.clock.advance(Duration::from_secs(8));
    testing::follow(&here).unwrap();
    testing::finish(&there, there.bump(Scope::user("u"))).unwrap();
    assert_eq!(label(there.verify(&token)), "revoked");
    assert_eq!(label(here.verify(&token)), "good");
    testing::follow(&here).unwrap();
    assert_eq!(label(here.verify(&token)), "revoked");
}

/// The bump comes with a snapshot, and the same keys with a new table.
#[test]
fn a_bump_that_comes_with_a_snapshot_kills_it() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.remembering(), fleet.remembering());
    let token = here.issue(Grant::user("u")).unwrap();
    let verified = get_known(&here, &token);
    let other = here.issue(Grant::user("v")).unwrap();
    let other_verified = get_known(&here, &other);
    testing::finish(&there, there.bump(Scope::user("u"))).unwrap();
    fleet.clock.advance(2 * HOUR - Duration::from_secs(60));
    fleet.server.trim();
    testing::follow(&here).unwrap();
    assert_eq!(label(here.verify(&token)), "revoked");
    assert!(here.recheck(&verified).is_err());
    for _ in 0..4 {
        assert_eq!(label(here.verify(&other)), "good");
        here.recheck(&other_verified).unwrap();
    }
}

/// Tokens that are too long are verified each time.
#[test]
fn a_long_token_is_not_kept() {
    let fleet = Fleet::new();
    let authority = fleet.alone();
    let claims = std::collections::HashMap::from([("text", "x".repeat(800))]);
    let token = authority.issue(Grant::user("u").claims(&claims)).unwrap();
    for _ in 0..2 {
        authority.verify(&token).unwrap();
    }
    let count = allocation_counter::measure(|| drop(authority.verify(&token).unwrap()));
    assert_eq!(count.count_total, 1);
}

/// A restart has other keys.
#[test]
fn a_restart_of_the_log_kills_it() {
    let fleet = Fleet::new();
    let (here, there) = (fleet.remembering(), fleet.remembering());
    let token = here.issue(Grant::user("u")).unwrap();
    get_known(&here, &token);
    testing::finish(&there, there.start_over()).unwrap();
    testing::follow(&here).unwrap();
    assert_eq!(label(here.verify(&token)), "unknown_key");
}

#[test]
fn the_authentication_ages() {
    let fleet = Fleet::new();
    let authority = fleet.open(
        Policy::default()
            .thread_caches(true)
            .max_authentication_age(HOUR),
    );
    let grant = Grant::user("u")
        .authenticated_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_999_000));
    let token = authority.issue(grant).unwrap();
    let verified = get_known(&authority, &token);
    assert!(verified.authenticated_within(Duration::from_secs(1000)));
    fleet.clock.advance(Duration::from_secs(2000));
    testing::follow(&authority).unwrap();
    let later = authority.verify(&token).unwrap();
    assert!(!later.authenticated_within(Duration::from_secs(2999)));
    assert!(later.authenticated_within(Duration::from_secs(3000)));
    fleet.clock.advance(Duration::from_secs(601));
    testing::follow(&authority).unwrap();
    assert_eq!(label(authority.verify(&token)), "authentication_too_old");
}

/// What one authority found good another one judges by itself: with the same keys and another
/// audience, or other epochs.
#[test]
fn what_one_authority_knows_another_does_not() {
    let fleet = Fleet::new();
    let wide = fleet.open(
        Policy::default()
            .thread_caches(true)
            .accept_audience("reports"),
    );
    let narrow = fleet.remembering();
    let grant = Grant::user("u").audience("reports");
    let token = wide.issue(grant).unwrap();
    let verified = get_known(&wide, &token);
    assert_eq!(label(narrow.verify(&token)), "wrong_audience");
    narrow.recheck(&verified).unwrap();
    let token = wide.issue(Grant::user("u")).unwrap();
    let verified = get_known(&wide, &token);
    get_known(&narrow, &token);
    fleet.clock.advance(Duration::from_secs(8));
    testing::follow(&narrow).unwrap();
    testing::finish(&wide, wide.bump(Scope::user("u"))).unwrap();
    assert_eq!(label(wide.verify(&token)), "revoked");
    // Here it has not arrived.
    assert_eq!(label(narrow.verify(&token)), "good");
    testing::follow(&narrow).unwrap();
    assert_eq!(label(narrow.verify(&token)), "revoked");
    assert!(narrow.recheck(&verified).is_err());
}

/// Off means that nothing is kept.
#[test]
fn without_caches_each_time_is_the_first() {
    let fleet = Fleet::new();
    let authority = fleet.open(Policy::default().thread_caches(false));
    let token = authority.issue(Grant::user("u")).unwrap();
    for _ in 0..5 {
        let count = allocation_counter::measure(|| drop(authority.verify(&token).unwrap()));
        assert_eq!(count.count_total, 1);
    }
}
