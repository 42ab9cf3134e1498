//! jwt-simple, with HMAC-SHA256.

use std::collections::HashSet;

use jwt_simple::prelude::{
    Audiences, Duration, HS256Key, JWTClaims, MACLike, NoCustomClaims, VerificationOptions,
};

use super::{Peer, Secret};
use crate::{AUDIENCE, Claims, ISSUER};

pub struct JwtSimple {
    key: HS256Key,
    options: VerificationOptions,
}

impl Peer for JwtSimple {
    const ID: &'static str = "jwt-simple";
    type Verified = JWTClaims<NoCustomClaims>;

    fn new(secret: &Secret) -> Self {
        Self {
            key: HS256Key::from_bytes(secret),
            options: VerificationOptions {
                allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
                allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
                time_tolerance: None,
                ..VerificationOptions::default()
            },
        }
    }

    fn issue(&self, claims: &Claims) -> String {
        let claims = JWTClaims {
            issued_at: Some(Duration::from_secs(claims.iat)),
            expires_at: Some(Duration::from_secs(claims.exp)),
            invalid_before: None,
            issuer: Some(claims.iss.clone()),
            subject: Some(claims.sub.clone()),
            audiences: Some(Audiences::AsString(claims.aud.clone())),
            jwt_id: Some(claims.jti.clone()),
            nonce: None,
            custom: NoCustomClaims {},
        };
        self.key.authenticate(claims).expect("a token")
    }

    fn verify(&self, token: &str) -> Option<Self::Verified> {
        // It takes its options by value.
        let options = Some(self.options.clone());
        self.key.verify_token(token, options).ok()
    }
}
