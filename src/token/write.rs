//! The writer of payloads.

use super::{ApplicationClaims, base64url, canonical};
use crate::{clock::UnixSeconds, seal::Seal};

/// What a payload says. All ids are valid.
pub(crate) struct Payload<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scopes: &'a WrittenScopes,
    pub(crate) issued_at: UnixSeconds,
    pub(crate) expires_at: UnixSeconds,
    pub(crate) authenticated_at: Option<UnixSeconds>,
    pub(crate) token_id: [u8; 16],
    pub(crate) seal: Seal,
    pub(crate) claims: &'a ApplicationClaims,
}

/// User, session and groups as a payload has them, from the first byte of the user's id to the last
/// one of the last id.
pub(crate) struct WrittenScopes {
    text: Vec<u8>,
    has_groups: bool,
}

impl WrittenScopes {
    /// Of valid ids.
    pub(crate) fn new(user: &str, session: Option<&str>, groups: &[String]) -> Self {
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(user.as_bytes());
        let mut next = |opening: &str, id: &str| {
            text.push(b'"');
            text.extend_from_slice(opening.as_bytes());
            text.extend_from_slice(id.as_bytes());
        };
        if let Some(session) = session {
            next(canonical::SESSION, session);
        }
        for (index, group) in groups.iter().enumerate() {
            let opening = if index == 0 { canonical::GROUPS } else { ",\"" };
            next(opening, group);
        }
        let has_groups = !groups.is_empty();
        Self { text, has_groups }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

impl Payload<'_> {
    /// The canonical JSON of SPEC.md section 3.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let tail = self.claims.tail();
        let mut json = Vec::with_capacity(256 + self.scopes.text.len() + tail.len());
        let mut string = |member: &str, id: &[u8]| {
            json.extend_from_slice(member.as_bytes());
            json.extend_from_slice(id);
            json.push(b'"');
        };
        string(canonical::ISSUER, self.issuer.as_bytes());
        string(canonical::AUDIENCE, self.audience.as_bytes());
        string(canonical::USER, &self.scopes.text);
        if self.scopes.has_groups {
            json.push(b']');
        }
        push_integer(&mut json, canonical::ISSUED_AT, self.issued_at);
        push_integer(&mut json, canonical::EXPIRES_AT, self.expires_at);
        if let Some(authenticated_at) = self.authenticated_at {
            push_integer(&mut json, canonical::AUTHENTICATED_AT, authenticated_at);
        }
        json.extend_from_slice(canonical::TOKEN_ID.as_bytes());
        base64url::encode_onto(&self.token_id, &mut json);
        json.push(b'"');
        json.extend_from_slice(canonical::SEAL.as_bytes());
        self.seal.encode_onto(&mut json);
        json.push(b'"');
        json.extend_from_slice(tail.as_bytes());
        json
    }
}

fn push_integer(json: &mut Vec<u8>, member: &str, value: u64) {
    json.extend_from_slice(member.as_bytes());
    json.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
