//! Snapshots that somebody has altered who writes the store: each row is as this crate wrote it, or
//! might have been.

use std::time::Duration;

use epochkey::{
    StoreError,
    store::{
        Answer, Commit, Completion, Heartbeat, NewHistory, News, Outcome, Place, Receipt, Rewrap,
        SessionQuery, SessionRow, Snapshot, Standing, Store, StoreTime, StoredEpoch, Tidy,
    },
    testing::FaultyStore,
};

use super::stores::delegate;
use crate::support::*;

type Alter = fn(&mut Snapshot, &mut StoredEpoch);

struct Altered(FaultyStore, Alter);

impl Store for Altered {
    delegate!(0);

    fn snapshot(
        &self,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Result<Answer<Option<Snapshot>>, StoreError> {
        let mut found = Vec::new();
        let mut answer = self.0.snapshot(now, &mut |epoch| found.push(epoch))?;
        if let Some(snapshot) = &mut answer.value {
            found.iter_mut().for_each(|epoch| self.1(snapshot, epoch));
        }
        found.into_iter().for_each(epochs);
        Ok(answer)
    }

    fn events_after(
        &self,
        heartbeat: Heartbeat,
        wait: Duration,
    ) -> Result<Answer<News>, StoreError> {
        self.0.events_after(heartbeat, wait)
    }

    fn commit(&self, commit: Commit, done: Completion<Outcome>) {
        self.0.commit(commit, done);
    }

    fn tidy(&self, tidy: Tidy) -> Result<Answer<Outcome>, StoreError> {
        self.0.tidy(tidy)
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
        let open = |alter| fleet.builder().open(Altered(fleet.server.connect(), alter));
        assert!(open(|_, _| {}).is_ok());
        assert!(open(alter).is_err(), "{what}");
    }
}
