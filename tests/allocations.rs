//! A successful `verify` makes one heap allocation, whatever the token carries, and none for a
//! token that the thread knows.

#![allow(clippy::unwrap_used)]

use epochkey::{Authority, Grant, MemoryStore, Policy, Scope, VerifyError, testing};
use serde_json::json;

#[test]
fn verify_allocates_once() {
    let authority = Authority::builder("https://issuer.test", "api")
        .policy(Policy::default().thread_caches(false))
        .open(MemoryStore::new())
        .unwrap();
    let session = "s-1".parse().unwrap();
    let grants = [
        Grant::user("u"),
        Grant::user("u")
            .session(&session)
            .groups((0..8).map(|n| format!("g-{n}"))),
        Grant::user("u")
            .authenticated_now()
            .claims(&json!({"text": "x".repeat(5000)})),
    ];
    authority.bump(Scope::user("u")).wait().unwrap();
    for grant in grants {
        let token = authority.issue(grant).unwrap();
        // Thread-local and other one-time set-up is not the token's.
        authority.verify(&token).unwrap();
        let mut verified = None;
        let count = allocation_counter::measure(|| verified = Some(authority.verify(&token)));
        let verified = verified.unwrap().unwrap();
        assert_eq!(count.count_total, 1, "{} bytes", token.as_str().len());

        let count = allocation_counter::measure(|| authority.recheck(&verified).unwrap());
        assert_eq!(count.count_total, 0, "recheck");
        let count = allocation_counter::measure(|| drop(verified.clone()));
        assert_eq!(count.count_total, 0, "clone");
    }
}

#[test]
fn a_known_token_costs_no_allocation() {
    let authority = Authority::builder("https://issuer.test", "api")
        .policy(Policy::default().thread_caches(true))
        .open(MemoryStore::new())
        .unwrap();
    let token = authority.issue(Grant::user("u").group("g")).unwrap();
    (0..2).for_each(|_| drop(authority.verify(&token).unwrap()));
    for user in ["another", "u", "another"] {
        let count = allocation_counter::measure(|| drop(authority.verify(&token).unwrap()));
        assert_eq!(count.count_total, 0);
        if user == "another" {
            authority.bump(Scope::user(user)).wait().unwrap();
        }
    }
}

/// Bytes that were never signed cost no allocation, however many there are.
#[test]
fn refusing_a_forgery_allocates_nothing() {
    let authority = testing::authority().unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    let longer = format!("{}A", token.as_str());
    // As well formed as a good one.
    let (signed, signature) = token.as_str().rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{signed}.{other}{}", &signature[1..]);
    assert_eq!(
        authority.verify(&forged).unwrap_err(),
        VerifyError::BadSignature
    );
    let long = "x".repeat(1_000_000);
    for bytes in [forged.as_str(), &longer, "", "a.b.c", &long] {
        let _ = authority.verify(bytes);
        let count = allocation_counter::measure(|| assert!(authority.verify(bytes).is_err()));
        assert_eq!(count.count_total, 0);
    }
}

/// What `Policy::thread_caches` says of memory.
#[test]
fn what_a_thread_remembers_is_bounded() {
    const MIB: i64 = 1 << 20;
    // No more of either would be remembered.
    let (longest_user, longest_token) = ("u".repeat(240), "x".repeat(310));
    for (user, filling, at_least, at_most) in [
        ("user", "", MIB, 2 * MIB),
        (&longest_user, &longest_token, 4 * MIB, 6 * MIB),
    ] {
        let remembered = std::thread::spawn({
            let (user, filling) = (user.to_owned(), filling.to_owned());
            move || fill_the_caches(&user, &filling)
        });
        let bytes = remembered.join().unwrap();
        assert!((at_least..=at_most).contains(&bytes), "{bytes} bytes");
    }
}

/// How many bytes this thread keeps, for tokens of many users.
fn fill_the_caches(user: &str, filling: &str) -> i64 {
    let authority = Authority::builder("https://issuer.test", "api")
        .policy(Policy::default().thread_caches(true))
        .open(MemoryStore::new())
        .unwrap();
    let kept = allocation_counter::measure(|| {
        for number in 0..8192 {
            let grant = Grant::user(format!("{user}-{number:06}"));
            let token = authority.issue(grant.claims(&json!({"filling": filling})));
            let token = token.unwrap();
            (0..3).for_each(|_| drop(authority.verify(&token).unwrap()));
        }
    });
    kept.bytes_current
}
