//! What a `verify` costs beside the one HMAC that no verifier can do without.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench verify`

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use epochkey::{Authority, Grant, MemoryStore, Scope};
use ring::hmac;

/// Users whose tokens are verified in turn.
const USERS: usize = 1024;
/// Other users in the epoch table.
const OTHER_USERS: usize = 1_000_000;

/// An authority with a million bumped users, and tokens of 1,024 others.
fn authority_and_tokens() -> (Authority, Vec<String>) {
    let authority = Authority::builder("https://issuer.example", "api")
        .token_lifetime(Duration::from_secs(24 * 3600))
        .open(MemoryStore::new())
        .expect("the settings are valid");
    let others = (0..OTHER_USERS).map(|n| Scope::user(format!("other-{n}")));
    authority
        .bump_many(others)
        .wait()
        .expect("memory does not fail");
    assert_eq!(authority.stats().epochs, OTHER_USERS);
    let token = |n: usize| {
        let grant = Grant::user(format!("user-{n:06}"));
        authority
            .issue(grant)
            .expect("the grant is valid")
            .into_string()
    };
    let tokens = (0..USERS).map(token).collect();
    (authority, tokens)
}

fn verify(criterion: &mut Criterion) {
    let (authority, tokens) = authority_and_tokens();
    let mut group = criterion.benchmark_group("verify");

    // Ring's HMAC over the same signing inputs, under a key that is set up.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signed: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (input, _) = token.rsplit_once('.').expect("a token has two dots");
            (input.as_bytes(), hmac::sign(&key, input.as_bytes()))
        })
        .collect();
    let length = signed.iter().map(|(input, _)| input.len()).sum::<usize>() / USERS;
    println!(
        "signing input: {length} bytes, token: {} bytes",
        tokens[0].len()
    );

    let mut cycle = signed.iter().cycle();
    group.bench_function("floor-ring-hmac", |bencher| {
        bencher.iter(|| {
            let (input, tag) = cycle.next().expect("a cycle has no end");
            hmac::verify(&key, black_box(input), tag.as_ref()).expect("the tag is right");
        });
    });

    let mut cycle = tokens.iter().cycle();
    group.bench_function("epochkey-first-sight-cold-seal", |bencher| {
        bencher.iter(|| {
            let token = cycle.next().expect("a cycle has no end");
            authority
                .verify(black_box(token))
                .expect("the token is good")
        });
    });
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
