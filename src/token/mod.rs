//! The token as text: segments, base64url, the canonical payload.

mod application_claims;
pub(crate) mod base64url;
mod canonical;
mod json;
mod members;
mod scanner;
mod write;

use std::{fmt, sync::Arc, time::Duration};

use memchr::memchr_iter;

pub(crate) use self::{
    application_claims::ApplicationClaims,
    canonical::MAX_GROUPS,
    members::{GroupNames, Members, Opening},
    scanner::Span,
    write::{Payload, WrittenScopes},
};
use crate::{
    crypto::HmacKey,
    scope::{ScopeRef, in_seal_order},
};

/// A token that was just issued: a compact JWS (RFC 7515 section 7.1), ready to be sent.
///
/// Whoever holds it is taken for the user, so `Debug` does not show it and there is
/// no `Display`: [`as_str`](Self::as_str) and [`into_string`](Self::into_string) are
/// where it goes out.
#[derive(Clone)]
pub struct Token {
    text: String,
    lifetime: Duration,
}

impl Token {
    /// Signs `payload` with a key whose encoded header is `header`.
    pub(crate) fn sign(header: &str, payload: &[u8], key: &HmacKey, lifetime: Duration) -> Self {
        let length = header.len() + payload.len().div_ceil(3) * 4 + SIGNATURE_LENGTH + 2;
        let mut text = Vec::with_capacity(length);
        text.extend_from_slice(header.as_bytes());
        text.push(b'.');
        base64url::encode_onto(payload, &mut text);
        let signature = key.sign(&text);
        text.push(b'.');
        base64url::encode_onto(&signature, &mut text);
        #[expect(clippy::expect_used, reason = "header, base64url and dots are ASCII")]
        let text = String::from_utf8(text).expect("a token is ASCII");
        Self { text, lifetime }
    }

    /// The token's text, for an `Authorization: Bearer` header (RFC 6750 section 2.1)
    /// or a cookie.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The token's text.
    pub fn into_string(self) -> String {
        self.text
    }

    /// How long the token lives from its issuing on, as OAuth's `expires_in`
    /// (RFC 6749 section 5.1) wants it.
    pub fn expires_in(&self) -> Duration {
        self.lifetime
    }
}

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.text.len())
    }
}

/// The length of an HS256 signature in a token, in characters.
const SIGNATURE_LENGTH: usize = 43;

/// The three segments of an incoming token; nothing about them is trusted.
pub(crate) struct Segments<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signing_input: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Segments<'a> {
    /// `None` unless there are exactly two dots.
    pub(crate) fn split(token: &'a [u8]) -> Option<Self> {
        let mut dots = memchr_iter(b'.', token);
        let (first, second) = (dots.next()?, dots.next()?);
        if dots.next().is_some() {
            return None;
        }
        Some(Self {
            header: token.get(..first)?,
            payload: token.get(first + 1..second)?,
            signing_input: token.get(..second)?,
            signature: token.get(second + 1..)?,
        })
    }

    /// Whether `key` signed the token: the signature is the one spelling of the
    /// whole tag.
    pub(crate) fn is_signed_with(&self, key: &HmacKey) -> bool {
        let mut tag = [0; 32];
        base64url::decode_exact(self.signature, &mut tag).is_some()
            && key.verify(self.signing_input, &tag)
    }
}

/// A decoded canonical payload, in one allocation that its clones share.
#[derive(Clone)]
pub(crate) struct SignedPayload {
    text: Arc<[u8]>,
    pub(crate) members: Members,
}

impl SignedPayload {
    /// Decodes a payload whose signature was checked; `None` if it is not canonical.
    pub(crate) fn decode(segment: &[u8], usual: &Opening) -> Option<Self> {
        let length = base64url::decoded_length(segment.len());
        let mut text: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
        let bytes = Arc::get_mut(&mut text)?;
        usual.decode(segment, bytes)?;
        let members = Members::read(std::str::from_utf8(bytes).ok()?, usual)?;
        if let Some(claims) = members.claims {
            // `,"name":value}` becomes an object of the application's claims alone.
            *bytes.get_mut(usize::from(claims.start))? = b'{';
        }
        Some(Self { text, members })
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        &self.text[usize::from(span.start)..usize::from(span.end)]
    }

    pub(crate) fn str(&self, span: Span) -> &str {
        #[expect(
            clippy::expect_used,
            reason = "`decode` checked the whole, and spans are cut at ASCII characters"
        )]
        std::str::from_utf8(self.bytes(span)).expect("payloads are UTF-8")
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = ScopeRef<'_>> {
        let user = self.str(self.members.user);
        let session = self.members.session.map(|span| self.str(span));
        in_seal_order(user, session, self.groups())
    }

    /// All scopes as they are written: no two lists of scopes are written alike.
    pub(crate) fn written_scopes(&self) -> &[u8] {
        let members = &self.members;
        let last = members.groups.or(members.session).unwrap_or(members.user);
        self.bytes(Span {
            start: members.user.start,
            end: last.end,
        })
    }

    pub(crate) fn groups(&self) -> GroupNames<'_> {
        GroupNames::new(self.members.groups.map(|span| self.str(span)))
    }

    /// The application's claims as a JSON object.
    pub(crate) fn application_claims(&self) -> &str {
        self.members.claims.map_or("{}", |span| self.str(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An authority's own payloads are decoded faster than others, not differently.
    #[test]
    fn the_opening_changes_nothing() {
        for (issuer, audience) in [("i", "a"), ("is", "a"), ("iss", "a"), ("https://i", "api")] {
            let payload = format!(
                r#"{{"iss":"{issuer}","aud":"{audience}","sub":"u","iat":1,"exp":2,"jti":"t","seal":"AAAAAAAAAAAAAAAAAAAAAA"}}"#
            );
            let segment = base64url::encode(payload.as_bytes());
            let decode = |segment: &[u8], opening: Opening| {
                let decoded = SignedPayload::decode(segment, &opening);
                decoded.map(|payload| (payload.text, payload.members))
            };
            let whole = decode(segment.as_bytes(), Opening::new(issuer, audience));
            assert!(whole.is_some());
            for end in 0..=segment.len() {
                for last in ["", "A", "/", "="] {
                    let segment = [&segment.as_bytes()[..end], last.as_bytes()].concat();
                    let own = decode(&segment, Opening::new(issuer, audience));
                    let other = decode(&segment, Opening::new("another", "one"));
                    assert_eq!(own, other, "{}", String::from_utf8_lossy(&segment));
                }
            }
        }
    }

    #[test]
    fn two_dots_no_more_no_less() {
        for bad in ["", ".", "a.b", "a.b.c.d", "...", "a..b."] {
            assert!(Segments::split(bad.as_bytes()).is_none(), "{bad}");
        }
        let segments = Segments::split(b"ab.cd.ef").unwrap();
        assert_eq!(segments.header, b"ab");
        assert_eq!(segments.payload, b"cd");
        assert_eq!(segments.signing_input, b"ab.cd");
        assert_eq!(segments.signature, b"ef");
        assert!(Segments::split(b"..").is_some());
    }
}
