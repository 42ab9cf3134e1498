//! When the networks work again, all replicas agree, and nothing is lost.

use super::{
    super::fleet::{assert_all_calm, settle, until},
    World,
    ledger::Issued,
    work::{Worker, users},
};
use crate::random::Random;

pub(super) fn judge(world: &World<'_>, seed: u64) {
    let replicas = world.replicas;
    let mut random = Random::new(seed);
    let workers: Vec<_> = (0..replicas.len())
        .map(|at| Worker::new(world, at, random.next()))
        .collect();
    until("all recover", || {
        !replicas.iter().any(|replica| replica.is_stale())
    });
    settle(replicas);
    until("all are at the same position", || {
        let positions = replicas
            .iter()
            .map(|replica| replica.authority.stats().position);
        positions.clone().min() == positions.max()
    });
    let mut undecided = world.ledger.tokens();
    until("all agree about each token", || {
        undecided.retain(|issued| !agree(&workers, issued));
        undecided.is_empty() || world.ledger.is_violated()
    });
    for client in world.ledger.clients() {
        let mut client = client.lock().unwrap();
        let worker = random.pick(&workers);
        until("the client is told", || worker.refresh_for(&mut client));
    }
    for user in users(world) {
        let sessions = replicas.iter().map(|replica| replica.sessions(&user));
        assert_eq!(sessions.clone().min(), sessions.max(), "{user}");
    }
    assert_all_calm(replicas);
    assert_revocable(world);
}

/// Whether all replicas are sure, and of the same.
fn agree(workers: &[Worker<'_>], issued: &Issued) -> bool {
    let mut outcomes = workers.iter().map(|worker| worker.verify_of(issued).1);
    let first = outcomes.next();
    first != Some("stale_epochs") && outcomes.all(|outcome| Some(outcome) == first)
}

/// None was sealed in a way that no bump reaches.
fn assert_revocable(world: &World<'_>) {
    for user in users(world) {
        world.replicas[0].bump(&user);
    }
    settle(world.replicas);
    for issued in world.ledger.tokens() {
        for replica in world.replicas {
            assert_ne!(replica.outcome(&issued.token), "good", "{issued:?}");
        }
    }
}
