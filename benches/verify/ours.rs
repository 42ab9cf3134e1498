//! The rows of epochkey, and the floor.

use epochkey::{Authority, Grant, Policy, Verified};
use epochkey_benches::{
    Cycle, Row,
    ours::{AppClaims, authority, one_scope, session, three_scopes, tokens, verify_floor},
};

use crate::USERS;

/// So many that neither a token nor a seal is still known when its turn comes again.
const MANY: usize = 8 * USERS;

pub(crate) fn rows() -> (Box<dyn Row>, Vec<Box<dyn Row>>) {
    let authority = authority(Policy::default());
    let repeated = tokens(&authority, USERS, 1, one_scope);
    let floor = Box::new(verify_floor(&repeated));
    let rows = vec![
        nothing_cached(),
        verify(
            "epochkey-first-sight-many-users",
            &authority,
            tokens(&authority, MANY, 1, one_scope),
        ),
        verify(
            "epochkey-first-sight",
            &authority,
            tokens(&authority, USERS, MANY / USERS, one_scope),
        ),
        first_sight_3_scopes(&authority),
        verify("epochkey-repeat", &authority, repeated.clone()),
        with_claims(&authority),
        recheck(&authority, &repeated),
    ];
    (floor, rows)
}

fn verify(id: &str, authority: &Authority, tokens: Vec<String>) -> Box<dyn Row> {
    let authority = authority.clone();
    Box::new(Cycle::new(id, tokens, move |token: &String| {
        verify_one(&authority, token)
    }))
}

fn verify_one(authority: &Authority, token: &str) -> Verified {
    authority.verify(token).expect("the token is good")
}

/// One session of each user.
fn first_sight_3_scopes(authority: &Authority) -> Box<dyn Row> {
    let sessions: Vec<_> = (0..USERS).map(|_| session()).collect();
    let mut session = sessions.iter().cycle();
    let tokens = tokens(authority, USERS, MANY / USERS, |user| {
        three_scopes(user, session.next().expect("it is endless"))
    });
    verify("epochkey-first-sight-3-scopes", authority, tokens)
}

fn with_claims(authority: &Authority) -> Box<dyn Row> {
    let claims = AppClaims::example();
    let tokens = tokens(authority, USERS, MANY / USERS, |user| {
        Grant::user(user).claims(&claims)
    });
    let authority = authority.clone();
    let id = "epochkey-with-claims";
    Box::new(Cycle::new(id, tokens, move |token: &String| {
        let verified = verify_one(&authority, token);
        let claims = verified.claims::<AppClaims>().expect("the claims fit");
        (verified, claims)
    }))
}

fn recheck(authority: &Authority, tokens: &[String]) -> Box<dyn Row> {
    let verified = tokens.iter().map(|token| verify_one(authority, token));
    let (verified, authority) = (verified.collect(), authority.clone());
    let id = "epochkey-recheck";
    Box::new(Cycle::new(id, verified, move |verified: &Verified| {
        authority.recheck(verified).expect("it is still good");
    }))
}

/// Whatever the thread has seen before, each time is the first.
fn nothing_cached() -> Box<dyn Row> {
    let authority = authority(Policy::default().thread_caches(false));
    let tokens = tokens(&authority, USERS, 1, one_scope);
    verify("epochkey-first-sight-cold-seal", &authority, tokens)
}
