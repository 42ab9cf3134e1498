//! What asking costs, and how it ends when the store does not answer.

use std::sync::atomic::Ordering;

use epochkey::{
    Observer, Scope,
    store::{EventId, Place, ReplicaId},
};

use super::*;

fn reads(store: &Eavesdropped) -> usize {
    store.reads.load(Ordering::SeqCst)
}

#[test]
fn a_stale_replica_does_not_know() {
    let fleet = Fleet::new();
    let (ours, _theirs) = (fleet.replica(), fleet.replica());
    let epoch = ours.bump("u");
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    ours.link.cut();
    fleet.clock.advance(secs(10));
    assert!(ours.follow().is_err());
    assert!(is_running(&everywhere));
    fleet.clock.advance(MOMENT);
    let behind = ours.authority.replicas_behind(epoch);
    assert!(ours.follow().is_err());
    for op in [everywhere, behind] {
        assert_eq!(ended(op).unwrap_err().label(), "stale");
    }
}

#[test]
fn nor_does_one_that_nobody_follows_the_store_for() {
    struct Panicking;
    impl Observer for Panicking {
        fn bumped(&self, _: Epoch) {
            panic!("an observer must not panic");
        }
    }
    let builder = Authority::builder("i", "a").observer(Panicking);
    let authority = builder.open(epochkey::MemoryStore::new()).unwrap();
    let epoch = Fleet::new().replica().bump("u");
    assert!(authority.bump(Scope::user("u")).wait().is_err());
    for op in [
        authority.applied_everywhere(epoch),
        authority.replicas_behind(epoch),
    ] {
        assert!(op.wait().is_err());
    }
}

/// News comes, and receipts do not: who waits is told so, no later than it would have been
/// told otherwise.
#[test]
fn receipts_that_cannot_be_read_are_an_error() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let _theirs = fleet.replica();
    let epoch = testing::finish(&ours, ours.bump(Scope::user("u"))).unwrap();
    store.fails.store(true, Ordering::SeqCst);
    let everywhere = ours.applied_everywhere(epoch);
    for _ in 0..14 {
        assert_eq!(testing::follow(&ours).unwrap_err().label(), "unavailable");
        fleet.clock.advance(secs(1));
    }
    assert!(is_running(&everywhere));
    assert!(
        ours.freshness().is_fresh(),
        "its news is not the worse for it"
    );
    fleet.clock.advance(MOMENT);
    assert!(testing::follow(&ours).is_err());
    assert_eq!(ended(everywhere).unwrap_err().label(), "unavailable");
    follow(&ours);
    // One failure is not the end.
    let everywhere = ours.applied_everywhere(epoch);
    assert!(testing::follow(&ours).is_err());
    store.fails.store(false, Ordering::SeqCst);
    store.alter(Vec::clear);
    follow(&ours);
    assert_eq!(ended(everywhere).unwrap(), []);
}

#[test]
fn many_who_ask_at_once_are_answered_by_few_reads() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let theirs = fleet.replica();
    let scopes = (0..100).map(|number| Scope::user(number.to_string()));
    let epochs = testing::finish(&ours, ours.bump_many(scopes)).unwrap();
    let ops: Vec<_> = epochs
        .iter()
        .map(|epoch| ours.applied_everywhere(*epoch))
        .collect();
    for _ in 0..7 {
        follow(&ours);
    }
    assert!(ops.iter().all(is_running));
    theirs.follow().unwrap();
    theirs.follow().unwrap();
    for _ in 0..7 {
        follow(&ours);
    }
    assert_eq!(reads(&store), 14);
    for op in ops {
        assert_eq!(ended(op).unwrap(), []);
    }
}

/// Dropped, it goes on, and ends by itself.
#[test]
fn nobody_asks_when_all_is_known() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let _silent = fleet.replica();
    let epoch = testing::finish(&ours, ours.bump(Scope::user("u"))).unwrap();
    follow(&ours);
    assert_eq!(reads(&store), 0);
    drop(ours.applied_everywhere(epoch));
    drop(ours.replicas_behind(epoch));
    for seconds in 0..=14 {
        follow(&ours);
        assert_eq!(reads(&store), seconds + 1);
        fleet.clock.advance(secs(1));
    }
    for _ in 0..3 {
        follow(&ours);
        assert_eq!(reads(&store), 16);
    }
}

/// More of them than are looked at in one exchange, and each shows another place every time, of a
/// past that was lost.
#[test]
fn who_is_behind_is_told_though_all_go_on() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let _theirs = fleet.replica();
    let epoch = testing::finish(&ours, ours.bump(Scope::user("u"))).unwrap();
    let mut drawn = 0_u128;
    store.alter(move |receipts| {
        let of_theirs = receipts.iter().find(|receipt| {
            let applied = receipt.heartbeat.applied;
            applied.is_some_and(|applied| applied.position < epoch.position())
        });
        let template = *of_theirs.unwrap();
        *receipts = vec![template; 40];
        for (number, receipt) in receipts.iter_mut().enumerate() {
            drawn += 1;
            receipt.heartbeat.replica = ReplicaId::from_bytes([number as u8; 16]);
            receipt.heartbeat.applied = template.heartbeat.applied.map(|applied| Place {
                position: epoch.position(),
                event: EventId::from_bytes(drawn.to_be_bytes()),
                ..applied
            });
        }
    });
    let behind = ours.replicas_behind(epoch);
    for _ in 0..3 {
        assert!(is_running(&behind));
        follow(&ours);
    }
    assert_eq!(ended(behind).unwrap().len(), 40);
}
