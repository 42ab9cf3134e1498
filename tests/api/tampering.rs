//! Every small change to a good token.

use epochkey::{Authority, Grant, VerifyError};
use serde_json::json;

use crate::support::*;

fn token(authority: &Authority) -> String {
    let grant = Grant::user("u-42")
        .session(&"s-1".parse().unwrap())
        .groups(["org:acme", "admin"])
        .authenticated_now()
        .claims(&json!({"role": "editor"}));
    let token = authority.issue(grant).unwrap().into_string();
    assert!(authority.verify(&token).is_ok());
    token
}

/// What the steps before the payload say about bytes that are not `good`, read
/// off the specification.
fn expected(good: &str, tampered: &[u8]) -> VerifyError {
    let dots = tampered.iter().filter(|byte| **byte == b'.').count();
    let header = tampered.split(|byte| *byte == b'.').next().unwrap();
    let good_header = good.split('.').next().unwrap();
    if dots != 2 {
        VerifyError::Malformed
    } else if header != good_header.as_bytes() {
        VerifyError::UnknownKey
    } else {
        VerifyError::BadSignature
    }
}

#[track_caller]
fn check(authority: &Authority, good: &str, tampered: &[u8]) {
    assert_ne!(good.as_bytes(), tampered);
    let error = authority.verify(tampered).unwrap_err();
    assert_eq!(
        error,
        expected(good, tampered),
        "{}",
        String::from_utf8_lossy(tampered)
    );
}

#[test]
fn every_bit_flipped() {
    let (authority, _) = authority();
    let good = token(&authority);
    for bit in 0..good.len() * 8 {
        let mut tampered = good.clone().into_bytes();
        tampered[bit / 8] ^= 1 << (bit % 8);
        check(&authority, &good, &tampered);
    }
}

#[test]
fn every_byte_replaced() {
    let (authority, _) = authority();
    let good = token(&authority);
    for at in 0..good.len() {
        for byte in [0, b'.', b'A', b'-', b'=', b'+', b' ', 0xff] {
            let mut tampered = good.clone().into_bytes();
            if tampered[at] != byte {
                tampered[at] = byte;
                check(&authority, &good, &tampered);
            }
        }
    }
}

#[test]
fn every_truncation() {
    let (authority, _) = authority();
    let good = token(&authority);
    for cut in 0..good.len() {
        check(&authority, &good, &good.as_bytes()[..cut]);
        check(&authority, &good, &good.as_bytes()[cut + 1..]);
    }
}

#[test]
fn a_byte_inserted_at_every_place() {
    let (authority, _) = authority();
    let good = token(&authority);
    for at in 0..=good.len() {
        for byte in *b"\0\n =.A_\x80" {
            let mut tampered = good.clone().into_bytes();
            tampered.insert(at, byte);
            check(&authority, &good, &tampered);
        }
    }
}

#[test]
fn every_byte_removed_or_doubled() {
    let (authority, _) = authority();
    let good = token(&authority);
    for at in 0..good.len() {
        let mut tampered = good.clone().into_bytes();
        let byte = tampered.remove(at);
        check(&authority, &good, &tampered);
        tampered.insert(at, byte);
        tampered.insert(at, byte);
        check(&authority, &good, &tampered);
    }
}

#[test]
fn segments_of_two_good_tokens_do_not_mix() {
    let (authority, _) = authority();
    let (one, other) = (token(&authority), token(&authority));
    let [header, payload, _] = one.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let signature = other.split('.').nth(2).unwrap();
    let mixed = format!("{header}.{payload}.{signature}");
    assert_eq!(
        authority.verify(mixed).unwrap_err(),
        VerifyError::BadSignature
    );
}

#[test]
fn a_signature_has_one_spelling() {
    let (authority, _) = authority();
    let good = token(&authority);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let tag = decode_base64url(signature);
    for wrong in [
        String::new(),
        base64url(&tag[..16]),
        base64url([&tag[..], &[0]].concat()),
        base64url([0; 32]),
        format!("{signature}="),
        format!("{signature}A"),
        signature.to_lowercase(),
    ] {
        let error = authority.verify(format!("{input}.{wrong}")).unwrap_err();
        assert_eq!(error, VerifyError::BadSignature, "{wrong}");
    }
    // The last character holds two bits that decode to nothing: all but one of
    // the four spellings are refused.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let accepted = alphabet.chars().filter(|last| {
        let respelt = format!("{input}.{}{last}", &signature[..42]);
        authority.verify(respelt).is_ok()
    });
    assert_eq!(accepted.count(), 1);
}

/// The header is compared, so no other JSON with the same meaning will do, nor
/// any that asks for another algorithm.
#[test]
fn only_the_exact_header_is_known() {
    let (authority, _) = authority();
    let forger = Forger::of(&authority);
    let good = token(&authority);
    let payload = good.split('.').nth(1).unwrap();
    let header = forger.header();
    let secret = epochkey::testing::expose_secrets(&authority).ring_keys[0].secret;
    for wrong in [
        header.replace("HS256", "none"),
        header.replace("HS256", "HS512"),
        header.replace("HS256", "hs256"),
        header.replace("\"alg\"", " \"alg\""),
        header.replace("at+jwt", "JWT"),
        header.replace("at+jwt", "at\\u002bjwt"),
        header.replace('}', ",\"crit\":[\"x\"]}"),
        header.replace('}', ",\"jku\":\"https://evil.example\"}"),
        format!("{header} "),
        String::new(),
    ] {
        let input = format!("{}.{payload}", base64url(&wrong));
        let signed = format!(
            "{input}.{}",
            base64url(hmac_sha256(&secret, input.as_bytes()))
        );
        assert_eq!(
            authority.verify(signed).unwrap_err(),
            VerifyError::UnknownKey,
            "{wrong}"
        );
        let unsigned = authority.verify(format!("{input}."));
        assert_eq!(unsigned.unwrap_err(), VerifyError::UnknownKey, "{wrong}");
    }
}
