//! Payloads that nobody should sign: the crate and the other verifier agree on them.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{Authority, Grant, testing::expose_secrets};
use ring::hmac;
use serde_json::json;

use super::{known_authority, ours, python, state};

/// Under a correct signature, each of `texts` put
/// into, or over the beginning of, every part of a good payload.
fn odd_tokens(authority: &Authority) -> Vec<String> {
    let claims = json!({"n": [1, {"a": "b"}], "role": "editor"});
    let token = authority.issue(Grant::user("u").claims(&claims)).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(token.as_str().split('.').nth(1).unwrap());
    let payload = String::from_utf8(payload.unwrap()).unwrap();
    let texts = [
        " ",
        "\n",
        "\0",
        "\"",
        "\\",
        "\u{7f}",
        "\u{85}",
        "é",
        "x",
        "0",
        "-",
        ".",
        "e1",
        ",",
        ":",
        "[",
        "]",
        "{",
        "}",
        "[]",
        "{}",
        "null",
        "NaN",
        "[}",
        "1 ",
        "\\u0061",
        "'",
        "/*\"*/",
        ",\"n\":2",
        ",\"m\":2",
        ",\"Sub\":1",
        ",\"sub\":\"root\"",
        ",\"\":1",
        ",\"\\u0061\":1",
        ",\"x\" :1",
        ",\"x\":-0.5e+7",
        ",\"x\":01",
        ",\"x\":\"\t\"",
        ",\"x\":[1,]",
        ",\"i\u{17f}s\":1",
        ",\"sid\":\"s\"",
        ",\"grp\":[\"a\",\"a\"]",
        ",\"auth_time\":9",
    ];
    let long_name = format!(",\"{}\":1", "x".repeat(256));
    let deep = |depth: usize| format!(",\"x\":{}{}", "[".repeat(depth), "]".repeat(depth));
    let many: String = (0..63).map(|n| format!(",\"x{n}\":{n}")).collect();
    let long = [long_name, deep(100), deep(127), many];
    let texts: Vec<&str> = texts
        .into_iter()
        .chain(long.iter().map(String::as_str))
        .collect();

    let edges = payload.match_indices(['"', ',', ':', '[', ']', '{', '}']);
    let places: Vec<_> = edges.flat_map(|(at, edge)| [at, at + edge.len()]).collect();
    let mut payloads = vec![payload.clone()];
    for at in places {
        for text in &texts {
            payloads.push(format!("{}{text}{}", &payload[..at], &payload[at..]));
            if let Some(rest) = payload.get(at + 1..) {
                payloads.push(format!("{}{text}{rest}", &payload[..at]));
            }
        }
    }
    let secrets = expose_secrets(authority);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.ring_keys[0].secret);
    let header = token.as_str().split('.').next().unwrap();
    let sign = |payload: &String| {
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes()));
        format!("{input}.{signature}")
    };
    payloads.iter().map(sign).collect()
}

#[test]
fn the_verifiers_agree_on_well_signed_odd_payloads() {
    let authority = known_authority();
    let tokens = odd_tokens(&authority);
    let lines = tokens
        .iter()
        .map(|token| json!({ "token": token }).to_string() + "\n");
    let input: String = std::iter::once(state(&authority, std::iter::empty()))
        .chain(lines)
        .collect();
    let Some(answers) = python(&input) else {
        return;
    };
    assert_eq!(answers.len(), tokens.len());
    let mut seen = BTreeMap::new();
    for (token, theirs) in tokens.iter().zip(&answers) {
        assert_eq!(ours(&authority, token), *theirs, "{token}");
        *seen
            .entry(theirs.as_str().unwrap_or("good").to_owned())
            .or_insert(0) += 1;
    }
    for outcome in [
        "good",
        "malformed",
        "revoked",
        "wrong_issuer",
        "wrong_audience",
    ] {
        assert!(
            seen.get(outcome).is_some_and(|count| *count > 10),
            "{outcome}: {seen:?}"
        );
    }
}
