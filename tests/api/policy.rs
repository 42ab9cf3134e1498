//! What a policy changes, and what building refuses.

use std::time::Duration;

use epochkey::{
    Authority, BuildError, Grant, IdError, IssueError, MemoryStore, Policy, VerifyError, WhenFull,
};

use crate::support::*;

#[test]
fn building_refuses_what_makes_no_sense() {
    let open = |issuer: &str, audience: &str| {
        Authority::builder(issuer, audience)
            .open(MemoryStore::new())
            .unwrap_err()
    };
    assert!(matches!(
        open("", "a"),
        BuildError::InvalidIssuer(IdError::Empty)
    ));
    assert!(matches!(
        open("i", ""),
        BuildError::InvalidAudience(IdError::Empty)
    ));
    assert!(matches!(open("i\"", "a"), BuildError::InvalidIssuer(_)));
    let refused = |policy: Policy| {
        let error = Authority::builder("i", "a")
            .policy(policy)
            .open(MemoryStore::new())
            .unwrap_err();
        assert!(error.to_string().len() > 30, "says what to do: {error}");
        error.label()
    };
    let policy = Policy::default;
    assert_eq!(
        refused(policy().token_lifetime(Duration::ZERO)),
        "invalid_policy"
    );
    assert_eq!(
        refused(policy().max_token_lifetime(secs(1))),
        "invalid_policy"
    );
    assert_eq!(
        refused(policy().max_clock_skew(secs(3)).leeway(secs(5))),
        "invalid_policy"
    );
    assert_eq!(refused(policy().max_token_length(2047)), "invalid_policy");
    assert_eq!(
        refused(policy().max_token_length(1 << 20)),
        "invalid_policy"
    );
    assert_eq!(refused(policy().accept_audience("")), "invalid_audience");
    let lifetime = Authority::builder("i", "a").token_lifetime(Duration::from_millis(1));
    assert_eq!(
        lifetime.open(MemoryStore::new()).unwrap_err().label(),
        "invalid_policy"
    );
}

#[test]
fn building_refuses_sessions_that_make_no_sense() {
    let opened = |policy: Policy| {
        let builder = Authority::builder("i", "a").policy(policy);
        builder.open(MemoryStore::new())
    };
    let setting = |policy: Policy| match opened(policy).unwrap_err() {
        BuildError::InvalidPolicy { setting, reason } => {
            assert!(reason.len() > 10, "says what to do: {reason}");
            setting
        }
        error => panic!("{error}"),
    };
    let policy = Policy::default;
    let zero = Duration::ZERO;
    assert_eq!(setting(policy().session_lifetime(zero)), "session_lifetime");
    assert_eq!(
        setting(policy().session_idle_lifetime(zero)),
        "session_idle_lifetime"
    );
    assert_eq!(
        setting(policy().session_lifetime(Duration::from_millis(1))),
        "session_lifetime"
    );
    assert_eq!(setting(policy().refresh_grace(secs(301))), "refresh_grace");
    let none = policy().max_sessions(0, WhenFull::Refuse);
    assert_eq!(setting(none), "max_sessions");
    let least = policy()
        .session_lifetime(secs(1))
        .session_idle_lifetime(secs(1))
        .refresh_grace(zero)
        .max_sessions(1, WhenFull::EndOldest);
    assert!(opened(least).is_ok());
}

#[test]
fn several_audiences() {
    let (authority, _) = authority_with(
        Policy::default()
            .accept_audience("reports")
            .accept_audience("billing"),
    );
    for audience in ["api", "reports", "billing"] {
        let token = authority
            .issue(Grant::user("u").audience(audience))
            .unwrap();
        assert_eq!(authority.verify(token).unwrap().audience(), audience);
    }
    let token = authority
        .issue(Grant::user("u").audience("report"))
        .unwrap();
    assert_eq!(
        authority.verify(token).unwrap_err(),
        VerifyError::WrongAudience
    );
}

#[test]
fn leeway_for_iat_and_none_for_exp() {
    let (authority, clock) = authority_with(Policy::default().leeway(secs(30)));
    let token = authority.issue(Grant::user("u")).unwrap();
    // Clocks of other machines may lag; this one's is moved, with the time it
    // counts as having seen.
    clock.rewind(secs(32));
    assert!(authority.verify(&token).is_ok());
    clock.rewind(secs(1));
    assert_eq!(
        authority.verify(&token).unwrap_err(),
        VerifyError::NotYetValid
    );
    clock.advance(secs(33 + 899));
    assert!(authority.verify(&token).is_ok());
    clock.advance(secs(1));
    assert_eq!(authority.verify(&token).unwrap_err(), VerifyError::Expired);
    // Once seen, a small step back does not bring it back to life.
    clock.rewind(secs(2));
    assert_eq!(authority.verify(&token).unwrap_err(), VerifyError::Expired);
}

#[test]
fn length_limit() {
    let (authority, _) = authority();
    let header = base64url(Forger::of(&authority).header());
    let token = |length: usize| {
        let payload = "A".repeat(length - header.len() - 2 - 43);
        format!("{header}.{payload}.{}", "A".repeat(43))
    };
    assert_eq!(
        authority.verify(token(8192)).unwrap_err(),
        VerifyError::BadSignature
    );
    assert_eq!(
        authority.verify(token(8193)).unwrap_err(),
        VerifyError::Malformed
    );
    assert_eq!(
        authority.verify(vec![b'.'; 10_000_000]).unwrap_err(),
        VerifyError::Malformed
    );
}

/// One that is as long as it may be is issued, and verified.
#[test]
fn the_longest_token() {
    let filling = std::collections::BTreeMap::from([("f", "x".repeat(2000))]);
    let issue = |limit: usize| {
        let (authority, _) = authority_with(Policy::default().max_token_length(limit));
        let token = authority.issue(Grant::user("u").claims(&filling));
        token.inspect(|token| assert!(authority.verify(token).is_ok()))
    };
    let length = issue(8192).unwrap().as_str().len();
    assert_eq!(issue(length).unwrap().as_str().len(), length);
    let error = issue(length - 1).unwrap_err();
    let IssueError::TokenTooLong {
        length: told,
        limit,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((told, limit), (length, length - 1));
}

#[test]
fn maximum_authentication_age() {
    let policy = Policy::default().max_authentication_age(secs(600));
    let (authority, clock) = authority_with(policy);
    let ago = |seconds: u64| std::time::UNIX_EPOCH + secs(START - seconds);
    let refused = |grant: Grant| authority.issue(grant).unwrap_err().label();
    assert_eq!(refused(Grant::user("u")), "authentication_too_old");
    let old = Grant::user("u").authenticated_at(ago(601));
    assert_eq!(refused(old), "authentication_too_old");
    let token = authority.issue(Grant::user("u").authenticated_at(ago(600)));
    assert!(authority.verify(token.unwrap()).is_ok());
    // Another authority with the same key ring may have issued what this one would not.
    let silent = authority
        .issue(Grant::user("u").authenticated_now())
        .unwrap();
    let silent = payload_of(&silent).replace(&format!(",\"auth_time\":{START}"), "");
    assert_eq!(
        authority
            .verify(Forger::of(&authority).sign(silent))
            .unwrap_err(),
        VerifyError::AuthenticationTooOld
    );
    let token = authority
        .issue(Grant::user("u").authenticated_now())
        .unwrap();
    clock.advance(secs(600));
    let verified = authority.verify(&token).unwrap();
    clock.advance(secs(1));
    assert_eq!(
        authority.verify(&token).unwrap_err(),
        VerifyError::AuthenticationTooOld
    );
    assert_eq!(
        authority.recheck(&verified),
        Err(VerifyError::AuthenticationTooOld)
    );
    // Only an otherwise good token is told to authenticate again.
    bump(&authority, epochkey::Scope::user("u"));
    assert_eq!(authority.verify(&token).unwrap_err().label(), "revoked");
}

#[test]
fn a_wrong_step_forward_of_the_clock_heals() {
    let (authority, clock) = authority();
    clock.advance(secs(86_400 * 30));
    let from_the_future = authority.issue(Grant::user("u")).unwrap();
    clock.rewind(secs(86_400 * 30));
    let token = authority.issue(Grant::user("u")).unwrap();
    assert!(authority.verify(&token).is_ok());
    assert_eq!(
        authority.verify(&from_the_future).unwrap_err(),
        VerifyError::NotYetValid
    );
}
