//! What issuing refuses, and what it writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use epochkey::{Authority, Grant, IdError, IssueError, Policy, Scope, SessionId};
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

fn refusal(authority: &Authority, grant: Grant) -> IssueError {
    let error = authority.issue(grant).unwrap_err();
    assert!(!error.to_string().is_empty() && !error.label().is_empty());
    error
}

#[test]
fn the_payload_is_canonical() {
    let (authority, _) = authority();
    let session: SessionId = "s-1".parse().unwrap();
    let grant = Grant::user("u-42")
        .session(&session)
        .group("org:acme")
        .group("admin")
        .authenticated_now()
        .claims(&json!({"n": 1, "role": "editor"}));
    let token = authority.issue(grant).unwrap();
    let payload = payload_of(&token);
    let jti = authority.verify(&token).unwrap().token_id().to_owned();
    let seal = Forger::of(&authority).seal(
        &authority,
        &[
            Scope::user("u-42"),
            Scope::session(&session),
            Scope::group("org:acme"),
            Scope::group("admin"),
        ],
    );
    assert_eq!(decode_base64url(&jti).len(), 16);
    assert_eq!(
        payload,
        format!(
            r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"u-42","sid":"s-1","grp":["org:acme","admin"],"iat":{START},"exp":{},"auth_time":{START},"jti":"{jti}","seal":"{seal}","n":1,"role":"editor"}}"#,
            START + 900
        )
    );
    assert_eq!(token.expires_in(), secs(900));

    let token = authority.issue(Grant::user("u")).unwrap();
    let payload: serde_json::Value = serde_json::from_str(&payload_of(&token)).unwrap();
    let names: Vec<_> = payload.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "seal", "sub"]);
}

#[test]
fn token_ids_differ() {
    let (authority, _) = authority();
    let id = |_| {
        authority
            .verify(authority.issue(Grant::user("u")).unwrap())
            .unwrap()
            .token_id()
            .to_owned()
    };
    let ids: std::collections::HashSet<_> = (0..1000).map(id).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn bad_ids() {
    let (authority, _) = authority();
    for (grant, claim, source) in [
        (Grant::user(""), "sub", IdError::Empty),
        (
            Grant::user("x".repeat(256)),
            "sub",
            IdError::TooLong { length: 256 },
        ),
        (
            Grant::user("a\"b"),
            "sub",
            IdError::ForbiddenCharacter { character: '"' },
        ),
        (
            Grant::user("u").group("a\\b"),
            "grp",
            IdError::ForbiddenCharacter { character: '\\' },
        ),
        (
            Grant::user("u").group("\0"),
            "grp",
            IdError::ForbiddenCharacter { character: '\0' },
        ),
        (Grant::user("u").audience(""), "aud", IdError::Empty),
    ] {
        match refusal(&authority, grant) {
            IssueError::InvalidId {
                claim: c,
                source: s,
            } => assert_eq!((c, s), (claim, source)),
            other => panic!("{other}"),
        }
    }
    assert!(authority.bump(Scope::user("")).wait().is_err());
    assert!(
        authority
            .bump_many([Scope::user("ok"), Scope::group("a\nb")])
            .wait()
            .is_err()
    );
    assert_eq!(
        authority.stats().epochs,
        0,
        "nothing of a refused batch is bumped"
    );
}

#[test]
fn groups() {
    let (authority, _) = authority();
    let names = |count: u32| (0..count).map(|n| format!("g-{n}"));
    let token = authority.issue(Grant::user("u").groups(names(8))).unwrap();
    assert_eq!(authority.verify(token).unwrap().groups().count(), 8);
    let error = refusal(&authority, Grant::user("u").groups(names(9)));
    assert!(
        matches!(error, IssueError::TooManyGroups { groups: 9 }),
        "{error}"
    );
    let error = refusal(&authority, Grant::user("u").groups(["a", "b", "a"]));
    assert!(
        matches!(&error, IssueError::DuplicateGroup { group } if group == "a"),
        "{error}"
    );
}

#[test]
fn claims() {
    let (authority, _) = authority();
    let refused = |claims: serde_json::Value| refusal(&authority, Grant::user("u").claims(&claims));
    let error = refused(json!({"fine": 1, "sub": "x"}));
    assert!(
        matches!(&error, IssueError::RegisteredClaim { name } if name == "sub"),
        "{error}"
    );
    assert!(matches!(refused(json!([1])), IssueError::ClaimsNotAnObject));
    assert!(matches!(
        refused(json!(null)),
        IssueError::ClaimsNotAnObject
    ));
    assert!(matches!(
        refused(json!({"a\\": 1})),
        IssueError::InvalidClaimName { .. }
    ));
    // Only at the top are the names the token's own.
    let token = authority
        .issue(Grant::user("u").claims(&json!({"x": {"sub": "y"}})))
        .unwrap();
    assert_eq!(authority.verify(token).unwrap().user(), "u");
}

#[test]
fn lifetimes() {
    let policy = Policy::default()
        .token_lifetime(secs(60))
        .max_token_lifetime(secs(3600));
    let (authority, _) = authority_with(policy);
    let issued = |grant: Grant| authority.issue(grant).unwrap().expires_in();
    assert_eq!(issued(Grant::user("u")), secs(60));
    assert_eq!(issued(Grant::user("u").lifetime(secs(3600))), secs(3600));
    let error = refusal(&authority, Grant::user("u").lifetime(secs(3601)));
    let IssueError::LifetimeTooLong { lifetime, longest } = error else {
        panic!("{error}")
    };
    assert_eq!((lifetime, longest), (secs(3601), secs(3600)));
    for wrong in [
        Duration::ZERO,
        Duration::from_millis(1500),
        Duration::from_nanos(1),
    ] {
        let error = refusal(&authority, Grant::user("u").lifetime(wrong));
        assert!(
            matches!(error, IssueError::InvalidLifetime { .. }),
            "{error}"
        );
    }
    assert!(matches!(
        refusal(&authority, Grant::user("u").lifetime(Duration::MAX)),
        IssueError::InvalidLifetime { .. } | IssueError::LifetimeTooLong { .. }
    ));
}

#[test]
fn times_of_authentication() {
    let (authority, _) = authority();
    let at = |seconds: u64| UNIX_EPOCH + secs(seconds);
    let stated = |time: SystemTime| {
        let token = authority
            .issue(Grant::user("u").authenticated_at(time))
            .unwrap();
        authority.verify(token).unwrap().authenticated_at()
    };
    assert_eq!(stated(at(START - 100)), Some(at(START - 100)));
    assert_eq!(stated(UNIX_EPOCH - secs(5)), Some(UNIX_EPOCH));
    // A little ahead, as another machine's clock may be, is taken for now.
    assert_eq!(stated(at(START + 4)), Some(at(START)));
    let error = refusal(&authority, Grant::user("u").authenticated_at(at(START + 5)));
    assert!(
        matches!(error, IssueError::AuthenticatedInFuture),
        "{error}"
    );
}

#[test]
fn a_token_nobody_would_accept_is_not_issued() {
    let (authority, _) = authority_with(Policy::default().max_token_length(3000));
    let with = |length: usize| Grant::user("u").claims(&json!({"x": "y".repeat(length)}));
    let longest = (1000..)
        .take_while(|n| authority.issue(with(*n)).is_ok())
        .last()
        .unwrap();
    let token = authority.issue(with(longest)).unwrap();
    assert!(token.as_str().len() <= 3000 && token.as_str().len() > 2995);
    assert!(authority.verify(token).is_ok());
    let error = refusal(&authority, with(longest + 1));
    assert!(
        matches!(error, IssueError::TokenTooLong { limit: 3000, .. }),
        "{error}"
    );
}

#[test]
fn marks() {
    let (authority, _) = authority();
    let mark = authority.mark();
    let grant = || Grant::user("u").group("g").as_of(mark);
    assert!(authority.issue(grant()).is_ok());
    bump(&authority, Scope::user("someone-else"));
    assert!(authority.issue(grant()).is_ok());
    bump(&authority, Scope::group("g"));
    let error = refusal(&authority, grant());
    assert!(
        matches!(&error, IssueError::BumpedSinceMark { scope } if *scope == Scope::group("g")),
        "{error}"
    );
    let fresh = authority.mark();
    assert!(
        authority
            .issue(Grant::user("u").group("g").as_of(fresh))
            .is_ok()
    );

    let (other, _) = crate::support::authority();
    let foreign = Grant::user("u").as_of(other.mark());
    assert!(matches!(
        refusal(&authority, foreign),
        IssueError::OutdatedMark
    ));

    // A prune forgets bumps, so a mark from before it proves nothing.
    authority.swap_key().wait().unwrap();
    assert!(matches!(
        refusal(&authority, grant()),
        IssueError::OutdatedMark
    ));
}

fn id() -> impl Strategy<Value = String> {
    "[^\\pC\"\\\\]{1,40}"
}

proptest! {
    /// What was granted is what is verified, to the byte.
    #[test]
    fn round_trip(
        user in id(),
        session in proptest::option::of(id()),
        groups in proptest::collection::hash_set(id(), 0..=8),
        lifetime in 1..=900_u64,
        claims in proptest::collection::btree_map("[^\\pC\"\\\\]{1,9}x", "\\PC{0,20}|[\\x00-\\x7f]{0,20}", 0..5),
    ) {
        let (authority, _) = authority();
        let groups: Vec<_> = groups.into_iter().collect();
        let mut grant = Grant::user(&user).groups(&groups).lifetime(secs(lifetime)).claims(&claims);
        if let Some(session) = &session {
            grant = grant.session(&session.parse().unwrap());
        }
        let token = authority.issue(grant).unwrap();
        let verified = authority.verify(&token).unwrap();
        prop_assert_eq!(verified.user(), &user);
        prop_assert_eq!(verified.session().map(|id| id.to_string()), session);
        prop_assert_eq!(verified.groups().collect::<Vec<_>>(), groups);
        prop_assert_eq!(verified.expires_at(), UNIX_EPOCH + secs(START + lifetime));
        let read: std::collections::BTreeMap<String, String> = verified.claims().unwrap();
        prop_assert_eq!(read, claims);
    }
}
