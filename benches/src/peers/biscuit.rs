//! Biscuit: tokens that carry facts, under a public key, and an authorizer that reasons
//! about them. It can do much more than is asked of it here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use biscuit_auth::{
    Algorithm, AuthorizerBuilder, AuthorizerLimits, KeyPair, PrivateKey, PublicKey,
    builder::{date, fact, string},
};

use super::{Peer, Secret};
use crate::{AUDIENCE, Claims, ISSUER};

pub struct Biscuit {
    keys: KeyPair,
    public: PublicKey,
    /// With everything but the time.
    authorizer: AuthorizerBuilder,
}

impl Peer for Biscuit {
    const ID: &'static str = "biscuit";
    type Verified = biscuit_auth::Biscuit;

    fn new(secret: &Secret) -> Self {
        let private = PrivateKey::from_bytes(secret, Algorithm::Ed25519).expect("a key");
        let keys = KeyPair::from(&private);
        let rules = format!(
            r#"
            check if issuer("{ISSUER}");
            check if audience("{AUDIENCE}");
            check if time($now), expires_at($end), $now < $end;
            allow if user($user);
            "#
        );
        // A millisecond by default, in which a busy machine does nothing.
        let limits = AuthorizerLimits {
            max_time: Duration::from_secs(10),
            ..AuthorizerLimits::default()
        };
        let authorizer = AuthorizerBuilder::new().set_limits(limits).code(rules);
        Self {
            public: keys.public(),
            keys,
            authorizer: authorizer.expect("rules"),
        }
    }

    fn issue(&self, claims: &Claims) -> String {
        let facts = [
            fact("issuer", &[string(&claims.iss)]),
            fact("audience", &[string(&claims.aud)]),
            fact("user", &[string(&claims.sub)]),
            fact("issued_at", &[date(&time(claims.iat))]),
            fact("expires_at", &[date(&time(claims.exp))]),
            fact("token_id", &[string(&claims.jti)]),
        ];
        let builder = facts
            .into_iter()
            .try_fold(biscuit_auth::Biscuit::builder(), |builder, fact| {
                builder.fact(fact)
            });
        let token = builder.expect("facts").build(&self.keys);
        token.expect("a token").to_base64().expect("a text")
    }

    fn verify(&self, token: &str) -> Option<biscuit_auth::Biscuit> {
        let token = biscuit_auth::Biscuit::from_base64(token, self.public).ok()?;
        let authorizer = self.authorizer.clone().time().build(&token);
        authorizer.ok()?.authorize().ok()?;
        Some(token)
    }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}
