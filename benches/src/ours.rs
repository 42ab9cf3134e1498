//! Our side: an authority with much in its table, and tokens of it.

use epochkey::{Authority, Grant, MemoryStore, Policy, Scope, SessionId};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::{AUDIENCE, Cycle, ISSUER, LIFETIME, Row};

/// Other users in the epoch table.
const OTHER_USERS: usize = 1_000_000;
const GROUP: &str = "org:acme";

/// Claims of an application.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppClaims {
    pub role: String,
    pub plan: String,
    pub locale: String,
}

impl AppClaims {
    #[must_use]
    pub fn example() -> Self {
        Self {
            role: "editor".to_owned(),
            plan: "team".to_owned(),
            locale: "en-GB".to_owned(),
        }
    }
}

/// An authority in whose table a million other users were bumped.
///
/// # Panics
///
/// As everything here, if what cannot fail fails.
#[must_use]
pub fn authority(policy: Policy) -> Authority {
    let authority = Authority::builder(ISSUER, AUDIENCE)
        .policy(policy.token_lifetime(LIFETIME))
        .open(MemoryStore::new())
        .expect("the settings are valid");
    let others = (0..OTHER_USERS).map(|n| Scope::user(format!("other-{n}")));
    authority.bump_many(others).wait().expect("memory");
    assert_eq!(authority.stats().epochs, OTHER_USERS);
    authority
}

#[must_use]
pub fn user(number: usize) -> String {
    format!("user-{number:06}")
}

#[must_use]
pub fn session() -> SessionId {
    SessionId::generate().expect("random bytes")
}

pub fn one_scope(user: &str) -> Grant {
    Grant::user(user)
}

/// User, session and group.
pub fn three_scopes(user: &str, session: &SessionId) -> Grant {
    Grant::user(user).session(session).group(GROUP)
}

/// Tokens of so many users: one of each, then the next of each.
#[must_use]
pub fn tokens(
    authority: &Authority,
    users: usize,
    of_each: usize,
    mut grant: impl FnMut(&str) -> Grant,
) -> Vec<String> {
    (0..users * of_each)
        .map(|n| {
            let token = authority.issue(grant(&user(n % users)));
            token.expect("the grant is valid").into_string()
        })
        .collect()
}

/// What no verifier can do without: ring's HMAC over the same signing inputs, under a key that
/// is set up.
#[must_use]
pub fn verify_floor(tokens: &[String]) -> impl Row + use<> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signed = tokens.iter().map(|token| {
        let input = signing_input(token).to_owned();
        let tag = hmac::sign(&key, input.as_bytes());
        (input, tag)
    });
    let signed: Vec<_> = signed.collect();
    Cycle::new("floor-ring-hmac", signed, move |(input, tag)| {
        hmac::verify(&key, input.as_bytes(), tag.as_ref()).expect("the tag is right");
    })
}

/// The same for who issues.
#[must_use]
pub fn issue_floor(tokens: &[String]) -> impl Row + use<> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let inputs: Vec<_> = tokens
        .iter()
        .map(|token| signing_input(token).to_owned())
        .collect();
    Cycle::new("floor-ring-hmac", inputs, move |input| {
        hmac::sign(&key, input.as_bytes())
    })
}

#[must_use]
pub fn signing_input(token: &str) -> &str {
    let (input, _) = token.rsplit_once('.').expect("a token has two dots");
    input
}
