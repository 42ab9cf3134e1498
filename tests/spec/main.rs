//! SPEC.md: its vector is what the crate makes, and a verifier in another language
//! that was written from it agrees with the crate.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod odd_payloads;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Authority, Grant, MemoryStore, Scope, ScopeKind, SessionId, Token, VerifyError,
    testing::{ManualClock, expose_epoch, expose_secrets, known_secrets},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use ring::hmac;
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn known_authority() -> Authority {
    let builder = Authority::builder("https://issuer.example", "api");
    known_secrets(builder, [7; 32])
        .clock(ManualClock::at_unix_seconds(NOW))
        .open(MemoryStore::new())
        .unwrap()
}

/// Section 6 of the specification, word by word.
fn refresh_token(key: &[u8; 32], session: [u8; 16], counter: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let message = [&session[..], &counter.to_be_bytes()].concat();
    let tag = hmac::sign(&key, &message);
    let session = URL_SAFE_NO_PAD.encode(session);
    let tag = URL_SAFE_NO_PAD.encode(tag);
    format!("ekr1.{session}.{counter}.{tag}")
}

/// What the crate makes is what the specification says, for a session of its own.
#[test]
fn refresh_tokens_are_as_specified() {
    let authority = known_authority();
    let key = expose_secrets(&authority).refresh_key;
    let sessions = authority.sessions();
    let mut pair = sessions.start(Grant::user("u-42"), "").wait().unwrap();
    for counter in 0..12 {
        let mut id = [0; 16];
        let sid = pair.session.id().as_str();
        assert_eq!(URL_SAFE_NO_PAD.decode_slice(sid, &mut id), Ok(16));
        assert_eq!(pair.refresh.as_str(), refresh_token(&key, id, counter));
        pair = sessions.refresh(&pair.refresh).wait().unwrap();
    }
}

#[test]
fn the_vector_in_the_specification_is_what_the_crate_makes() {
    let authority = known_authority();
    let session: SessionId = "s-1".parse().unwrap();
    let grant = || {
        Grant::user("u-42")
            .session(&session)
            .groups(["org:acme", "admin"])
            .authenticated_now()
            .claims(&json!({"role": "editor"}))
    };
    let before = authority.issue(grant()).unwrap();
    authority.bump(Scope::group("org:acme")).wait().unwrap();
    let after = authority.issue(grant()).unwrap();
    assert_eq!(authority.verify(&before).unwrap_err().label(), "revoked");
    assert!(authority.verify(&after).is_ok());

    let secrets = expose_secrets(&authority);
    let key = &secrets.ring_keys[0];
    let (position, epoch_secret) = expose_epoch(&authority, &Scope::group("org:acme")).unwrap();
    assert_eq!((key.position, position), (1, 2));
    let spec = include_str!("../../SPEC.md");
    for (name, value) in [
        ("kid", key.kid.clone()),
        ("ring key", hex(&key.secret)),
        ("introduction nonce", hex(&key.introduction_nonce)),
        ("seal key", hex(&secrets.seal_key)),
        ("refresh key", hex(&secrets.refresh_key)),
        (
            "refresh token",
            refresh_token(&secrets.refresh_key, [1; 16], 7),
        ),
        ("epoch secret", hex(&epoch_secret)),
        ("token before", before.into_string()),
        ("token after", after.into_string()),
    ] {
        assert!(
            spec.contains(&format!("`{value}`")),
            "SPEC.md lacks the {name}: {value}"
        );
    }
}

/// `tests/spec/spec.py`, or `None` where there is no Python.
fn python(input: &str) -> Option<Vec<Value>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spec/spec.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if std::env::var_os("EPOCHKEY_REQUIRE_PYTHON").is_none() => {
            println!("SKIPPED: python3 not found ({error})");
            return None;
        }
        Err(error) => panic!("python3: {error}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

/// What a verifier must know of `authority` to judge tokens with these scopes.
fn state<'a>(authority: &Authority, scopes: impl Iterator<Item = &'a Scope>) -> String {
    let secrets = expose_secrets(authority);
    let keys = secrets.ring_keys.iter().map(|key| {
        json!({
            "kid": key.kid,
            "position": key.position,
            "nonce": hex(&key.introduction_nonce),
            "secret": hex(&key.secret),
            "longest_lifetime": key.longest_lifetime,
        })
    });
    let epochs: BTreeMap<_, _> = scopes
        .filter_map(|scope| {
            let (position, secret) = expose_epoch(authority, scope)?;
            let kind = match scope.kind() {
                ScopeKind::User => 1,
                ScopeKind::Session => 2,
                ScopeKind::Group => 3,
                _ => unreachable!(),
            };
            Some((
                format!("{kind} {}", scope.id()),
                json!([position, hex(&secret)]),
            ))
        })
        .collect();
    let state = json!({
        "issuer": "https://issuer.example",
        "audiences": ["api"],
        "now": NOW,
        "leeway": 4,
        "max_length": 8192,
        "keys": keys.collect::<Vec<_>>(),
        "seal_key": hex(&secrets.seal_key),
        "epochs": epochs,
    });
    json!({ "state": state }).to_string() + "\n"
}

struct Issued {
    token: Token,
    scopes: Vec<Scope>,
}

fn issue_random(authority: &Authority, count: usize) -> Vec<Issued> {
    let id = || "[^\\pC\"\\\\]{1,30}|[a-z]{1,3}";
    let grants = (
        id(),
        proptest::option::of(id()),
        proptest::collection::hash_set(id(), 0..=8),
        1..=900_u64,
        proptest::collection::btree_map("[a-z]{1,9}_", "\\PC{0,20}", 0..4),
    );
    let mut runner = TestRunner::deterministic();
    let issue = |_| {
        let (user, session, groups, lifetime, claims) =
            grants.new_tree(&mut runner).unwrap().current();
        let mut scopes = vec![Scope::user(&user)];
        let mut grant = Grant::user(user).claims(&claims);
        grant = grant.lifetime(std::time::Duration::from_secs(lifetime));
        if let Some(session) = session {
            let session = session.parse().unwrap();
            grant = grant.session(&session);
            scopes.push(Scope::session(&session));
        }
        scopes.extend(groups.iter().map(Scope::group));
        let token = authority.issue(grant.groups(groups)).unwrap();
        Issued { token, scopes }
    };
    (0..count).map(issue).collect()
}

/// What the crate says of a token, in the words of the Python verifier.
fn ours(authority: &Authority, token: &str) -> Value {
    match authority.verify(token) {
        Ok(verified) => {
            let expires_at = verified.expires_at().duration_since(std::time::UNIX_EPOCH);
            json!({
                "sub": verified.user(),
                "sid": verified.session().map(|id| id.to_string()),
                "grp": verified.groups().collect::<Vec<_>>(),
                "exp": expires_at.unwrap().as_secs(),
                "claims": verified.claims::<Value>().unwrap(),
            })
        }
        Err(error) => Value::from(error.label()),
    }
}

#[test]
fn a_verifier_written_from_the_specification_agrees() {
    let authority = known_authority();
    let issued = issue_random(&authority, 1000);
    let scopes = || issued.iter().flat_map(|issued| &issued.scopes);
    let good: Vec<_> = issued
        .iter()
        .map(|issued| issued.token.as_str().to_owned())
        .collect();
    // A character of each token replaced, all over its length.
    let tampered: Vec<_> = good
        .iter()
        .enumerate()
        .map(|(n, token)| {
            let mut token = token.clone();
            let at = n * 7919 % token.len();
            token.replace_range(at..=at, if &token[at..=at] == "A" { "B" } else { "A" });
            token
        })
        .collect();
    let ask = |tokens: &[&Vec<String>]| {
        let tokens = tokens.iter().flat_map(|tokens| tokens.iter());
        let tokens: Vec<_> = tokens
            .map(|token| json!({ "token": token }).to_string())
            .collect();
        python(&(state(&authority, scopes()) + &tokens.join("\n") + "\n"))
    };

    let Some(answers) = ask(&[&good, &tampered]) else {
        return;
    };
    assert_eq!(answers.len(), 2000);
    for (token, theirs) in good.iter().chain(&tampered).zip(&answers) {
        assert_eq!(ours(&authority, token), *theirs, "{token}");
    }
    assert!(answers[..1000].iter().all(Value::is_object), "all good");
    assert!(answers[1000..].iter().all(Value::is_string), "none good");

    // One scope of each is bumped, its first, second …
    let bumped = issued
        .iter()
        .enumerate()
        .map(|(n, issued)| &issued.scopes[n % issued.scopes.len()]);
    authority.bump_many(bumped.cloned()).wait().unwrap();
    for Issued { token, .. } in &issued {
        assert!(matches!(
            authority.verify(token),
            Err(VerifyError::Revoked { .. })
        ));
    }
    let fresh: Vec<_> = issue_random(&authority, 1000)
        .into_iter()
        .map(|i| i.token.into_string())
        .collect();
    let answers = ask(&[&good, &fresh]).unwrap();
    assert!(answers[..1000].iter().all(|answer| answer == "revoked"));
    for (token, theirs) in fresh.iter().zip(&answers[1000..]) {
        assert_eq!(ours(&authority, token), *theirs, "{token}");
        assert!(theirs.is_object(), "issued after the bumps");
    }
}
