//! Libraries that make and check tokens which cannot be revoked, each with the same claims.
//!
//! What they check is what epochkey checks: the key, `exp`, `iss` and `aud`. Where a library
//! leaves a choice, it is the one that is faster for it.

mod biscuit;
mod jsonwebtoken_11;
mod jsonwebtoken_9;
mod jwt_simple;
mod pasetors;

pub use self::{
    biscuit::Biscuit, jsonwebtoken_9::Jsonwebtoken9, jsonwebtoken_11::Jsonwebtoken11,
    jwt_simple::JwtSimple, pasetors::PasetorsV4Local,
};
use crate::{Claims, Cycle, LIFETIME, Row, ours};

pub type Secret = [u8; 32];

/// Of every peer that a bench measures.
pub const SECRET: Secret = [7; 32];

pub trait Peer {
    const ID: &'static str;
    /// What the library gives who asks for the claims.
    type Verified;

    fn new(secret: &Secret) -> Self;

    fn issue(&self, claims: &Claims) -> String;

    /// `None` if the token is refused.
    fn verify(&self, token: &str) -> Option<Self::Verified>;
}

/// Tokens of so many users, one of each.
pub fn tokens<P: Peer>(peer: &P, users: usize) -> Vec<String> {
    (0..users)
        .map(|n| peer.issue(&Claims::of(&ours::user(n))))
        .collect()
}

/// Verifies tokens of so many users in turn.
///
/// # Panics
///
/// If the peer does not refuse what it must.
#[must_use]
pub fn verify_row<P: Peer + 'static>(users: usize) -> Box<dyn Row> {
    assert_refuses_what_it_must::<P>();
    let peer = P::new(&SECRET);
    let tokens = tokens(&peer, users);
    Box::new(Cycle::new(P::ID, tokens, move |token: &String| {
        peer.verify(token).expect("the token is good")
    }))
}

/// Issues tokens to so many users in turn.
#[must_use]
pub fn issue_row<P: Peer + 'static>(users: usize) -> Box<dyn Row> {
    let peer = P::new(&SECRET);
    let users: Vec<_> = (0..users).map(ours::user).collect();
    assert!(peer.verify(&peer.issue(&Claims::of(&users[0]))).is_some());
    Box::new(Cycle::new(P::ID, users, move |user: &String| {
        let token = peer.issue(&Claims::of(user));
        assert!(!token.is_empty());
        token
    }))
}

/// # Panics
///
/// If the peer accepts a token that is expired, of another issuer, for another audience or of
/// another key, or refuses a good one.
pub fn assert_refuses_what_it_must<P: Peer>() {
    let peer = P::new(&SECRET);
    let good = Claims::of("user");
    assert!(peer.verify(&peer.issue(&good)).is_some(), "{}", P::ID);

    let expired = Claims {
        iat: good.iat - 2 * LIFETIME.as_secs(),
        exp: good.exp - 2 * LIFETIME.as_secs(),
        ..good.clone()
    };
    let of_another_issuer = Claims {
        iss: "https://other.example".to_owned(),
        ..good.clone()
    };
    let for_another_audience = Claims {
        aud: "other".to_owned(),
        ..good.clone()
    };
    for claims in [expired, of_another_issuer, for_another_audience] {
        let token = peer.issue(&claims);
        assert!(peer.verify(&token).is_none(), "{}: {claims:?}", P::ID);
    }

    let of_another_key = P::new(&[8; 32]).issue(&good);
    assert!(peer.verify(&of_another_key).is_none(), "{}", P::ID);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_refuse_what_they_must() {
        assert_refuses_what_it_must::<Jsonwebtoken9>();
        assert_refuses_what_it_must::<Jsonwebtoken11>();
        assert_refuses_what_it_must::<JwtSimple>();
        assert_refuses_what_it_must::<PasetorsV4Local>();
        assert_refuses_what_it_must::<Biscuit>();
    }
}
