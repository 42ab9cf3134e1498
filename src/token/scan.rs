//! The one reader of payloads: canonical or nothing.
//!
//! It runs only on bytes whose signature was checked. Whatever the canonical form
//! (SPEC.md section 3) leaves no room for is refused, so no other JSON parser can
//! read a different user, time or seal out of an accepted payload.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use memchr::{memchr, memchr2};

use super::{base64url, canonical};
use crate::{
    id::{MAX_ID_LENGTH, check_id},
    seal::{SEAL_LENGTH, Seal},
};

/// A range of the payload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self {
            start: u16::try_from(start).ok()?,
            end: u16::try_from(end).ok()?,
        })
    }
}

/// Where each member of a canonical payload stands, or its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) issuer: Span,
    pub(crate) audience: Span,
    pub(crate) user: Span,
    pub(crate) session: Option<Span>,
    /// All group names with the `","` between them, if there are any.
    pub(crate) groups: Option<Span>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) authenticated_at: Option<u64>,
    pub(crate) token_id: Span,
    pub(crate) seal: Seal,
    /// The application's members, from their leading comma to the closing
    /// brace, if there are any.
    pub(crate) claims: Option<Span>,
}

impl Members {
    /// Whether the user authenticated at most `age` seconds before `now`.
    pub(crate) fn authenticated_within(&self, age: u64, now: u64) -> bool {
        let authenticated_at = self.authenticated_at;
        authenticated_at.is_some_and(|time| now.saturating_sub(time) <= age)
    }
}

/// Reads a canonical payload; `None` for anything else.
pub(crate) fn scan(text: &str) -> Option<Members> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.literal(canonical::ISSUER)?;
    let issuer = scanner.id()?;
    scanner.literal(canonical::AUDIENCE)?;
    let audience = scanner.id()?;
    scanner.literal(canonical::USER)?;
    let user = scanner.id()?;
    let session = scanner.optional(canonical::SESSION, Scanner::id)?;
    let groups = scanner.optional(canonical::GROUPS, Scanner::groups)?;
    scanner.literal(canonical::ISSUED_AT)?;
    let issued_at = scanner.integer()?;
    scanner.literal(canonical::EXPIRES_AT)?;
    let expires_at = scanner.integer()?;
    let authenticated_at = scanner.optional(canonical::AUTHENTICATED_AT, Scanner::integer)?;
    scanner.literal(canonical::TOKEN_ID)?;
    let token_id = scanner.id()?;
    scanner.literal(canonical::SEAL)?;
    let seal = scanner.seal()?;
    let claims = scanner.application_claims()?;
    Some(Members {
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

/// Whether `tail` may stand between the seal and the end of a payload.
pub(super) fn is_canonical_tail(tail: &str) -> bool {
    let mut scanner = Scanner { text: tail, at: 0 };
    scanner.application_claims().is_some()
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

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest().starts_with(literal).then(|| {
            self.at += literal.len();
        })
    }

    /// The value behind `opening`, if that comes next.
    fn optional<T>(
        &mut self,
        opening: &str,
        value: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.literal(opening) {
            Some(()) => value(self).map(Some),
            None => Some(None),
        }
    }

    /// An id and the quote that closes it.
    fn id(&mut self) -> Option<Span> {
        let rest = self.rest();
        let window = rest
            .as_bytes()
            .get(..=MAX_ID_LENGTH)
            .unwrap_or(rest.as_bytes());
        let length = memchr(b'"', window)?;
        check_id(rest.get(..length)?).ok()?;
        let span = Span::new(self.at, self.at + length);
        self.at += length + 1;
        span
    }

    /// Group names up to and including `"]`; the opening `["` has been read.
    fn groups(&mut self) -> Option<Span> {
        let start = self.at;
        let mut names = [""; canonical::MAX_GROUPS];
        let mut count = 0;
        loop {
            let name = self.id()?;
            let name = self
                .text
                .get(usize::from(name.start)..usize::from(name.end))?;
            if names.get(..count)?.contains(&name) {
                return None;
            }
            *names.get_mut(count)? = name;
            count += 1;
            // `id` has read the closing quote.
            if self.literal("]").is_some() {
                return Span::new(start, self.at - 2);
            }
            self.literal(",\"")?;
        }
    }

    /// A whole number in plain decimal: no sign, no leading zero, no exponent.
    fn integer(&mut self) -> Option<u64> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit);
        let mut value = 0_u64;
        let mut length = 0;
        for digit in digits {
            if length > 0 && value == 0 {
                return None;
            }
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            length += 1;
        }
        self.at += length;
        (length > 0).then_some(value)
    }

    /// The seal's characters and the quote that closes them.
    fn seal(&mut self) -> Option<Seal> {
        let mut seal = [0; SEAL_LENGTH];
        let length = Seal::TEXT_LENGTH;
        base64url::decode_exact(self.rest().as_bytes().get(..length)?, &mut seal)?;
        self.at += length;
        self.literal("\"")?;
        Some(Seal::from_bytes(seal))
    }

    /// What stands between the seal and the end: nothing but `}`, or the
    /// application's members. Their values are serde's business; their names are
    /// checked here, so that no name of the registered block stands twice.
    fn application_claims(&mut self) -> Option<Option<Span>> {
        if self.rest() == "}" {
            return Some(None);
        }
        let span = Span::new(self.at, self.text.len())?;
        loop {
            self.literal(",\"")?;
            let rest = self.rest();
            let length = memchr(b'"', rest.as_bytes())?;
            let name = rest.get(..length)?;
            // A name with an escape could be any other name in disguise.
            if check_id(name).is_err() || canonical::is_registered(name) {
                return None;
            }
            self.at += length + 1;
            self.literal(":")?;
            self.value()?;
            if self.rest() == "}" {
                return Some(Some(span));
            }
        }
    }

    /// Steps over one JSON value, to the comma or brace behind it.
    fn value(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    self.string_tail()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' if depth == 0 => return (self.at > start).then_some(()),
                b']' => return None,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Steps over the rest of a string with escapes, its closing quote included.
    fn string_tail(&mut self) -> Option<()> {
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let length = memchr2(b'"', b'\\', rest)?;
            let escaped = *rest.get(length)? == b'\\';
            self.at += length + 1;
            if !escaped {
                return Some(());
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAYLOAD: &str = r#"{"iss":"https://i","aud":"api","sub":"u-1","sid":"s-1","grp":["a","b,"],"iat":10,"exp":20,"auth_time":0,"jti":"t-1","seal":"AAAAAAAAAAAAAAAAAAAAAA","n":1}"#;

    fn text(span: Span) -> &'static str {
        &PAYLOAD[usize::from(span.start)..usize::from(span.end)]
    }

    #[test]
    fn reads_every_member() {
        let members = scan(PAYLOAD).unwrap();
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
        let members = scan(r#"{"iss":"i","aud":"a","sub":"u","iat":10,"exp":20,"jti":"t","seal":"AAAAAAAAAAAAAAAAAAAAAA"}"#).unwrap();
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
        scan(&PAYLOAD.replace(r#","n":1}"#, claims))
    }

    #[test]
    fn application_claims() {
        for good in [
            r#"}"#,
            r#","n":"a\"b\\"}"#,
            r#","n":{"sub":"x","m":[1,{"exp":2}]},"o":null}"#,
            r#","n":[ "x" , 1 ] }"#.replace(" }", "}").as_str(),
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
            r#","":1}"#,
        ] {
            assert_eq!(with_claims(bad), None, "{bad}");
        }
        let deep = format!(",\"n\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(
            with_claims(&deep).is_some(),
            "depth is serde's limit, not the stack's"
        );
    }

    #[test]
    fn integers() {
        let read = |digits: &str| {
            scan(&PAYLOAD.replace("\"exp\":20", &format!("\"exp\":{digits}"))).map(|m| m.expires_at)
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
    fn groups() {
        let read = |groups: &str| scan(&PAYLOAD.replace(r#"["a","b,"]"#, groups)).map(|m| m.groups);
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
            assert_eq!(scan(&PAYLOAD[..end]), None, "cut at {end}");
        }
        let whole = scan(PAYLOAD).unwrap();
        for at in 0..=PAYLOAD.len() {
            for extra in [' ', '"', '\\', ',', '}', '\0', '\u{80}'] {
                let mut text = PAYLOAD.to_owned();
                text.insert(at, extra);
                if let Some(read) = scan(&text) {
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
            if let (Some(members), Ok(serde_json::Value::Object(object))) =
                (scan(&text), serde_json::from_str(&text))
            {
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

        #[test]
        fn never_panics(text in "\\PC{0,200}") {
            let _ = scan(&text);
        }
    }
}
