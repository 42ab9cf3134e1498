//! What a handler gets.

use std::{
    future::Future,
    time::{Duration, UNIX_EPOCH},
};

use epochkey::{Authority, Grant, Op, Scope, Verified, VerifyError};
use serde::{Deserialize, Serialize};

use crate::support::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct MyClaims<'a> {
    role: &'a str,
    level: u8,
}

#[test]
fn everything_granted_can_be_read() {
    let (authority, _) = authority();
    let session = "s-1".parse().unwrap();
    let grant = Grant::user("u-42")
        .session(&session)
        .groups(["org:acme", "admin"])
        .authenticated_now()
        .claims(&MyClaims {
            role: "editor",
            level: 3,
        });
    let verified = authority.verify(authority.issue(grant).unwrap()).unwrap();
    assert_eq!(verified.user(), "u-42");
    assert_eq!(verified.session(), Some(session));
    assert_eq!(verified.groups().collect::<Vec<_>>(), ["org:acme", "admin"]);
    assert!(verified.in_group("admin") && !verified.in_group("adm"));
    assert_eq!((verified.issuer(), verified.audience()), (ISSUER, AUDIENCE));
    assert_eq!(verified.issued_at(), UNIX_EPOCH + secs(START));
    assert_eq!(verified.expires_at(), UNIX_EPOCH + secs(START + 900));
    assert_eq!(verified.authenticated_at(), Some(UNIX_EPOCH + secs(START)));
    let claims: MyClaims<'_> = verified.claims().unwrap();
    assert_eq!(
        claims,
        MyClaims {
            role: "editor",
            level: 3
        }
    );
}

#[test]
fn absent_is_absent() {
    let (authority, _) = authority();
    let verified = authority
        .verify(authority.issue(Grant::user("u")).unwrap())
        .unwrap();
    assert_eq!(verified.session(), None);
    assert_eq!(verified.groups().count(), 0);
    assert_eq!(verified.authenticated_at(), None);
    assert!(!verified.authenticated_within(Duration::MAX));
    let empty: serde_json::Map<_, _> = verified.claims().unwrap();
    assert!(empty.is_empty());
    let error = verified.claims::<MyClaims<'_>>().unwrap_err();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("role")
    );
}

#[test]
fn recent_authentication() {
    let (authority, clock) = authority();
    let token = authority
        .issue(Grant::user("u").authenticated_now())
        .unwrap();
    clock.advance(secs(300));
    let verified = authority.verify(&token).unwrap();
    assert!(verified.authenticated_within(secs(300)));
    assert!(!verified.authenticated_within(secs(299)));
}

#[test]
fn debug_shows_no_token_and_no_seal() {
    let (authority, _) = authority();
    let token = authority
        .issue(Grant::user("u").claims(&MyClaims {
            role: "secret",
            level: 1,
        }))
        .unwrap();
    let verified = authority.verify(&token).unwrap();
    let seal = Forger::of(&authority).seal(&authority, &[Scope::user("u")]);
    for text in [
        format!("{token:?}"),
        format!("{verified:?}"),
        format!("{authority:?}"),
    ] {
        assert!(!text.contains(&seal) && !text.contains("secret"), "{text}");
        assert!(!text.contains(token.as_str()), "{text}");
    }
    assert!(format!("{verified:?}").contains("\"u\""));
    assert_eq!(
        format!("{token:?}"),
        format!("Token({} bytes)", token.as_str().len())
    );
}

#[test]
fn types_go_where_handlers_need_them() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Authority>();
    shared::<Verified>();
    sent::<Op<(), epochkey::BumpError>>();
    sent::<Grant>();
}

#[test]
fn any_bytes_can_be_given_to_verify() {
    let (authority, _) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    assert!(authority.verify(&token).is_ok());
    assert!(authority.verify(token.as_str()).is_ok());
    assert!(authority.verify(token.as_str().as_bytes()).is_ok());
    assert!(authority.verify(token.clone()).is_ok());
    assert!(authority.verify(token.into_string().into_bytes()).is_ok());
}

#[test]
fn recheck_says_what_verify_would() {
    let (authority, clock) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = authority.verify(&token).unwrap();
    clock.advance(secs(899));
    assert_eq!(authority.recheck(&verified), Ok(()));
    assert_eq!(authority.recheck(&verified.clone()), Ok(()));
    clock.advance(secs(1));
    assert_eq!(authority.recheck(&verified), Err(VerifyError::Expired));
}

/// The likely scope is the one that was bumped last; it is not part of the decision.
#[test]
fn revoked_names_the_last_bump() {
    let (authority, _) = authority();
    let session = "s".parse().unwrap();
    let token = authority
        .issue(Grant::user("u").session(&session).group("g"))
        .unwrap();
    for scope in [
        Scope::group("g"),
        Scope::user("u"),
        Scope::session(&session),
        Scope::group("g"),
    ] {
        bump(&authority, scope.clone());
        assert_revoked(&authority, &token, scope);
    }
}

#[test]
fn an_op_works_in_async_code_without_a_runtime() {
    let (authority, _) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    let handler = async {
        let first = authority.bump(Scope::user("u")).await?;
        let swapped = authority.swap_key().await.unwrap();
        let second = authority.bump(Scope::user("u")).await?;
        assert!(first.position() < swapped.position());
        assert!(swapped.position() < second.position());
        Ok::<_, epochkey::BumpError>(())
    };
    let mut handler = std::pin::pin!(handler);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while handler.as_mut().poll(&mut context).is_pending() {
        std::thread::yield_now();
    }
    assert!(authority.verify(&token).is_err());
}

#[test]
fn a_dropped_op_has_happened_all_the_same() {
    let (authority, _) = authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    drop(authority.bump(Scope::user("u")));
    authority.catch_up().wait().unwrap();
    assert_revoked(&authority, &token, Scope::user("u"));
}
