//! The writer of payloads.

use std::fmt::Write;

use super::{ApplicationClaims, canonical};
use crate::{clock::UnixSeconds, seal::Seal};

/// What a payload says. All ids are valid.
pub(crate) struct Payload<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) user: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) groups: &'a [String],
    pub(crate) issued_at: UnixSeconds,
    pub(crate) expires_at: UnixSeconds,
    pub(crate) authenticated_at: Option<UnixSeconds>,
    pub(crate) token_id: &'a str,
    pub(crate) seal: Seal,
    pub(crate) claims: &'a ApplicationClaims,
}

impl Payload<'_> {
    /// The canonical JSON of SPEC.md section 3.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::with_capacity(256 + self.claims.tail().len());
        let mut string = |member: &str, id: &str| {
            json.push_str(member);
            json.push_str(id);
            json.push('"');
        };
        string(canonical::ISSUER, self.issuer);
        string(canonical::AUDIENCE, self.audience);
        string(canonical::USER, self.user);
        if let Some(session) = self.session {
            string(canonical::SESSION, session);
        }
        for (index, group) in self.groups.iter().enumerate() {
            let opening = if index == 0 { canonical::GROUPS } else { ",\"" };
            string(opening, group);
        }
        if !self.groups.is_empty() {
            json.push(']');
        }
        push_integer(&mut json, canonical::ISSUED_AT, self.issued_at);
        push_integer(&mut json, canonical::EXPIRES_AT, self.expires_at);
        if let Some(authenticated_at) = self.authenticated_at {
            push_integer(&mut json, canonical::AUTHENTICATED_AT, authenticated_at);
        }
        json.push_str(canonical::TOKEN_ID);
        json.push_str(self.token_id);
        json.push('"');
        json.push_str(canonical::SEAL);
        self.seal.encode_onto(&mut json);
        json.push('"');
        json.push_str(self.claims.tail());
        json
    }
}

fn push_integer(json: &mut String, member: &str, value: u64) {
    json.push_str(member);
    // Writing to a String cannot fail.
    let _ = write!(json, "{value}");
}
