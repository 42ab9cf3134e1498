//! Well signed but wrong: payloads under a correct signature and, where there is
//! one to compute, a correct seal.

use epochkey::{Authority, Grant, Scope, VerifyError, testing::ManualClock};
use serde_json::json;

use crate::support::*;

struct Target {
    authority: Authority,
    clock: ManualClock,
    forger: Forger,
    /// A canonical payload with every member, correctly sealed.
    payload: String,
}

fn target() -> Target {
    let (authority, clock) = authority();
    let forger = Forger::of(&authority);
    let scopes = [
        Scope::user("u-42"),
        Scope::session(&"s-1".parse().unwrap()),
        Scope::group("org"),
        Scope::group("role"),
    ];
    let payload = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"u-42","sid":"s-1","grp":["org","role"],"iat":{START},"exp":{},"auth_time":{START},"jti":"t-1","seal":"{}","role":"editor"}}"#,
        START + 900,
        forger.seal(&authority, &scopes),
    );
    let target = Target {
        authority,
        clock,
        forger,
        payload,
    };
    assert_eq!(
        target.outcome(&target.payload),
        Ok(()),
        "the forger forges well"
    );
    target
}

impl Target {
    fn outcome(&self, payload: impl AsRef<[u8]>) -> Result<(), VerifyError> {
        self.authority.verify(self.forger.sign(payload)).map(|_| ())
    }

    /// The payload with one part replaced.
    fn with(&self, old: &str, new: &str) -> String {
        assert!(self.payload.contains(old), "{old}");
        self.payload.replacen(old, new, 1)
    }

    #[track_caller]
    fn refuses(&self, old: &str, new: &str, error: VerifyError) {
        assert_eq!(
            self.outcome(self.with(old, new)),
            Err(error),
            "{old} -> {new}"
        );
    }

    #[track_caller]
    fn malformed(&self, old: &str, new: &str) {
        self.refuses(old, new, VerifyError::Malformed);
    }

    /// The members as `"name":value` texts.
    fn members(&self) -> Vec<String> {
        let inner = self.payload.trim_matches(['{', '}']);
        let inner = inner.replace(r#"["org","role"]"#, "GRP");
        inner
            .split(',')
            .map(|m| m.replace("GRP", r#"["org","role"]"#))
            .collect()
    }
}

#[test]
fn members_missing() {
    let target = target();
    let members = target.members();
    assert_eq!(members.len(), 11);
    for (index, member) in members.iter().enumerate() {
        let mut without = members.clone();
        without.remove(index);
        let outcome = target.outcome(format!("{{{}}}", without.join(",")));
        let expected = match member.split('"').nth(1).unwrap() {
            // Absent session and groups are another token's shape: the seal tells.
            "sid" | "grp" => Err(VerifyError::Revoked { scope: None }),
            "auth_time" | "role" => Ok(()),
            _ => Err(VerifyError::Malformed),
        };
        assert_eq!(outcome, expected, "without {member}");
    }
}

#[test]
fn members_reordered() {
    let target = target();
    let members = target.members();
    for a in 0..members.len() {
        for b in a + 1..members.len() {
            let mut swapped = members.clone();
            swapped.swap(a, b);
            let outcome = target.outcome(format!("{{{}}}", swapped.join(",")));
            assert_eq!(
                outcome,
                Err(VerifyError::Malformed),
                "{} <-> {}",
                members[a],
                members[b]
            );
        }
    }
}

#[test]
fn members_duplicated() {
    let target = target();
    let members = target.members();
    for (index, member) in members.iter().enumerate() {
        for at in 0..=members.len() {
            let mut doubled = members.clone();
            doubled.insert(at, member.clone());
            let outcome = target.outcome(format!("{{{}}}", doubled.join(",")));
            if member.starts_with("\"role\"") && at >= index {
                // The application's own business: serde says so when it is asked.
                assert_eq!(outcome, Ok(()), "{member} at {at}");
            } else {
                assert_eq!(outcome, Err(VerifyError::Malformed), "{member} at {at}");
            }
        }
    }
    // RFC 7519 section 4 would have a reader reject these or take the last.
    for late in [
        r#","sub":"root""#,
        r#","exp":99999999999"#,
        r#","aud":"other""#,
        r#","s\u0075b":"root""#,
        r#","\u0073ub":"root""#,
        r#","nbf":99999999999"#,
        r#","client_id":"x""#,
        r#","x":{"a":[1,2]},"sub":"root""#,
    ] {
        target.malformed(r#","role":"editor""#, late);
    }
}

#[test]
fn members_escaped() {
    let target = target();
    target.malformed(r#""sub":"#, r#""s\u0075b":"#);
    target.malformed(r#""u-42""#, r#""\u0075-42""#);
    target.malformed(r#""u-42""#, r#""u\/42""#);
    target.malformed(r#""u-42""#, r#""u-42\"""#);
    target.malformed(r#""api""#, r#""\u0061pi""#);
    target.malformed(r#""org""#, r#""\u006frg""#);
    target.malformed(r#""t-1""#, r#""\n""#);
}

#[test]
fn members_of_the_wrong_type() {
    let target = target();
    let (iat, exp) = (
        format!(r#""iat":{START}"#),
        format!(r#""exp":{}"#, START + 900),
    );
    for wrong in ["null", "1", "true", "{}", "[]", r#"["u-42"]"#, "\"\"", ""] {
        for (name, value) in [
            ("iss", ISSUER),
            ("aud", AUDIENCE),
            ("sub", "u-42"),
            ("sid", "s-1"),
            ("jti", "t-1"),
        ] {
            let old = format!(r#""{name}":"{value}""#);
            target.malformed(&old, &format!(r#""{name}":{wrong}"#));
        }
    }
    for wrong in [
        "null",
        "\"\"",
        "true",
        "{}",
        "[]",
        "",
        "-1",
        "-0",
        "+1700000900",
        "01700000900",
        "1700000900.0",
        "1700000900.5",
        "17e8",
        "1.7E9",
        "0x6553f100",
        "\"1700000900\"",
        "18446744073709551616",
        "99999999999999999999999999",
        "NaN",
        "Infinity",
    ] {
        target.malformed(&exp, &format!(r#""exp":{wrong}"#));
        target.malformed(&iat, &format!(r#""iat":{wrong}"#));
        let auth_time = format!(r#""auth_time":{START}"#);
        target.malformed(&auth_time, &format!(r#""auth_time":{wrong}"#));
    }
    for wrong in [
        "null",
        "[]",
        "{}",
        r#""org""#,
        r#"[1]"#,
        r#"["org",null]"#,
        r#"["org","org"]"#,
        r#"["org",["role"]]"#,
        r#"[""]"#,
        r#"["1","2","3","4","5","6","7","8","9"]"#,
    ] {
        target.malformed(r#"["org","role"]"#, wrong);
    }
}

#[test]
fn two_audiences() {
    let target = target();
    target.malformed(r#""aud":"api""#, r#""aud":["api","other"]"#);
    target.malformed(r#""aud":"api""#, r#""aud":["api"]"#);
    target.malformed(r#""aud":"api""#, r#""aud":"api","aud":"other""#);
    target.refuses(
        r#""aud":"api""#,
        r#""aud":"api,other""#,
        VerifyError::WrongAudience,
    );
    target.refuses(
        r#""aud":"api""#,
        r#""aud":"API""#,
        VerifyError::WrongAudience,
    );
    target.refuses(
        r#""aud":"api""#,
        r#""aud":"api ""#,
        VerifyError::WrongAudience,
    );
}

#[test]
fn another_issuer() {
    let target = target();
    let slash = format!("{ISSUER}/");
    target.refuses(ISSUER, &slash, VerifyError::WrongIssuer);
    target.refuses(ISSUER, "https://issuer.tes", VerifyError::WrongIssuer);
    target.refuses(ISSUER, "HTTPS://issuer.test", VerifyError::WrongIssuer);
}

#[test]
fn times_at_their_limits() {
    let target = target();
    let exp = format!(r#""exp":{}"#, START + 900);
    let iat = format!(r#""iat":{START},"exp":{},"auth_time":{START}"#, START + 900);
    let times = |iat: u64, exp: u64| format!(r#""iat":{iat},"exp":{exp}"#);
    let outcome = |iat_exp: String| target.outcome(target.with(&iat, &iat_exp));

    // Dead at `exp`, not after it.
    target.refuses(&exp, &format!(r#""exp":{START}"#), VerifyError::Expired);
    target.refuses(&exp, r#""exp":0"#, VerifyError::Expired);
    assert_eq!(
        target.outcome(target.with(&exp, &format!(r#""exp":{}"#, START + 1))),
        Ok(())
    );
    // The ring key may sign 900 s.
    assert_eq!(
        outcome(times(START, START + 901)),
        Err(VerifyError::LifetimeTooLong)
    );
    assert_eq!(
        outcome(times(START, u64::MAX)),
        Err(VerifyError::LifetimeTooLong)
    );
    assert_eq!(
        outcome(times(0, START + 900)),
        Err(VerifyError::LifetimeTooLong)
    );
    // The leeway is 4 s.
    assert_eq!(outcome(times(START + 4, START + 904)), Ok(()));
    assert_eq!(
        outcome(times(START + 5, START + 904)),
        Err(VerifyError::NotYetValid)
    );
    assert_eq!(
        outcome(times(u64::MAX, u64::MAX)),
        Err(VerifyError::NotYetValid)
    );
    // Nobody authenticates after the token was issued.
    let future = format!(r#""auth_time":{}"#, START + 1);
    target.refuses(
        &format!(r#""auth_time":{START}"#),
        &future,
        VerifyError::NotYetValid,
    );

    target.clock.advance(secs(899));
    assert_eq!(target.outcome(&target.payload), Ok(()));
    target.clock.advance(secs(1));
    assert_eq!(target.outcome(&target.payload), Err(VerifyError::Expired));
}

#[test]
fn white_space_and_trailing_bytes() {
    let target = target();
    let application = target.payload.find(r#":"editor""#).unwrap();
    let mut in_string = false;
    for (at, character) in target.payload.char_indices() {
        in_string ^= character == '"';
        if in_string {
            continue;
        }
        for space in [" ", "\t", "\n", "\r"] {
            let mut spaced = target.payload.clone();
            spaced.insert_str(at + 1, space);
            // Behind the application's colon it belongs to the application's value.
            let expected = match (application..target.payload.len() - 1).contains(&at) {
                true => Ok(()),
                false => Err(VerifyError::Malformed),
            };
            assert_eq!(target.outcome(&spaced), expected, "{spaced:?}");
        }
    }
    for tail in ["}", ",", "\0", "x", "{}", "\u{feff}", "]"] {
        let longer = format!("{}{tail}", target.payload);
        assert_eq!(
            target.outcome(longer),
            Err(VerifyError::Malformed),
            "{tail:?}"
        );
    }
    let marked = format!("\u{feff}{}", target.payload);
    assert_eq!(target.outcome(marked), Err(VerifyError::Malformed));
    for cut in 0..target.payload.len() {
        let outcome = target.outcome(&target.payload[..cut]);
        assert_eq!(outcome, Err(VerifyError::Malformed), "cut at {cut}");
    }
}

#[test]
fn ids_that_are_none() {
    let target = target();
    for character in ["\0", "\n", "\u{1f}", "\u{7f}", "\u{85}", "\u{9f}"] {
        target.malformed("u-42", &format!("u-42{character}"));
        target.malformed("s-1", character);
        target.malformed("role", &format!("{character}role"));
    }
    target.malformed("u-42", &"x".repeat(256));
    let mut not_utf8 = target.payload.clone().into_bytes();
    let at = target.payload.find("u-42").unwrap();
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82"] {
        let mut payload = not_utf8.clone();
        payload.splice(at..at, bytes.iter().copied());
        assert_eq!(
            target.outcome(payload),
            Err(VerifyError::Malformed),
            "{bytes:?}"
        );
    }
    not_utf8.truncate(at);
    assert_eq!(target.outcome(not_utf8), Err(VerifyError::Malformed));
}

/// Bytes are compared, nothing is normalised: composed and decomposed é are two users.
#[test]
fn ids_are_not_normalised() {
    let (authority, _) = authority();
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    let one = authority.issue(Grant::user(composed)).unwrap();
    let other = authority.issue(Grant::user(decomposed)).unwrap();
    assert_eq!(authority.verify(&one).unwrap().user(), composed);
    assert_eq!(authority.verify(&other).unwrap().user(), decomposed);
    bump(&authority, Scope::user(composed));
    assert_revoked(&authority, &one, Scope::user(composed));
    assert!(authority.verify(&other).is_ok());
}

#[test]
fn deep_nesting() {
    let (authority, _) = authority_with(epochkey::Policy::default().max_token_length(65_535));
    let forger = Forger::of(&authority);
    let token = authority
        .issue(Grant::user("u").claims(&json!({"x": 1})))
        .unwrap();
    let payload = payload_of(&token);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 5_000;
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let deep = forger.sign(payload.replace(r#""x":1"#, &format!(r#""x":{nested}"#)));
        // Verifying walks over it; reading it is refused by serde_json's own limit.
        let verified = authority.verify(&deep).unwrap();
        assert!(verified.claims::<serde_json::Value>().is_err());
        let unclosed = format!(r#""x":{}"#, open.repeat(depth));
        let deep = forger.sign(payload.replace(r#""x":1"#, &unclosed));
        assert_eq!(authority.verify(&deep).unwrap_err(), VerifyError::Malformed);
    }
    let outer = forger.sign("[".repeat(20_000));
    assert_eq!(authority.verify(outer).unwrap_err(), VerifyError::Malformed);
}

#[test]
fn seals_that_are_none() {
    let target = target();
    let at = target.payload.find(r#""seal":""#).unwrap() + 8;
    let seal = target.payload[at..at + 22].to_owned();
    for wrong in [
        String::new(),
        seal[..21].to_owned(),
        format!("{seal}A"),
        format!("{seal}=="),
        format!("{}!", &seal[..21]),
        format!("{}B", &seal[..21]),
        format!("+{}", &seal[1..]),
        format!(" {}", &seal[1..]),
        base64url([0; 15]),
        base64url([0; 17]),
    ] {
        // 'B' as the last character sets bits beyond the sixteenth byte.
        target.malformed(&seal, &wrong);
    }
    for wrong in [base64url([0; 16]), base64url([0xff; 16])] {
        target.refuses(&seal, &wrong, VerifyError::Revoked { scope: None });
    }
    for bit in 0..128 {
        let mut bytes = decode_base64url(&seal);
        bytes[bit / 8] ^= 1 << (bit % 8);
        target.refuses(
            &seal,
            &base64url(bytes),
            VerifyError::Revoked { scope: None },
        );
    }
}

/// The seal binds every scope, its kind, its place, and the ring key.
#[test]
fn a_seal_fits_only_its_own_scopes() {
    let target = target();
    let stale = || VerifyError::Revoked { scope: None };
    target.refuses(r#""sub":"u-42""#, r#""sub":"u-43""#, stale());
    target.refuses(r#""sid":"s-1""#, r#""sid":"s-2""#, stale());
    target.refuses(r#"["org","role"]"#, r#"["role","org"]"#, stale());
    target.refuses(r#"["org","role"]"#, r#"["org"]"#, stale());
    target.refuses(r#"["org","role"]"#, r#"["org","role","more"]"#, stale());
    target.refuses(
        r#""sub":"u-42","sid":"s-1""#,
        r#""sub":"s-1","sid":"u-42""#,
        stale(),
    );
    target.refuses(
        r#","sid":"s-1","grp":["org","role"]"#,
        r#","grp":["s-1","org","role"]"#,
        stale(),
    );

    // A seal of an earlier ring key, under a signature of the present one.
    target.authority.swap_key().wait().unwrap();
    let forger = Forger::of(&target.authority);
    let outcome = target.authority.verify(forger.sign(&target.payload));
    assert_eq!(outcome.unwrap_err(), stale());
}

/// What the seal adds: a thief of the signing key who has not seen the user's
/// current seal cannot mint for them. And what it does not: with a live token,
/// any claims.
#[test]
fn a_stolen_signing_key_alone_mints_nothing() {
    let target = target();
    for guess in [[0; 16], [1; 16]] {
        let at = target.payload.find(r#""seal":""#).unwrap() + 8;
        let payload = target
            .payload
            .replace(&target.payload[at..at + 22], &base64url(guess));
        assert!(target.outcome(payload).is_err());
    }
    assert_eq!(
        target.outcome(target.with(r#""editor""#, r#""root""#)),
        Ok(())
    );
    bump(&target.authority, Scope::user("u-42"));
    let scope = Some(Scope::user("u-42"));
    assert_eq!(
        target.outcome(&target.payload),
        Err(VerifyError::Revoked { scope })
    );
}
