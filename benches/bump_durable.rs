//! What it costs until a bump is on the disk, alone and beside others.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench bump-durable`

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use epochkey::{Authority, MasterSecret, RedbStore, Scope};

fn bump_durable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bump-durable");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8));
    for threads in [1_u64, 8, 64] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let authority = Authority::builder("https://issuer.example", "api")
            .master_secret(MasterSecret::generate().expect("random bytes"))
            .open(RedbStore::open(directory.path().join("auth.redb")).expect("a store"))
            .expect("an authority");
        let next = AtomicU64::new(0);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|bumps| bump(&authority, threads, &next, bumps));
        });
    }
    group.finish();
}

/// How long so many bumps take, shared among threads of which each waits for its own.
fn bump(authority: &Authority, threads: u64, next: &AtomicU64, bumps: u64) -> Duration {
    let last = next.load(Ordering::SeqCst) + bumps;
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= last {
                        return;
                    }
                    let scope = Scope::user(format!("user-{number}"));
                    black_box(authority.bump(scope).wait()).expect("a bump");
                }
            });
        }
    });
    let elapsed = started.elapsed();
    next.store(last, Ordering::SeqCst);
    elapsed
}

criterion_group!(benches, bump_durable);
criterion_main!(benches);
