//! What a `verify` costs beside the one HMAC that no verifier can do without.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench verify`

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

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
    let verify = |token: &String| {
        let verified = authority.verify(black_box(token));
        verified.expect("the token is good")
    };

    // Ring's HMAC over the same signing inputs, under a key that is set up.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let signed: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (input, _) = token.rsplit_once('.').expect("a token has two dots");
            (input.as_bytes(), hmac::sign(&key, input.as_bytes()))
        })
        .collect();
    let check = |(input, tag): &(&[u8], hmac::Tag)| {
        hmac::verify(&key, black_box(input), tag.as_ref()).expect("the tag is right");
    };
    let length = signed.iter().map(|(input, _)| input.len()).sum::<usize>() / USERS;
    println!(
        "signing input: {length} bytes, token: {} bytes",
        tokens[0].len()
    );

    in_turns(
        || signed.iter().for_each(check),
        || tokens.iter().for_each(|token| drop(verify(token))),
    );

    let mut group = criterion.benchmark_group("verify");
    let mut cycle = signed.iter().cycle();
    group.bench_function("floor-ring-hmac", |bencher| {
        bencher.iter(|| cycle.next().map(check));
    });
    let mut cycle = tokens.iter().cycle();
    group.bench_function("epochkey-first-sight-cold-seal", |bencher| {
        bencher.iter(|| cycle.next().map(verify));
    });
    group.finish();

    // One token, so one user and one shard of the table, on one thread and on two.
    let mut group = criterion.benchmark_group("scale");
    for threads in [1, 2] {
        group.bench_function(format!("floor-ring-hmac/{threads}"), |bencher| {
            bencher.iter_custom(|times| on_threads(threads, times, || check(&signed[0])));
        });
        group.bench_function(format!("epochkey-one-user/{threads}"), |bencher| {
            bencher.iter_custom(|times| on_threads(threads, times, || drop(verify(&tokens[0]))));
        });
    }
    group.finish();
}

/// Prints the ratio of the two, measured in turns of a millisecond: on a shared machine
/// a busy neighbour then slows both, and not the one that criterion has its turn for.
fn in_turns(floor: impl Fn(), verify: impl Fn()) {
    let time = |action: &dyn Fn()| {
        let started = Instant::now();
        action();
        started.elapsed()
    };
    let mut ratios: Vec<_> = (0..2000)
        .map(|_| {
            let floor = time(&floor);
            time(&verify).div_duration_f64(floor)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let quantile = |q: f64| ratios[(ratios.len() as f64 * q) as usize];
    println!(
        "epochkey-first-sight-cold-seal / floor-ring-hmac, in turns: median {:.2}, 90 % below {:.2}",
        quantile(0.5),
        quantile(0.9)
    );
}

/// How long it takes until each of `threads` threads has done `action` `times` times.
fn on_threads(threads: usize, times: u64, action: impl Fn() + Sync) -> Duration {
    let barrier = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    (0..times).for_each(|_| action());
                })
            })
            .collect();
        barrier.wait();
        let started = Instant::now();
        for worker in workers {
            worker.join().expect("the action does not panic");
        }
        started.elapsed()
    })
}

criterion_group!(benches, verify);
criterion_main!(benches);
