//! When a token ends, and what lifetimes and ids used again do to tokens that were revoked.

use std::time::Duration;

use epochkey::{Authority, Grant, MemoryStore, Policy, Scope, VerifyError, testing::ManualClock};

use crate::{
    fleet::{Fleet, Replica},
    forger::*,
};

/// RFC 7519 says "on or after": with `>` a token lives a second longer than it says, and a
/// `recheck` that compares otherwise than `verify` keeps a stream open beyond it.
#[test]
fn case_04_exp_equal_to_now_is_expired() {
    let (authority, clock) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = authority.verify(&token).unwrap();
    clock.advance(secs(900) - Duration::from_millis(1));
    assert!(authority.verify(&token).is_ok());
    assert_eq!(authority.recheck(&verified), Ok(()));
    clock.advance(Duration::from_millis(1));
    assert_eq!(authority.verify(&token).unwrap_err(), VerifyError::Expired);
    assert_eq!(authority.recheck(&verified), Err(VerifyError::Expired));
}

/// `exp - iat`, `iat + leeway` and `now + lifetime` overflow: a panic in a debug build, a token
/// for ever in a release build. `tests/api/hostile/values.rs` has more limits.
#[test]
fn case_04_times_up_to_the_largest_number() {
    let (authority, _) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    let (forger, payload) = (Forger::of(&authority), payload_of(&token));
    let outcome = |iat: &str, exp: &str| {
        let times = format!(r#""iat":{START},"exp":{}"#, START + 900);
        let payload = payload.replace(&times, &format!(r#""iat":{iat},"exp":{exp}"#));
        let verified = authority.verify(forger.sign(payload));
        verified.map_or_else(|error| error.label(), |_| "good")
    };
    let (now, next) = (START.to_string(), (START + 1).to_string());
    let (max, beyond) = ("18446744073709551615", "18446744073709551616");
    assert_eq!(outcome(&now, &next), "good");
    assert_eq!(outcome(&now, &now), "expired");
    assert_eq!(outcome(&now, max), "lifetime_too_long");
    assert_eq!(outcome("0", max), "lifetime_too_long");
    assert_eq!(outcome(max, max), "not_yet_valid");
    assert_eq!(outcome(max, &now), "expired");
    assert_eq!(outcome(max, "0"), "expired");
    assert_eq!(outcome(&now, beyond), "malformed");
    assert_eq!(outcome(beyond, max), "malformed");
}

/// The same from the other side: a clock at the last second that a system can say.
#[test]
fn case_04_a_clock_at_its_end() {
    let clock = ManualClock::at_unix_seconds(i64::MAX as u64);
    let builder = Authority::builder(ISSUER, AUDIENCE).clock(clock.clone());
    let authority = builder.open(MemoryStore::new()).unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    assert!(authority.verify(&token).is_ok());
    clock.advance(secs(u64::MAX));
    bump(&authority, Scope::user("u"));
    assert_revoked(&authority, &token, Scope::user("u"));
}

fn replica_with(fleet: &Fleet, lifetime: u64) -> Replica {
    let policy = Policy::default().token_lifetime(secs(lifetime));
    fleet.replica_of(policy.rotate_by_hand())
}

fn let_pass(fleet: &Fleet, seconds: u64, replica: &Replica) {
    fleet.clock.advance(secs(seconds));
    replica.follow().unwrap();
    replica.maintain();
    replica.follow().unwrap();
}

/// A revocation kept for the lifetime of today is forgotten too early for tokens of a longer one
/// of before: shorten it, wait, lengthen it, and they live again. What is kept depends on the key
/// instead. `tests/replicas/findings/time.rs` has each change alone.
#[test]
fn case_09_lifetimes_shortened_pruned_and_lengthened() {
    let fleet = Fleet::new();
    let first = replica_with(&fleet, 3600);
    let (revoked, honest) = (first.issue("u"), first.issue("v"));
    first.bump("u");
    drop(first);
    for lifetime in [60, 3600, 60, 7200] {
        let replica = replica_with(&fleet, lifetime);
        replica.finish(replica.authority.rotate_key());
        let_pass(&fleet, 890, &replica);
        assert_eq!(replica.outcome(&revoked), "revoked");
        assert_eq!(replica.outcome(&honest), "good");
        assert_eq!(replica.authority.stats().epochs, 1);
    }
    let last = replica_with(&fleet, 60);
    let_pass(&fleet, 100, &last);
    assert_eq!(last.authority.stats().epochs, 0, "pruned with the key");
    assert_eq!(last.outcome(&revoked), "unknown_key");
    assert_eq!(last.outcome(&honest), "unknown_key");
    let longer = replica_with(&fleet, 7200);
    longer.finish(longer.authority.rotate_key());
    let_pass(&fleet, 100, &longer);
    assert_eq!(longer.outcome(&revoked), "unknown_key");
    assert_eq!(longer.outcome(&longer.issue("u")), "good");
}

/// Whatever is forgotten of the first one with a bump or a swap, none of their tokens is the next
/// one's. In the same second, for a cut-off by `iat` would pass or refuse both.
#[test]
fn case_09_a_user_deleted_and_created_again() {
    let (authority, _) = authority();
    let mut dead = Vec::new();
    for _ in 0..3 {
        let token = authority.issue(Grant::user("u")).unwrap();
        assert_eq!(authority.verify(&token).unwrap().user(), "u");
        bump(&authority, Scope::user("u"));
        let again = authority.issue(Grant::user("u")).unwrap();
        assert!(authority.verify(&again).is_ok(), "in the same second");
        dead.extend([token, again]);
        bump(&authority, Scope::user("u"));
        assert!(dead.iter().all(|token| authority.verify(token).is_err()));
        authority.swap_key().wait().unwrap();
        assert_eq!(authority.stats().epochs, 0, "nothing is known of u");
    }
    assert!(dead.iter().all(|token| authority.verify(token).is_err()));
}
