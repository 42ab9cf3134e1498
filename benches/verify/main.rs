//! What a `verify` costs beside the one HMAC that no verifier can do without, beside libraries
//! that cannot revoke, and beside what people add to these so that they can.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench verify`
//!
//! First come ratios measured in turns, which say more than times on a machine that does other
//! things too; then criterion measures the same rows.

mod ours;
mod remedies;
#[path = "../../examples/replicas/server/mod.rs"]
mod server;
mod sizes;

use criterion::{Criterion, criterion_group, criterion_main};
use epochkey_benches::{
    measure_in_turns,
    peers::{Biscuit, Jsonwebtoken9, Jsonwebtoken11, JwtSimple, PasetorsV4Local, verify_row},
};

/// Users whose tokens are verified in turn, where nothing else is said.
const USERS: usize = 1024;

fn verify(criterion: &mut Criterion) {
    let (mut floor, mut rows) = ours::rows();
    rows.extend([
        verify_row::<Jsonwebtoken9>(USERS),
        verify_row::<Jsonwebtoken11>(USERS),
        verify_row::<JwtSimple>(USERS),
        verify_row::<PasetorsV4Local>(USERS),
        verify_row::<Biscuit>(USERS),
        remedies::denylist_in_process(USERS),
    ]);
    let (_redis, redis) = remedies::redis_denylist(USERS).unzip();
    let (_postgres, postgres) = remedies::postgres_session(USERS).unzip();
    rows.extend(redis.into_iter().chain(postgres));
    sizes::print();
    measure_in_turns("verify", &mut *floor, &mut rows);

    let mut group = criterion.benchmark_group("verify");
    floor.bench(&mut group);
    for row in &mut rows {
        row.bench(&mut group);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = epochkey_benches::criterion();
    targets = verify
}
criterion_main!(benches);
