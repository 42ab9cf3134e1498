//! Replicas that all rotate at the same time.

use epochkey::{RotateError, Store, store::StoreTime, testing};

use super::{
    Kind,
    fleet::{Fleet, Replica, restarts, seconds, soon_stale, until},
};
use crate::server::{self, Server};

const REPLICAS: usize = 8;

/// None of them has seen another's key.
pub(crate) fn of_eight_rotations_at_once_one_is_made<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::patient(server.url());
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|_| Replica::open(testing::by_hand(fleet.builder()), fleet.store()))
        .collect();
    let token = replicas[0].issue("u");
    let rotations = replicas
        .iter()
        .map(|replica| replica.authority.rotate_key());
    let rotations: Vec<_> = rotations.collect();
    let mut made = 0;
    for (replica, rotation) in replicas.iter().zip(rotations) {
        match testing::finish(&replica.authority, rotation) {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, RotateError::Overtaken), "{error:?}"),
        }
    }
    assert_eq!(made, 1);
    for replica in &replicas {
        testing::follow(&replica.authority).unwrap();
        assert_eq!(replica.authority.stats().ring_keys, 2);
        assert_eq!(replica.told.rotated(), replicas[0].told.rotated());
        assert_eq!(replica.outcome(&token), "good");
    }
}

pub(crate) fn one_key_is_introduced_when_all_find_it_due<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let every = 4;
    let policy = soon_stale()
        .token_lifetime(seconds(60))
        .rotate_every(seconds(every));
    let fleet = Fleet::<K>::new(server.url(), policy);
    let replicas = fleet.replicas(REPLICAS);
    let pair = replicas[0].start("has a session");
    let token = replicas[1].issue("u");
    let store = fleet.store();
    until("three keys are live", || {
        for replica in &replicas {
            let outcome = replica.outcome(&token);
            assert!(matches!(outcome, "good" | "stale_epochs"), "{outcome}");
        }
        replicas
            .iter()
            .all(|replica| replica.told.rotated().len() >= 2)
    });
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {}).unwrap();
    let keys = snapshot.value.unwrap().keys;
    assert!(keys.len() >= 3);
    for pair in keys.windows(2) {
        let [before, after] = [0, 1].map(|key| pair[key].introduced_at.as_unix_millis() / 1000);
        assert!(after >= before + every, "{keys:?}");
    }
    for replica in &replicas {
        let rotated = replica.told.rotated();
        assert_eq!(rotated[..2], replicas[0].told.rotated()[..2]);
        replica.until_good(&token);
        until("the session is refreshed", || {
            let refreshed = replica.refreshed(&pair);
            assert!(
                matches!(refreshed, "good" | "stale_epochs" | "store"),
                "{refreshed}"
            );
            refreshed == "good"
        });
    }
    assert_eq!(restarts(&replicas), 0);
}
