//! An epoch that is in force everywhere.

mod asking;
mod confirming;
mod eavesdropped;
mod random;
mod silent;
mod threads;

use std::time::Duration;

use epochkey::{Authority, Epoch, Op, ReplicaStatus, StoreError, store::ReplicaId, testing};

use self::eavesdropped::Eavesdropped;
use crate::support::*;

type Everywhere = Op<Vec<ReplicaStatus>, StoreError>;

const MOMENT: Duration = Duration::from_millis(1);

fn is_running(op: &Everywhere) -> bool {
    format!("{op:?}") == "Op(running)"
}

/// What it gave. Whoever waited for one that is running here would wait for ever.
#[track_caller]
fn ended(op: Everywhere) -> Result<Vec<ReplicaStatus>, StoreError> {
    assert!(!is_running(&op));
    op.wait()
}

fn ids(replicas: &[ReplicaStatus]) -> Vec<ReplicaId> {
    replicas.iter().map(ReplicaStatus::id).collect()
}

/// Who has not confirmed, by one exchange.
#[track_caller]
fn behind(replica: &Replica, epoch: Epoch) -> Vec<ReplicaId> {
    let behind = replica.authority.replicas_behind(epoch);
    replica.follow().unwrap();
    ids(&ended(behind).unwrap())
}

/// Lets time pass for all, with an exchange of these replicas every second and at the end.
fn pass(fleet: &Fleet, by: Duration, replicas: &[&Replica]) {
    let mut left = by;
    while !left.is_zero() {
        let step = left.min(secs(1));
        fleet.clock.advance(step);
        left -= step;
        for replica in replicas {
            let _ = replica.follow();
        }
    }
}

/// A replica whose receipts are altered.
fn eavesdropping(fleet: &Fleet) -> (Authority, Eavesdropped) {
    let store = Eavesdropped::on(fleet.server.connect());
    (fleet.builder().open(store.clone()).unwrap(), store)
}

#[track_caller]
fn follow(authority: &Authority) {
    testing::follow(authority).unwrap();
}
