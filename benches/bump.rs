//! What it costs until a bump is in force, with nothing but memory behind it.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench bump`

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use epochkey::{Authority, MemoryStore, Scope};
use epochkey_benches::{AUDIENCE, ISSUER, ours::user};

/// Users who are bumped in turn, so that the table does not grow for ever.
const USERS: usize = 100_000;
const AT_ONCE: usize = 1000;

fn bump(criterion: &mut Criterion) {
    let authority = Authority::builder(ISSUER, AUDIENCE)
        .open(MemoryStore::new())
        .expect("the settings are valid");
    let scopes: Vec<_> = (0..USERS).map(|n| Scope::user(user(n))).collect();

    let mut group = criterion.benchmark_group("bump");
    let mut cycle = scopes.iter().cycle();
    group.bench_function("memory", |bencher| {
        bencher.iter(|| {
            let scope = cycle.next().expect("it is endless").clone();
            authority.bump(scope).wait().expect("a bump")
        });
    });
    // Of each bump.
    let mut cycle = scopes.chunks(AT_ONCE).cycle();
    group.bench_function("memory-1000-at-once", |bencher| {
        bencher.iter_custom(|times| {
            let started = Instant::now();
            for _ in 0..times {
                let scopes = cycle.next().expect("it is endless").iter().cloned();
                let epochs = authority.bump_many(scopes).wait().expect("bumps");
                assert_eq!(epochs.len(), AT_ONCE);
            }
            started.elapsed() / AT_ONCE as u32
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = epochkey_benches::criterion();
    targets = bump
}
criterion_main!(benches);
