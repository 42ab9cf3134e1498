//! A commit is two flights: the first locks and reads, the second writes. One whose first flight
//! does not come through has made nothing.

use crate::{
    Postgres,
    faults::network::fleet::{Fleet, Replica, assert_all_calm, settle},
    network::Way,
};

/// In the statement that locks, which is in the first flight.
const LOCKS: &str = "_lock_head\0";
/// In the second flight.
const WRITES: &[u8] = b"_append (";
/// With what each question ends but the first, which is a script.
const ASKED: &[u8] = b"S\0\0\0\x04";
/// With what each answer ends.
const ANSWERED: &[u8] = b"Z\0\0\0\x05T";
/// Between two cuts.
const STEP: usize = 61;

fn count(bytes: &[u8], what: &[u8]) -> usize {
    let parts = bytes.windows(what.len());
    parts.filter(|part| *part == what).count()
}

/// Cuts the connection of a bump after so many bytes. Gives what was carried from the first
/// flight on, and whether the bump was acknowledged; `None` if that `is_over`.
fn bump_cut(
    replicas: &[Replica; 2],
    (way, bytes): (Way, usize),
    is_over: &dyn Fn(&[u8]) -> bool,
) -> (Vec<u8>, Option<bool>) {
    let [broken, other] = replicas;
    let user = &format!("{way:?} {bytes}");
    let (token, bystander) = (broken.issue(user), other.issue("bystander"));
    // What breaks is asked again if the connection was there already.
    broken.bump("nobody");
    let before = settle(replicas);
    let left = u64::try_from(bytes).unwrap();
    match way {
        Way::ToServer => broken.proxy.cut_request(LOCKS, left),
        Way::ToClient => broken.proxy.cut_answer(LOCKS, left),
    }
    let acknowledged = broken.begin_bump(user).wait().is_ok();
    assert!(!broken.proxy.cuts_pend(), "no more than {bytes} bytes");
    let carried = broken.proxy.carried_before_cut();
    let after = settle(replicas);
    if is_over(&carried) {
        return (carried, None);
    }
    if acknowledged && let (Some(before), Some(after)) = (before, after) {
        assert_eq!(after - before, 2, "cut after {bytes} bytes");
    }
    for replica in replicas {
        replica.until_good(&bystander);
        if acknowledged {
            assert_ne!(replica.outcome(&token), "good");
        }
    }
    (carried, Some(acknowledged))
}

/// Cuts everywhere, until it is over. Gives what was carried then.
fn cut_everywhere(replicas: &[Replica; 2], way: Way, is_over: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut cuts = Vec::new();
    for bytes in (0..).step_by(STEP) {
        let (carried, acknowledged) = bump_cut(replicas, (way, bytes), &is_over);
        let Some(acknowledged) = acknowledged else {
            // On a machine that is slow for a moment some may fail.
            let made = cuts.iter().filter(|acknowledged| **acknowledged).count();
            assert!(cuts.len() > 5 && made > cuts.len() / 2, "{cuts:?}");
            return carried;
        };
        cuts.push(acknowledged);
    }
    unreachable!("a bump has an end")
}

#[test]
fn a_commit_that_is_cut_before_it_writes_is_asked_for_again() {
    let Some(fleet) = Fleet::<Postgres>::start() else {
        return;
    };
    let replicas = fleet.replicas::<2>();
    let writes = |carried: &[u8]| count(carried, WRITES) > 0;
    let request = cut_everywhere(&replicas, Way::ToServer, writes);
    let questions = 1 + count(&request, ASKED);
    let has_all = |carried: &[u8]| count(carried, ANSWERED) >= questions;
    cut_everywhere(&replicas, Way::ToClient, has_all);
    assert_all_calm(&replicas);
}
