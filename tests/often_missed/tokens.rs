//! What a payload may look like under a correct signature and a correct seal.

use std::collections::BTreeMap;

use epochkey::{Authority, Grant, Policy, Scope, Verified, VerifyError};
use serde_json::value::RawValue;

use crate::forger::*;

/// The claims of an authority's own token, and the means to sign others in their place.
struct Target {
    authority: Authority,
    forger: Forger,
    payload: String,
}

impl Target {
    fn new() -> Self {
        Self::of(Policy::default())
    }

    fn of(policy: Policy) -> Self {
        let (authority, _) = authority_with(policy);
        let grant = Grant::user("u-42").session(&"s-1".parse().unwrap());
        let grant = grant.group("org").authenticated_now();
        let claims = BTreeMap::from([("role", "editor")]);
        let token = authority.issue(grant.claims(&claims)).unwrap();
        Self {
            forger: Forger::of(&authority),
            payload: payload_of(&token),
            authority,
        }
    }

    fn verify(&self, payload: impl AsRef<[u8]>) -> Result<Verified, VerifyError> {
        self.authority.verify(self.forger.sign(payload))
    }

    /// The payload with one part replaced.
    fn with(&self, old: &str, new: &str) -> String {
        assert!(self.payload.contains(old), "{old}");
        self.payload.replacen(old, new, 1)
    }

    /// The payload with one part replaced, and the seal of these scopes.
    fn with_seal_of(&self, old: &str, new: &str, scopes: &[Scope]) -> String {
        let (before, _) = self.payload.split_once(r#""seal":""#).unwrap();
        let seal = self.forger.seal(&self.authority, scopes);
        format!(r#"{before}"seal":"{seal}"}}"#).replacen(old, new, 1)
    }

    #[track_caller]
    fn malformed(&self, payload: impl AsRef<[u8]>) {
        let shown = String::from_utf8_lossy(payload.as_ref()).into_owned();
        let refused = self.verify(payload).unwrap_err();
        assert_eq!(refused, VerifyError::Malformed, "{shown}");
    }
}

fn user() -> Scope {
    Scope::user("u-42")
}

fn session() -> Scope {
    Scope::session(&"s-1".parse().unwrap())
}

fn group() -> Scope {
    Scope::group("org")
}

/// A good signature says who wrote the bytes, not that they are what the reader expects: whoever
/// has a signing key, or found a service that signs what it is given, reaches the parser.
/// `tests/api/hostile` goes through all of it.
#[test]
fn case_01_hostile_structure_under_a_valid_mac() {
    let target = Target::new();
    let payload = &target.payload;
    for hostile in ["", "{}", "[]", "null", "0", "\"\"", "{", "\0", "{\"iss\":"] {
        target.malformed(hostile);
    }
    target.malformed(format!("[{payload}]"));
    target.malformed(format!("{payload}{payload}"));
    target.malformed(format!("{payload}\n"));
    target.malformed(format!("\u{feff}{payload}"));
    target.malformed(&payload[..payload.len() - 1]);
    target.malformed([payload.as_bytes(), b"\xff"].concat());
    target.malformed(target.with("u-42", "u-42\0"));
    target.malformed(target.with(r#","sub""#, r#", "sub""#));
    target.malformed(target.with(r#"{"iss""#, r#"{"role":"root","iss""#));
    target.malformed(target.with(r#","sub":"u-42""#, ""));
    assert_eq!(target.verify(payload).unwrap().user(), "u-42");
}

/// A parser that recurses runs out of stack on what an 8 KiB token can nest.
#[test]
fn case_01_deep_nesting_under_a_valid_mac() {
    let target = Target::new();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 800] {
            let (opened, closed) = (open.repeat(depth), close.repeat(depth));
            target.malformed(target.with("\"editor\"", &format!("{opened}0{closed}")));
            target.malformed(target.with("\"editor\"", &opened));
            target.malformed(&opened);
        }
    }
}

/// Any byte in place of any other is refused, or changes nothing that the seal binds.
#[test]
fn case_01_any_byte_changed_under_a_valid_mac() {
    let target = Target::new();
    for at in 0..target.payload.len() {
        for byte in [b'"', b'\\', b',', b'}', b' ', b'0', 0, 0xff] {
            let mut payload = target.payload.clone().into_bytes();
            payload[at] = byte;
            if let Ok(verified) = target.verify(payload) {
                assert_eq!(verified.user(), "u-42");
                assert_eq!(verified.session(), "s-1".parse().ok());
                assert!(verified.groups().eq(["org"]));
            }
        }
    }
}

/// Two names that differ as bytes and are the same once unescaped: a filter looks at the one, a
/// parser that takes the last acts upon the other.
#[test]
fn case_02_a_registered_claim_again_through_an_escape() {
    let target = Target::new();
    for again in [
        r#","s\u0075b":"root""#,
        r#","\u0073\u0075\u0062":"root""#,
        r#","\u0065xp":99999999999"#,
        r#","g\u0072p":["admin"]"#,
        r#","se\u0061l":"AAAAAAAAAAAAAAAAAAAAAA""#,
        r#","sub":"root""#,
        r#","SUB":"root""#,
        ",\"\u{17f}ub\":\"root\"",
    ] {
        target.malformed(target.with(r#","role":"editor""#, again));
        target.malformed(target.with(r#","jti""#, &format!("{again},\"jti\"")));
    }
    target.malformed(target.with(r#""sub":"u-42""#, r#""s\u0075b":"u-42""#));
    target.malformed(target.with(r#""u-42""#, r#""\u0075-42""#));
}

/// The same between two claims of the application: whatever reads them later might take either.
#[test]
fn case_02_an_application_claim_again_through_an_escape() {
    let target = Target::new();
    for again in [
        r#","role":"root""#,
        r#","r\u006fle":"root""#,
        r#","\u0072ole":"root""#,
    ] {
        let role = r#","role":"editor""#;
        target.malformed(target.with(role, &format!("{role}{again}")));
        target.malformed(target.with(role, &format!("{again}{role}")));
    }
}

/// Nor can an application be made to sign such a claim.
#[test]
fn case_02_issuing_refuses_duplicates_through_escapes() {
    let (authority, _) = authority();
    let refused = |json: &str| {
        let claims: Box<RawValue> = serde_json::from_str(json).unwrap();
        let issued = authority.issue(Grant::user("u").claims(&claims));
        issued.unwrap_err().label()
    };
    assert_eq!(refused(r#"{"s\u0075b":"root"}"#), "registered_claim");
    assert_eq!(refused(r#"{"Sub":"root"}"#), "registered_claim");
    assert_eq!(refused(r#"{"nb\u0066":1}"#), "registered_claim");
    assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), "duplicate_claim");
}

/// A malformed claim that reads as an absent one lifts the check it stands for. Here each token
/// carries the very seal that it would have without the claim, so nothing else refuses it.
#[test]
fn case_03_a_malformed_session_or_group_is_not_an_absent_one() {
    let target = Target::new();
    let sealed = |old, new: &str, scopes: &[Scope]| target.with_seal_of(old, new, scopes);
    let sid = r#","sid":"s-1""#;
    let absent = sealed(sid, "", &[user(), group()]);
    assert_eq!(target.verify(absent).unwrap().session(), None);
    for wrong in ["null", "\"\"", "0", "false", "[]", "{}", r#"["s-1"]"#] {
        let wrong = format!(r#","sid":{wrong}"#);
        target.malformed(sealed(sid, &wrong, &[user(), group()]));
    }
    let grp = r#","grp":["org"]"#;
    let absent = sealed(grp, "", &[user(), session()]);
    assert_eq!(target.verify(absent).unwrap().groups().count(), 0);
    for wrong in ["null", "\"\"", "[]", "{}", "\"org\"", "[null]", "[[]]"] {
        let wrong = format!(r#","grp":{wrong}"#);
        target.malformed(sealed(grp, &wrong, &[user(), session()]));
    }
}

/// The same of times: one that cannot be read is neither "never" nor "now".
#[test]
fn case_03_a_malformed_time_is_not_an_absent_one() {
    let target = Target::of(Policy::default().max_authentication_age(secs(3600)));
    for (name, value) in [("iat", START), ("exp", START + 900), ("auth_time", START)] {
        let good = format!(r#""{name}":{value}"#);
        for wrong in [
            "null",
            "true",
            "\"\"",
            "[]",
            "-1",
            "1e9",
            &format!("{value}.0"),
            &format!("0{value}"),
            &format!("\"{value}\""),
            &format!("[{value}]"),
        ] {
            target.malformed(target.with(&good, &format!(r#""{name}":{wrong}"#)));
        }
    }
    assert!(target.verify(&target.payload).is_ok());
}

/// An audience that is a list, or an issuer of another type, matches nothing.
#[test]
fn case_03_a_malformed_issuer_or_audience_matches_nothing() {
    let target = Target::new();
    for (name, value) in [("iss", ISSUER), ("aud", AUDIENCE), ("sub", "u-42")] {
        let good = format!(r#""{name}":"{value}""#);
        let list = format!(r#"["{value}"]"#);
        for wrong in ["null", "\"\"", "0", "true", "{}", "[]", &list] {
            target.malformed(target.with(&good, &format!(r#""{name}":{wrong}"#)));
        }
    }
}

/// Nor is a token without an id of its own, or without a seal, one that needs none.
#[test]
fn case_03_a_malformed_id_or_seal_is_not_an_absent_one() {
    let target = Target::new();
    let (before, rest) = target.payload.split_once(r#","jti":"#).unwrap();
    let (id, rest) = rest.split_once(r#","seal":"#).unwrap();
    let seal = &rest[..24];
    let behind = &rest[24..];
    let of = |id: &str, seal: &str| format!("{before}{id}{seal}{behind}");
    let good = |name: &str, value: &str| format!(r#","{name}":{value}"#);
    let payload = of(&good("jti", id), &good("seal", seal));
    assert!(target.verify(&payload).is_ok());
    target.malformed(of("", &good("seal", seal)));
    target.malformed(of(&good("jti", id), ""));
    let short = format!("{}\"", &seal[..22]);
    for wrong in [
        "null",
        "\"\"",
        "0",
        "true",
        "{}",
        "[]",
        &format!("[{seal}]"),
        &short,
    ] {
        target.malformed(of(&good("jti", id), &good("seal", wrong)));
    }
    for wrong in ["null", "\"\"", "0", "true", "{}", "[]", &format!("[{id}]")] {
        target.malformed(of(&good("jti", wrong), &good("seal", seal)));
    }
}
