//! A commit is two flights: the first locks and reads, the second writes. One whose first flight
//! does not come through has made nothing.

use crate::{
    Postgres,
    faults::network::fleet::{Fleet, Replica, assert_all_calm, settle},
    network::Way,
};

/// In the statement that locks, which is in the first flight.
const LOCKS: &str = "FOR UPDATE";
/// In the second flight, and in the answers to it.
const WRITES: &[u8] = b"INSERT";
/// How the server ends each of its answers within a transaction, and how many there are to the
/// first flight of a bump.
const READY: &[u8] = b"Z\0\0\0\x05T";
const ANSWERS: usize = 6;
/// Between two cuts.
const STEP: usize = 61;

fn count(bytes: &[u8], what: &[u8]) -> usize {
    let parts = bytes.windows(what.len());
    parts.filter(|part| *part == what).count()
}

/// Cuts one connection of a bump after so many bytes. Gives what was carried of the first
/// flight, or of the answers to it, and whether it was acknowledged.
fn bump_cut(replicas: &[Replica; 2], way: Way, bytes: usize) -> (Vec<u8>, bool) {
    let [broken, other] = replicas;
    let user = &format!("{way:?} {bytes}");
    let (token, bystander) = (broken.issue(user), other.issue("bystander"));
    let before = settle(replicas);
    let bytes = u64::try_from(bytes).unwrap();
    match way {
        Way::ToServer => broken.proxy.cut_request(LOCKS, bytes),
        Way::ToClient => broken.proxy.cut_answer(LOCKS, bytes),
    }
    let acknowledged = broken.begin_bump(user).wait().is_ok();
    assert!(!broken.proxy.cuts_pend(), "no more than {bytes} bytes");
    let carried = broken.proxy.carried_before_cut();
    let after = settle(replicas);
    let is_first = count(&carried, WRITES) == 0 && count(&carried, READY) < ANSWERS;
    if let (Some(before), Some(after)) = (before, after)
        && is_first
    {
        let positions = 1 + u64::from(acknowledged);
        assert_eq!(after - before, positions, "cut after {bytes} bytes");
    }
    for replica in replicas {
        replica.until_good(&bystander);
        if is_first && acknowledged {
            assert_ne!(replica.outcome(&token), "good");
        } else if is_first {
            replica.until_good(&token);
        }
    }
    (carried, acknowledged)
}

/// Until the second flight is reached.
fn cut_the_first_flight(replicas: &[Replica; 2], way: Way, is_over: impl Fn(&[u8]) -> bool) {
    let (mut cuts, mut acknowledged) = (0, 0);
    for bytes in (0..).step_by(STEP) {
        let (carried, is_acknowledged) = bump_cut(replicas, way, bytes);
        if is_over(&carried) {
            break;
        }
        cuts += 1;
        acknowledged += usize::from(is_acknowledged);
    }
    // On a machine that is slow for a moment one may fail.
    assert!(
        cuts > 5 && acknowledged > cuts / 2,
        "{acknowledged} of {cuts}"
    );
}

#[test]
fn a_commit_that_is_cut_before_it_writes_is_asked_for_again() {
    let Some(fleet) = Fleet::<Postgres>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    cut_the_first_flight(&replicas, Way::ToServer, |carried| {
        count(carried, WRITES) > 0
    });
    cut_the_first_flight(&replicas, Way::ToClient, |carried| {
        count(carried, READY) >= ANSWERS
    });
    assert_all_calm(&replicas);
}
