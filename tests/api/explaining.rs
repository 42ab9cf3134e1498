//! `explain` names the step that `verify` failed at.

use epochkey::{
    Authority, Grant, MasterSecret, Policy, Scope, Step,
    testing::{self, FaultyStore, ManualClock},
};

use crate::support::*;

#[track_caller]
fn explains(authority: &Authority, token: impl AsRef<[u8]>, step: Step, advice: &str) {
    let token = token.as_ref();
    let explanation = authority.explain(token);
    let (failed, error) = explanation.failure().expect("it is refused");
    assert_eq!(failed, step);
    assert_eq!(*error, authority.verify(token).unwrap_err());
    assert!(
        explanation.advice().contains(advice),
        "{}",
        explanation.advice()
    );
    let text = explanation.to_string();
    let steps: Vec<_> = text.lines().filter(|line| line.contains(". ")).collect();
    let steps = steps
        .iter()
        .take_while(|line| !line.contains(explanation.advice()));
    let steps: Vec<_> = steps.collect();
    let (last, before) = steps.split_last().unwrap();
    assert!(before.iter().all(|line| line.ends_with("passed")), "{text}");
    assert!(
        last.contains(&format!("{step}")) && format!("{step}").len() > 3,
        "{text}"
    );
    assert!(
        last.contains("FAILED") && last.contains(error.label()),
        "{text}"
    );
}

#[test]
fn every_step() {
    let policy = Policy::default().max_authentication_age(secs(600));
    let (authority, clock) = authority_with(policy);
    let forger = Forger::of(&authority);
    let token = authority
        .issue(Grant::user("u-1").authenticated_now())
        .unwrap();
    let payload = payload_of(&token);
    let good = token.as_str();

    let explanation = authority.explain(good);
    assert!(explanation.failure().is_none());
    assert_eq!(explanation.to_string().matches("passed").count(), 9);

    explains(&authority, "x", Step::Shape, "two dots");
    explains(&authority, "Bearer x", Step::Shape, "without \"Bearer \"");
    let alone = "Pass the token alone";
    explains(&authority, format!("Bearer {good}"), Step::RingKey, alone);
    explains(&authority, format!("\"{good}\""), Step::RingKey, alone);
    explains(&authority, format!("{good}\n"), Step::Signature, alone);
    explains(&authority, "a.b.c", Step::RingKey, "live ring key");
    let kid = &testing::expose_secrets(&authority).ring_keys[0].kid;
    explains(&authority, "a.b.c", Step::RingKey, &kid.to_string());
    explains(
        &authority,
        &good[..good.len() - 1],
        Step::Signature,
        "altered",
    );
    explains(&authority, forger.sign("{}"), Step::Payload, "canonical");
    let other = forger.sign(payload.replace(ISSUER, "https://other"));
    explains(&authority, other, Step::IssuerAndAudience, ISSUER);
    let other = forger.sign(payload.replace("\"api\"", "\"other\""));
    explains(
        &authority,
        other,
        Step::IssuerAndAudience,
        "accept_audience",
    );
    let old = forger.sign(payload.replace(&format!("\"exp\":{}", START + 900), "\"exp\":1"));
    explains(&authority, old, Step::Times, "lifetime");
    let future = forger.sign(payload.replace(&format!("\"iat\":{START}"), "\"iat\":1900000000"));
    explains(&authority, future, Step::Times, "clocks");
    let long = forger.sign(
        payload
            .replace(&format!("\"iat\":{START}"), "\"iat\":1")
            .replace(&format!(",\"auth_time\":{START}"), ""),
    );
    explains(&authority, long, Step::Times, "introduced for");
    explains(
        &authority,
        forger.sign(payload.replace("u-1", "u-2")),
        Step::Seal,
        "Swap it",
    );
    clock.advance(secs(601));
    explains(&authority, good, Step::Authentication, "authenticated_now");
    bump(&authority, Scope::user("u-1"));
    explains(&authority, good, Step::Seal, "user was bumped");
    assert!(
        !authority.explain(good).to_string().contains("u-1"),
        "no claims"
    );
}

/// After a group's bump, a client that can refresh need not log in.
#[test]
fn what_the_client_does_depends_on_what_was_bumped() {
    let (authority, _clock) = authority();
    for (scope, advice) in [
        (Scope::group("g"), "refreshes it"),
        (Scope::user("u"), "must log in again"),
    ] {
        let token = authority.issue(Grant::user("u").group("g")).unwrap();
        authority.bump(scope).wait().unwrap();
        explains(&authority, token, Step::Seal, advice);
    }
}

/// What is new elsewhere is not yet known here, and a replica that hears nothing knows nothing.
#[test]
fn what_a_replica_lacks() {
    let clock = ManualClock::at_unix_seconds(START);
    let server = FaultyStore::new(clock.clone());
    let secret = MasterSecret::generate().unwrap();
    let open = |store: FaultyStore| {
        let builder = Authority::builder(ISSUER, AUDIENCE)
            .policy(Policy::default().rotate_by_hand())
            .master_secret(secret.clone())
            .clock(clock.clone());
        testing::by_hand(builder).open(store).unwrap()
    };
    let (there, here) = (open(server.connect()), open(server.connect()));
    let known = there.issue(Grant::user("u")).unwrap();
    testing::finish(&there, there.bump(Scope::user("u"))).unwrap();
    let newer = there.issue(Grant::user("u")).unwrap();
    explains(
        &here,
        &newer,
        Step::Seal,
        "issued by another replica after a bump",
    );
    testing::finish(&there, there.swap_key()).unwrap();
    let under_a_new_key = there.issue(Grant::user("u")).unwrap();
    explains(&here, &under_a_new_key, Step::RingKey, "live ring key");
    clock.advance(secs(11));
    explains(&here, &under_a_new_key, Step::RingKey, "the key may be new");
    explains(&here, &known, Step::Freshness, "no fresh news of the store");
}
