//! Snapshots that somebody has altered who writes the store: each row is as this crate wrote it, or
//! might have been.

use std::sync::{Arc, Mutex};

use epochkey::{
    Grant, StoreError,
    store::{Answer, Snapshot, Store, StoreTime, StoredEpoch},
    testing::{self, FaultyStore},
};

use crate::support::*;

type Alter = fn(&mut Snapshot, &mut StoredEpoch);

const NOT: Alter = |_, _| {};

#[derive(Clone)]
struct Altered(FaultyStore, Arc<Mutex<Alter>>);

impl Altered {
    fn on(store: FaultyStore, alter: Alter) -> Self {
        Self(store, Arc::new(Mutex::new(alter)))
    }
}

impl Store for Altered {
    delegate!(0: events_after, standing, begin, commit, sessions, rewrap, tidy, receipts, wake);

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let mut found = Vec::new();
        let mut answer = self.0.snapshot(now, &mut |epoch| found.push(epoch))?;
        if let Some(snapshot) = &mut answer.value {
            let alter = *self.1.lock().unwrap();
            found.iter_mut().for_each(|epoch| alter(snapshot, epoch));
        }
        found.into_iter().for_each(epochs);
        Ok(answer)
    }
}

/// Whoever signed with a key above the head would be out of reach of every bump up to there.
const ALTERATIONS: [(&str, Alter); 6] = [
    ("an epoch is above the head", |snapshot, epoch| {
        epoch.position = snapshot.head.position + 1;
    }),
    ("an epoch has no secret", |_, epoch| epoch.secret = [0; 16]),
    ("a key is above the head", |snapshot, _| {
        snapshot.keys[1].position = snapshot.head.position + 1;
    }),
    ("a key is there twice", |snapshot, _| {
        let mut again = snapshot.keys[0].clone();
        again.position = snapshot.head.position;
        snapshot.keys.push(again);
    }),
    ("keys are not in their order", |snapshot, _| {
        snapshot.keys.swap(0, 1);
    }),
    ("there are no keys", |snapshot, _| snapshot.keys.clear()),
];

#[test]
fn a_snapshot_that_cannot_be_is_not_taken() {
    for (what, alter) in ALTERATIONS {
        let fleet = Fleet::new();
        let ours = fleet.replica();
        ours.finish(ours.authority.rotate_key());
        ours.bump("u");
        let store = |alter| Altered::on(fleet.server.connect(), alter);
        assert!(fleet.builder().open(store(NOT)).is_ok());
        assert!(fleet.builder().open(store(alter)).is_err(), "{what}");
    }
}

/// It would undo the bumps in between. Who starts cannot tell.
#[test]
fn a_key_that_has_moved_is_noticed_by_who_knows_it() {
    let fleet = Fleet::new();
    let store = Altered::on(fleet.server.connect(), NOT);
    let ours = fleet.builder().open(store.clone()).unwrap();
    let token = ours.issue(Grant::user("u")).unwrap();
    fleet.clock.advance(secs(6));
    let theirs = fleet.replica();
    theirs.bump("u");
    testing::follow(&ours).unwrap();
    theirs.bump("v");
    fleet.server.trim();
    *store.1.lock().unwrap() = |snapshot, _| snapshot.keys[0].position = snapshot.head.position;
    let error = testing::follow(&ours).unwrap_err();
    assert_eq!(error.label(), "damaged");
    assert_eq!(ours.verify(&token).unwrap_err().label(), "stale_epochs");
    *store.1.lock().unwrap() = NOT;
    testing::follow(&ours).unwrap();
    assert_eq!(ours.verify(&token).unwrap_err().label(), "revoked");
}
