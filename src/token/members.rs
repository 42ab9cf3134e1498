//! The one reader of payloads: canonical or nothing.
//!
//! It runs only on bytes whose signature was checked. Whatever the canonical form
//! (SPEC.md section 3) leaves no room for is refused, so no other JSON parser can
//! read a different user, time or seal out of an accepted payload.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use memchr::memchr;

use super::{
    base64url, canonical,
    scanner::{Scanner, Span},
};
use crate::{clock::UnixSeconds, seal::Seal};

/// Where each member of a canonical payload stands, or its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) issuer: Span,
    pub(crate) audience: Span,
    pub(crate) user: Span,
    pub(crate) session: Option<Span>,
    /// All group names with the `","` between them, if there are any.
    pub(crate) groups: Option<Span>,
    pub(crate) issued_at: UnixSeconds,
    pub(crate) expires_at: UnixSeconds,
    pub(crate) authenticated_at: Option<UnixSeconds>,
    pub(crate) token_id: Span,
    pub(crate) seal: Seal,
    /// The application's members, from their leading comma to the closing
    /// brace, if there are any.
    pub(crate) claims: Option<Span>,
}

impl Members {
    /// Reads a canonical payload; `None` for anything else. One that begins with
    /// `usual` is read faster, not differently.
    pub(crate) fn read(text: &str, usual: &Opening) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let (issuer, audience) = match scanner.literal(&usual.text) {
            Some(()) => (usual.issuer, usual.audience),
            None => issuer_and_audience(&mut scanner)?,
        };
        let user = scanner.id()?;
        let session = scanner.optional(canonical::SESSION, Scanner::id)?;
        let groups = scanner.optional(canonical::GROUPS, Scanner::groups)?;
        scanner.literal(canonical::ISSUED_AT)?;
        let issued_at = scanner.integer()?;
        scanner.literal(canonical::EXPIRES_AT)?;
        let expires_at = scanner.integer()?;
        let authenticated_at = scanner.optional(canonical::AUTHENTICATED_AT, Scanner::integer)?;
        if authenticated_at > Some(issued_at) {
            return None;
        }
        scanner.literal(canonical::TOKEN_ID)?;
        let token_id = scanner.id()?;
        scanner.literal(canonical::SEAL)?;
        let seal = scanner.seal()?;
        let claims = scanner.application_claims()?;
        Some(Self {
            issuer,
            audience,
            user,
            session,
            groups,
            issued_at,
            expires_at,
            authenticated_at,
            token_id,
            seal,
            claims,
        })
    }

    /// Whether the user authenticated at most `age` seconds before `now`.
    pub(crate) fn authenticated_within(&self, age: u64, now: UnixSeconds) -> bool {
        let authenticated_at = self.authenticated_at;
        authenticated_at.is_some_and(|time| now.saturating_sub(time) <= age)
    }
}

/// How the payloads of an authority's own tokens begin: issuer and audience, up
/// to the quote that opens the user id.
pub(crate) struct Opening {
    text: String,
    /// The encoding of as much of the text as fills whole groups of four characters.
    encoded: String,
    issuer: Span,
    audience: Span,
}

impl Opening {
    /// For an issuer and an audience that are valid ids.
    pub(crate) fn new(issuer: &str, audience: &str) -> Self {
        let mut text = canonical::ISSUER.to_owned();
        let mut push = |id: &str, next: &str| {
            let span = Span::new(text.len(), text.len() + id.len());
            text.push_str(id);
            text.push('"');
            text.push_str(next);
            #[expect(clippy::expect_used, reason = "valid ids are at most 255 bytes long")]
            span.expect("two ids fit into a span")
        };
        let issuer = push(issuer, canonical::AUDIENCE);
        let audience = push(audience, canonical::USER);
        let whole_groups = text.len() / 3 * 3;
        let encoded = base64url::encode(text.as_bytes().get(..whole_groups).unwrap_or_default());
        Self {
            text,
            encoded,
            issuer,
            audience,
        }
    }

    /// Decodes a payload into `bytes`, which it must fill. A payload that begins
    /// with the opening is decoded faster, not differently.
    pub(super) fn decode(&self, segment: &[u8], bytes: &mut [u8]) -> Option<()> {
        let known = base64url::decoded_length(self.encoded.len());
        let rest = segment.strip_prefix(self.encoded.as_bytes());
        match (rest, bytes.split_at_mut_checked(known)) {
            (Some(rest), Some((beginning, end))) => {
                beginning.copy_from_slice(self.text.as_bytes().get(..known)?);
                base64url::decode_exact(rest, end)
            }
            _ => base64url::decode_exact(segment, bytes),
        }
    }
}

/// All that an [`Opening`] holds.
fn issuer_and_audience(scanner: &mut Scanner<'_>) -> Option<(Span, Span)> {
    scanner.literal(canonical::ISSUER)?;
    let issuer = scanner.id()?;
    scanner.literal(canonical::AUDIENCE)?;
    let audience = scanner.id()?;
    scanner.literal(canonical::USER)?;
    Some((issuer, audience))
}

/// Group names out of the span that [`Members::groups`] marks.
#[derive(Debug, Clone)]
pub(crate) struct GroupNames<'a> {
    rest: Option<&'a str>,
}

impl<'a> GroupNames<'a> {
    pub(crate) fn new(names: Option<&'a str>) -> Self {
        Self { rest: names }
    }
}

impl<'a> Iterator for GroupNames<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let names = self.rest?;
        // A name holds no quote, so the first one belongs to a `","`.
        let Some(end) = memchr(b'"', names.as_bytes()) else {
            self.rest = None;
            return Some(names);
        };
        self.rest = names.get(end + canonical::NEXT_GROUP.len()..);
        names.get(..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads it with the opening that fits PAYLOAD and with one that does not.
    fn read(text: &str) -> Option<Members> {
        let fitting = Members::read(text, &Opening::new("https://i", "api"));
        let other = Members::read(text, &Opening::new("https://i", "ap"));
        assert_eq!(fitting, other, "{text}");
        fitting
    }

    const PAYLOAD: &str = r#"{"iss":"https://i","aud":"api","sub":"u-1","sid":"s-1","grp":["a","b,"],"iat":10,"exp":20,"auth_time":0,"jti":"t-1","seal":"AAAAAAAAAAAAAAAAAAAAAA","n":1}"#;

    fn text(span: Span) -> &'static str {
        &PAYLOAD[usize::from(span.start)..usize::from(span.end)]
    }

    #[test]
    fn reads_every_member() {
        let members = read(PAYLOAD).unwrap();
        assert_eq!(text(members.issuer), "https://i");
        assert_eq!(text(members.audience), "api");
        assert_eq!(text(members.user), "u-1");
        assert_eq!(members.session.map(text), Some("s-1"));
        let groups = GroupNames::new(members.groups.map(text));
        assert_eq!(groups.collect::<Vec<_>>(), ["a", "b,"]);
        assert_eq!((members.issued_at, members.expires_at), (10, 20));
        assert_eq!(members.authenticated_at, Some(0));
        assert_eq!(text(members.token_id), "t-1");
        assert_eq!(members.seal, Seal::from_bytes([0; 16]));
        assert_eq!(members.claims.map(text), Some(r#","n":1}"#));
    }

    #[test]
    fn optional_members_may_be_absent() {
        let members = read(r#"{"iss":"i","aud":"a","sub":"u","iat":10,"exp":20,"jti":"t","seal":"AAAAAAAAAAAAAAAAAAAAAA"}"#).unwrap();
        assert_eq!(
            (
                members.session,
                members.groups,
                members.authenticated_at,
                members.claims
            ),
            (None, None, None, None),
        );
        assert_eq!(GroupNames::new(None).count(), 0);
    }

    /// PAYLOAD with its application claims replaced.
    fn with_claims(claims: &str) -> Option<Members> {
        read(&PAYLOAD.replace(r#","n":1}"#, claims))
    }

    #[test]
    fn application_claims() {
        for good in [
            r#"}"#,
            r#","n":"a\"b\\"}"#,
            r#","n":{"sub":"x","m":[1,{"exp":2}]},"o":null}"#,
            r#","n":["x",1]}"#,
            r#","n":"},\"sub\":\"x"}"#,
        ] {
            assert!(with_claims(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ",}",
            r#","n":1"#,
            r#","n":}"#,
            r#","n"}"#,
            r#"  }"#,
            r#"} "#,
            r#", "n":1}"#,
            r#","n" :1}"#,
            r#","n":1}}"#,
            r#","n":1]}"#,
            r#","n":[1}"#,
            r#","n":"\"}"#,
            r#","sub":"x"}"#,
            r#","n":1,"seal":"x"}"#,
            r#","n":{},"nbf":1}"#,
            r#","client_id":"x"}"#,
            r#","s\u0075b":"x"}"#,
            r#","n":1,,"m":2}"#,
            r#","n":1,"m":2,"n":3}"#,
            r#","n":[ 1]}"#,
            r#","n":1 ,"m":2}"#,
            r#","n":1/*"*/,"sub":"root"/*"*/}"#,
            r#","n":'"','sub':'root','m':'"'}"#,
            r#","n":1 "sub":"root"}"#,
            r#","n":"x""sub":"root"}"#,
            r#","n":[}}"#,
            r#","n":[1}]}"#,
            r#","Sub":"root"}"#,
            r#","EXP":1}"#,
            ",\"\u{17f}ub\":1}",
            r#","":1}"#,
        ] {
            assert_eq!(with_claims(bad), None, "{bad}");
        }
    }

    #[test]
    fn integers() {
        let read = |digits: &str| {
            read(&PAYLOAD.replace("\"exp\":20", &format!("\"exp\":{digits}"))).map(|m| m.expires_at)
        };
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "00",
            "020",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "\"1\"",
            "18446744073709551616",
            " 1",
            "1 ",
            "null",
            "0x1",
            "１",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn nobody_authenticates_after_the_token_was_issued() {
        let with = |time: u64| {
            read(&PAYLOAD.replace(r#""auth_time":0"#, &format!(r#""auth_time":{time}"#)))
        };
        assert!(with(10).is_some());
        assert_eq!(with(11), None);
    }

    #[test]
    fn groups() {
        let read = |groups: &str| read(&PAYLOAD.replace(r#"["a","b,"]"#, groups)).map(|m| m.groups);
        assert!(read(r#"["1","2","3","4","5","6","7","8"]"#).is_some());
        for bad in [
            "[]",
            r#"[""]"#,
            r#"["a","a"]"#,
            r#"["a",]"#,
            r#"["a" ,"b"]"#,
            r#"["a","b"#,
            r#"["1","2","3","4","5","6","7","8","9"]"#,
            r#""a""#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn group_names_split_only_between_quotes() {
        let names = |text| GroupNames::new(Some(text)).collect::<Vec<_>>();
        assert_eq!(names("a"), ["a"]);
        assert_eq!(names(r#",",","#), [",", ","]);
        assert_eq!(names(r#"a","b","c"#), ["a", "b", "c"]);
    }

    #[test]
    fn every_truncation_and_insertion_is_refused_or_keeps_the_block() {
        for end in 0..PAYLOAD.len() {
            assert_eq!(read(&PAYLOAD[..end]), None, "cut at {end}");
        }
        let whole = read(PAYLOAD).unwrap();
        for at in 0..=PAYLOAD.len() {
            for extra in [' ', '"', '\\', ',', '}', '\0', '\u{80}'] {
                let mut text = PAYLOAD.to_owned();
                text.insert(at, extra);
                if let Some(read) = read(&text) {
                    // Only inside an id or an application value can a byte come in.
                    assert_ne!(read, whole, "{text}");
                }
            }
        }
    }

    proptest! {
        /// serde reads the same registered block out of whatever is accepted.
        #[test]
        fn agrees_with_serde(at in 0..PAYLOAD.len(), length in 0..6_usize, new in "[\"\\\\,:{}\\[\\] a-z0-9é]{0,6}") {
            let end = (at + length).min(PAYLOAD.len());
            let text = format!("{}{new}{}", &PAYLOAD[..at], &PAYLOAD[end..]);
            if let Some(members) = read(&text) {
                let object: serde_json::Value = serde_json::from_str(&text).unwrap();
                let object = object.as_object().unwrap();
                let part = |span: Span| &text[usize::from(span.start)..usize::from(span.end)];
                prop_assert_eq!(object["iss"].as_str(), Some(part(members.issuer)));
                prop_assert_eq!(object["aud"].as_str(), Some(part(members.audience)));
                prop_assert_eq!(object["sub"].as_str(), Some(part(members.user)));
                prop_assert_eq!(object.get("sid").and_then(|v| v.as_str()), members.session.map(part));
                prop_assert_eq!(object["iat"].as_u64(), Some(members.issued_at));
                prop_assert_eq!(object["exp"].as_u64(), Some(members.expires_at));
                prop_assert_eq!(object.get("auth_time").and_then(|v| v.as_u64()), members.authenticated_at);
                prop_assert_eq!(object["jti"].as_str(), Some(part(members.token_id)));
                let groups: Vec<_> = GroupNames::new(members.groups.map(part)).collect();
                let theirs: Vec<_> = object.get("grp").and_then(|v| v.as_array()).into_iter().flatten()
                    .filter_map(|v| v.as_str()).collect();
                prop_assert_eq!(groups, theirs);
            }
        }

    }
}
