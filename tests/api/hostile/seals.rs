//! What the seal binds, and what it does not.

use epochkey::{Scope, VerifyError};

use super::target;
use crate::support::*;

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
