//! jsonwebtoken 9 on ring.

use jsonwebtoken_9::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};

use super::{Peer, Secret};
use crate::{AUDIENCE, Claims, ISSUER};

pub struct Jsonwebtoken9 {
    encoding: EncodingKey,
    decoding: DecodingKey,
    header: Header,
    validation: Validation,
}

impl Peer for Jsonwebtoken9 {
    const ID: &'static str = "jsonwebtoken-9-ring";
    type Verified = Claims;

    fn new(secret: &Secret) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        // It does not look at claims that are not there.
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            header: Header::new(Algorithm::HS256),
            validation,
        }
    }

    fn issue(&self, claims: &Claims) -> String {
        encode(&self.header, claims, &self.encoding).expect("a token")
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let data = decode::<Claims>(token, &self.decoding, &self.validation);
        Some(data.ok()?.claims)
    }
}
