//! A verifier that is slow and plain, written from SPEC.md, apart from the crate's code.
//!
//! It takes payloads apart with serde_json and puts them together again: what does not come
//! out as it went in was not canonical.

mod payload;
mod refresh_token;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

pub(crate) use self::{
    payload::{Members, Payload, are_claims, is_id},
    refresh_token::RefreshToken,
};

/// Section 2: what a verifier knows.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) keys: Vec<Key>,
    pub(crate) seal_key: [u8; 32],
    /// By kind and id.
    pub(crate) epochs: BTreeMap<(u8, String), Epoch>,
    pub(crate) now: u64,
    pub(crate) leeway: u64,
    pub(crate) max_length: usize,
}

#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) position: u64,
    pub(crate) introduction_nonce: [u8; 16],
    pub(crate) secret: [u8; 32],
    pub(crate) longest_lifetime: u64,
}

#[derive(Clone)]
pub(crate) struct Epoch {
    pub(crate) position: u64,
    pub(crate) secret: [u8; 16],
}

impl Key {
    /// Section 3: the one header of its tokens, encoded.
    pub(crate) fn header(&self) -> String {
        let kid = &self.kid;
        encode(format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"at+jwt"}}"#))
    }

    /// What a token is, for a payload that is encoded already, well or not.
    pub(crate) fn sign(&self, encoded_payload: &str) -> String {
        let input = format!("{}.{encoded_payload}", self.header());
        let signature = mac(&self.secret, input.as_bytes());
        format!("{input}.{}", encode(signature))
    }
}

impl State {
    /// Section 5: the steps in their order.
    pub(crate) fn verify(&self, token: &[u8]) -> Result<Payload, &'static str> {
        if token.len() > self.max_length {
            return Err("malformed");
        }
        let segments: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
        let [header, payload, signature] = segments[..] else {
            return Err("malformed");
        };
        let key = self
            .keys
            .iter()
            .find(|key| key.header().as_bytes() == header);
        let key = key.ok_or("unknown_key")?;
        let signed = [header, b".", payload].concat();
        if signature != encode(mac(&key.secret, &signed)).as_bytes() {
            return Err("bad_signature");
        }
        let payload = decode(payload).ok_or("malformed")?;
        let payload = Payload::parse(&payload).ok_or("malformed")?;
        if payload.issuer != self.issuer {
            return Err("wrong_issuer");
        }
        if !self.audiences.contains(&payload.audience) {
            return Err("wrong_audience");
        }
        if self.now >= payload.expires_at {
            return Err("expired");
        }
        if payload.issued_at > self.now + self.leeway {
            return Err("not_yet_valid");
        }
        if payload.expires_at.saturating_sub(payload.issued_at) > key.longest_lifetime {
            return Err("lifetime_too_long");
        }
        if payload.seal != self.seal(key, &payload) {
            return Err("revoked");
        }
        Ok(payload)
    }

    /// Section 4.
    pub(crate) fn seal(&self, key: &Key, payload: &Payload) -> [u8; 16] {
        let mut input = key.introduction_nonce.to_vec();
        for (kind, id) in payload.scopes() {
            input.push(kind);
            input.extend((id.len() as u16).to_be_bytes());
            input.extend(id.as_bytes());
            let epoch = self.epochs.get(&(kind, id));
            input.extend(match epoch {
                Some(epoch) if epoch.position > key.position => epoch.secret,
                _ => [0; 16],
            });
        }
        let tag = mac(&self.seal_key, &input);
        std::array::from_fn(|n| tag[n])
    }
}

pub(crate) fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().try_into().unwrap()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Section 1: every byte string has one spelling.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (encode(&bytes).as_bytes() == text).then_some(bytes)
}
