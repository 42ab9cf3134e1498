//! Members missing, reordered, repeated, escaped, of the wrong type.

use epochkey::VerifyError;

use super::target;
use crate::support::*;

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
    for member in &members {
        for at in 0..=members.len() {
            let mut doubled = members.clone();
            doubled.insert(at, member.clone());
            let outcome = target.outcome(format!("{{{}}}", doubled.join(",")));
            assert_eq!(outcome, Err(VerifyError::Malformed), "{member} at {at}");
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
        r#","Sub":"root""#,
        r#","EXP":99999999999"#,
        r#","n":1/*"*/,"sub":"root"/*"*/"#,
        r#","n":'"','sub':'root','m':'"'"#,
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
