//! Audiences, issuers, times, ids, white space, depth.

use epochkey::{Grant, Scope, VerifyError};
use serde_json::json;

use super::target;
use crate::support::*;

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
        r#""aud":"ap""#,
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

/// Of several things wrong, the first in the order of the steps is told.
#[test]
fn the_order_of_the_steps() {
    let target = target();
    let replaced = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let (exp, iat) = (
        format!(r#""exp":{}"#, START + 900),
        format!(r#""iat":{START}"#),
    );
    let good = target.with(&format!(r#""auth_time":{START}"#), r#""auth_time":0"#);
    let wrong = [
        (
            replaced(r#","sub":"#, r#", "sub":"#),
            VerifyError::Malformed,
        ),
        (replaced(ISSUER, "https://other"), VerifyError::WrongIssuer),
        (
            replaced(r#""api""#, r#""other""#),
            VerifyError::WrongAudience,
        ),
        (
            replaced(&exp, &format!(r#""exp":{START}"#)),
            VerifyError::Expired,
        ),
        (replaced(&iat, r#""iat":0"#), VerifyError::LifetimeTooLong),
        (
            replaced(r#""u-42""#, r#""u-43""#),
            VerifyError::Revoked { scope: None },
        ),
    ];
    for (first, (_, expected)) in wrong.iter().enumerate() {
        let mut payload = good.clone();
        for ((old, new), _) in &wrong[first..] {
            assert!(payload.contains(old));
            payload = payload.replace(old, new);
        }
        assert_eq!(target.outcome(payload).as_ref(), Err(expected));
    }
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
    // Of two, the first is told.
    assert_eq!(outcome(times(START + 5, START)), Err(VerifyError::Expired));
    assert_eq!(outcome(times(0, START)), Err(VerifyError::Expired));
    assert_eq!(
        outcome(times(START + 5, START + 2000)),
        Err(VerifyError::NotYetValid)
    );
    // Nobody authenticates after the token was issued.
    let future = format!(r#""auth_time":{}"#, START + 1);
    target.refuses(
        &format!(r#""auth_time":{START}"#),
        &future,
        VerifyError::Malformed,
    );

    target.clock.advance(secs(899));
    assert_eq!(target.outcome(&target.payload), Ok(()));
    target.clock.advance(secs(1));
    assert_eq!(target.outcome(&target.payload), Err(VerifyError::Expired));
}

#[test]
fn white_space_and_trailing_bytes() {
    let target = target();
    let mut in_string = false;
    for (at, character) in target.payload.char_indices() {
        in_string ^= character == '"';
        if in_string {
            continue;
        }
        for space in [" ", "\t", "\n", "\r"] {
            let mut spaced = target.payload.clone();
            spaced.insert_str(at + 1, space);
            let expected = Err(VerifyError::Malformed);
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
        let outcome = |depth: usize| {
            let nested = format!("\"x\":{}1{}", open.repeat(depth), close.repeat(depth));
            authority.verify(forger.sign(payload.replace(r#""x":1"#, &nested)))
        };
        // As deep as serde_json reads it.
        assert!(outcome(126).unwrap().claims::<serde_json::Value>().is_ok());
        for depth in [127, 5_000] {
            assert_eq!(outcome(depth).unwrap_err(), VerifyError::Malformed);
        }
        let unclosed = format!(r#""x":{}"#, open.repeat(50));
        let deep = forger.sign(payload.replace(r#""x":1"#, &unclosed));
        assert_eq!(authority.verify(&deep).unwrap_err(), VerifyError::Malformed);
    }
    let outer = forger.sign("[".repeat(20_000));
    assert_eq!(authority.verify(outer).unwrap_err(), VerifyError::Malformed);
}
