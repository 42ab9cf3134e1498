//! PASETO v4.local with pasetors: the claims are encrypted too.

use ::pasetors::{
    Local,
    claims::ClaimsValidationRules,
    keys::SymmetricKey,
    local,
    token::{TrustedToken, UntrustedToken},
    version4::V4,
};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Peer, Secret};
use crate::{AUDIENCE, Claims, ISSUER};

pub struct PasetorsV4Local {
    key: SymmetricKey<V4>,
    rules: ClaimsValidationRules,
}

/// PASETO has times as text.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: String,
    exp: String,
    jti: &'a str,
}

impl Peer for PasetorsV4Local {
    const ID: &'static str = "pasetors-v4-local";
    type Verified = TrustedToken;

    fn new(secret: &Secret) -> Self {
        let mut rules = ClaimsValidationRules::new();
        rules.validate_issuer_with(ISSUER);
        rules.validate_audience_with(AUDIENCE);
        // It would want an `nbf`, which no other token here has. `exp` is checked all the same.
        rules.disable_valid_at();
        Self {
            key: SymmetricKey::from(secret).expect("a key"),
            rules,
        }
    }

    fn issue(&self, claims: &Claims) -> String {
        let payload = Payload {
            iss: &claims.iss,
            aud: &claims.aud,
            sub: &claims.sub,
            iat: text(claims.iat),
            exp: text(claims.exp),
            jti: &claims.jti,
        };
        let json = serde_json::to_string(&payload).expect("JSON");
        let claims = ::pasetors::claims::Claims::from_string(&json).expect("claims");
        local::encrypt(&self.key, &claims, None, None).expect("a token")
    }

    fn verify(&self, token: &str) -> Option<TrustedToken> {
        let token = UntrustedToken::<Local, V4>::try_from(token).ok()?;
        local::decrypt(&self.key, &token, &self.rules, None, None).ok()
    }
}

fn text(seconds: u64) -> String {
    let time = i64::try_from(seconds).expect("a time");
    let time = OffsetDateTime::from_unix_timestamp(time).expect("a time");
    time.format(&Rfc3339).expect("a date")
}
