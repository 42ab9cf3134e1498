//! The promises, one test each at least. (5, "acknowledged means kept", is for
//! stores that outlive the process.)

use epochkey::{Authority, Grant, Scope, SessionId, Token, VerifyError};
use proptest::prelude::*;

use crate::support::*;

fn sid(id: &str) -> SessionId {
    id.parse().unwrap()
}

fn issue(authority: &Authority, grant: Grant) -> Token {
    authority.issue(grant).unwrap()
}

#[test]
fn promise_1_a_bump_kills_every_token_of_its_scope() {
    let (authority, _) = authority();
    let session = sid("s-1");
    let grant = || Grant::user("u").session(&session).groups(["org", "role"]);
    let scopes = [
        Scope::user("u"),
        Scope::session(&session),
        Scope::group("org"),
        Scope::group("role"),
    ];
    for scope in scopes {
        let (before, verified) = {
            let token = issue(&authority, grant());
            let verified = authority.verify(&token).unwrap();
            (token, verified)
        };
        assert_eq!(authority.recheck(&verified), Ok(()));
        bump(&authority, scope.clone());
        assert_revoked(&authority, &before, scope.clone());
        let scope = Some(scope);
        assert_eq!(
            authority.recheck(&verified),
            Err(VerifyError::Revoked { scope })
        );
        assert!(authority.verify(issue(&authority, grant())).is_ok());
    }
}

#[test]
fn promise_1_every_bump_counts_not_only_the_first() {
    let (authority, _) = authority();
    for _ in 0..20 {
        let token = issue(&authority, Grant::user("u"));
        assert!(authority.verify(&token).is_ok());
        bump(&authority, Scope::user("u"));
        assert_revoked(&authority, &token, Scope::user("u"));
    }
}

#[test]
fn promise_1_bump_many_bumps_them_all() {
    let (authority, _) = authority();
    let users: Vec<_> = (0..100).map(|n| format!("u-{n}")).collect();
    let tokens: Vec<_> = users
        .iter()
        .map(|u| issue(&authority, Grant::user(u)))
        .collect();
    let epochs = authority
        .bump_many(users[..60].iter().map(Scope::user))
        .wait()
        .unwrap();
    assert_eq!(epochs.len(), 60);
    assert!(
        epochs
            .windows(2)
            .all(|pair| pair[0].position() + 1 == pair[1].position())
    );
    for (n, token) in tokens.iter().enumerate() {
        assert_eq!(authority.verify(token).is_ok(), n >= 60, "{n}");
    }
    assert_eq!(authority.bump_many([]).wait().unwrap(), []);
}

/// More than the log hands out at once.
#[test]
fn promise_1_a_huge_bump_many_is_in_force_when_it_returns() {
    let (authority, _) = authority();
    let users: Vec<_> = (0..20_000).map(|n| format!("u-{n}")).collect();
    let last = issue(&authority, Grant::user(&users[19_999]));
    authority
        .bump_many(users.iter().map(Scope::user))
        .wait()
        .unwrap();
    assert_revoked(&authority, &last, Scope::user(&users[19_999]));
    assert_eq!(authority.stats().epochs, 20_000);
}

#[test]
fn promise_1_a_swap_kills_everything() {
    let (authority, _) = authority();
    let token = issue(&authority, Grant::user("u"));
    let verified = authority.verify(&token).unwrap();
    authority.swap_key().wait().unwrap();
    assert_eq!(
        authority.verify(&token).unwrap_err(),
        VerifyError::UnknownKey
    );
    assert_eq!(authority.recheck(&verified), Err(VerifyError::UnknownKey));
    assert!(
        authority
            .verify(issue(&authority, Grant::user("u")))
            .is_ok()
    );
}

#[test]
fn promise_2_swaps_and_pruning_revive_nothing() {
    let (authority, _) = authority();
    let mut dead = Vec::new();
    for round in 0..10 {
        let token = issue(&authority, Grant::user("u").group("g"));
        bump(
            &authority,
            if round % 2 == 0 {
                Scope::user("u")
            } else {
                Scope::group("g")
            },
        );
        dead.push(token);
        dead.push(issue(&authority, Grant::user("u")));
        authority.swap_key().wait().unwrap();
        assert_eq!(authority.stats().epochs, 0, "pruned");
        for token in &dead {
            assert_eq!(
                authority.verify(token).unwrap_err(),
                VerifyError::UnknownKey
            );
        }
    }
}

#[test]
fn promise_2_the_clock_revives_nothing() {
    let (authority, clock) = authority();
    let token = issue(&authority, Grant::user("u"));
    bump(&authority, Scope::user("u"));
    for step in [1, 60, 800] {
        clock.advance(secs(step));
        assert_revoked(&authority, &token, Scope::user("u"));
    }
    clock.rewind(secs(861));
    assert_revoked(&authority, &token, Scope::user("u"));
    clock.rewind(secs(1_000_000));
    assert_eq!(
        authority.verify(&token).unwrap_err(),
        VerifyError::NotYetValid
    );
}

/// A user deleted and created again, or a store that counts from 1 again, must
/// not bring the old epoch's seals back: secrets are random, not derived.
#[test]
fn promise_2_epochs_of_the_same_position_differ() {
    let seals: Vec<_> = (0..2)
        .map(|_| {
            let (authority, _) = authority();
            bump(&authority, Scope::user("u"));
            let epoch = epochkey::testing::expose_epoch(&authority, &Scope::user("u"));
            epoch.unwrap()
        })
        .collect();
    assert_eq!(seals[0].0, seals[1].0, "the same position");
    assert_ne!(seals[0].1, seals[1].1, "another secret");
}

#[test]
fn promise_3_a_bump_touches_no_other_scope() {
    let (authority, _) = authority();
    let (ours, theirs) = (sid("x"), sid("y"));
    // The same id in every kind of scope: kinds are kept apart.
    let bystanders = [
        issue(&authority, Grant::user("y")),
        issue(&authority, Grant::user("y").session(&theirs)),
        issue(&authority, Grant::user("y").group("z")),
        issue(&authority, Grant::user("y").session(&theirs).group("z")),
    ];
    bump(&authority, Scope::user("x"));
    bump(&authority, Scope::session(&ours));
    bump(&authority, Scope::session(&"z".parse().unwrap()));
    bump(&authority, Scope::group("y"));
    bump(&authority, Scope::group("x"));
    bump(&authority, Scope::user("z"));
    for token in &bystanders {
        assert!(authority.verify(token).is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Promises 1 and 3 together, against a model: a token is good exactly as long
    /// as none of its scopes was bumped, and no swap came, since it was issued.
    #[test]
    fn promises_1_and_3_against_a_model(operations in proptest::collection::vec((0..5_u8, 0..4_u8, 0..4_u8), 1..80)) {
        let (authority, _) = authority();
        let name = |n: u8| format!("n-{n}");
        let mut tokens: Vec<(Token, Vec<Scope>, bool)> = Vec::new();
        for (operation, a, b) in operations {
            let bumped = match operation {
                0 | 1 => {
                    let session = sid(&name(b));
                    let grant = Grant::user(name(a)).session(&session).group(name(a ^ b));
                    let scopes = vec![
                        Scope::user(name(a)), Scope::session(&session), Scope::group(name(a ^ b)),
                    ];
                    tokens.push((issue(&authority, grant), scopes, true));
                    None
                }
                2 => Some(Scope::user(name(a))),
                3 => Some(Scope::session(&sid(&name(a)))),
                _ if b == 0 => {
                    authority.swap_key().wait().unwrap();
                    tokens.iter_mut().for_each(|(_, _, good)| *good = false);
                    None
                }
                _ => Some(Scope::group(name(a))),
            };
            if let Some(scope) = bumped {
                bump(&authority, scope.clone());
                for (_, scopes, good) in &mut tokens {
                    *good &= !scopes.contains(&scope);
                }
            }
            for (token, _, good) in &tokens {
                prop_assert_eq!(authority.verify(token).is_ok(), *good);
            }
        }
    }
}

#[test]
fn promise_4_a_token_is_before_or_after_a_bump() {
    // With real threads in races.rs, with certain interleavings beside `issue`.
    let (authority, _) = authority();
    let before = issue(&authority, Grant::user("u"));
    bump(&authority, Scope::user("u"));
    let after = issue(&authority, Grant::user("u"));
    assert_revoked(&authority, &before, Scope::user("u"));
    assert!(authority.verify(&after).is_ok());
    bump(&authority, Scope::user("u"));
    assert_revoked(&authority, &after, Scope::user("u"));
}

#[test]
fn promise_6_an_unknown_key_is_an_error() {
    let (ours, _) = authority();
    let (theirs, _) = authority();
    let token = issue(&theirs, Grant::user("u"));
    assert!(theirs.verify(&token).is_ok());
    assert_eq!(ours.verify(&token).unwrap_err(), VerifyError::UnknownKey);
    let verified = theirs.verify(&token).unwrap();
    assert_eq!(ours.recheck(&verified), Err(VerifyError::UnknownKey));
}

#[test]
fn promise_6_a_clock_that_went_back_is_an_error() {
    let (authority, clock) = authority();
    let token = issue(&authority, Grant::user("u"));
    clock.rewind(secs(3600));
    assert_eq!(
        authority.verify(&token).unwrap_err(),
        VerifyError::NotYetValid
    );
}

proptest! {
    #[test]
    fn promise_7_any_bytes_are_an_error_value(bytes: Vec<u8>) {
        let (authority, _) = authority();
        prop_assert!(authority.verify(&bytes).is_err());
        prop_assert!(authority.explain(&bytes).failure().is_some());
    }

    #[test]
    fn promise_7_any_segments_are_an_error_value(payload: Vec<u8>, signature: Vec<u8>) {
        let (authority, _) = authority();
        let header = base64url(Forger::of(&authority).header());
        let token = format!("{header}.{}.{}", base64url(payload), base64url(signature));
        prop_assert_eq!(authority.verify(token).unwrap_err(), VerifyError::BadSignature);
    }

    /// Any payload under a correct signature: an error value, never a panic.
    #[test]
    fn promise_7_any_signed_payload_is_an_error_value(payload: Vec<u8>) {
        let (authority, _) = authority();
        let token = Forger::of(&authority).sign(payload);
        prop_assert_eq!(authority.verify(token).unwrap_err(), VerifyError::Malformed);
    }

    /// Changes to a good payload under a correct signature: refused, or a canonical
    /// payload that says the same to serde_json.
    #[test]
    fn promise_7_any_change_to_a_signed_payload_is_an_error_value_or_read_alike(
        at: prop::sample::Index,
        removed in 0..12_usize,
        new in prop_oneof![
            "[\\[\\]{}:,\"\\\\ a-z0-9\u{0}é]{0,8}",
            Just(r#","n":{"sub":"root"}"#.to_owned()),
            Just(r#","sub":"root""#.to_owned()),
        ],
    ) {
        let (authority, _) = authority();
        let grant = Grant::user("u").claims(&serde_json::json!({"role": "editor", "n": [1]}));
        let mut payload = payload_of(&issue(&authority, grant));
        let at = at.index(payload.len());
        payload.replace_range(at..(at + removed).min(payload.len()), &new);
        if let Ok(verified) = authority.verify(Forger::of(&authority).sign(&payload)) {
            let theirs: serde_json::Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(theirs["sub"].as_str(), Some(verified.user()));
            prop_assert_eq!(verified.user(), "u");
            let claims: serde_json::Value = verified.claims().unwrap();
            for (name, value) in claims.as_object().unwrap() {
                prop_assert_eq!(&theirs[name], value);
            }
        }
    }
}
