//! A log that was trimmed while a replica slept.

use epochkey::{
    Epoch, Scope, Store,
    store::{Outcome, Place, Standing, StoreTime, Tidy},
};

use super::{
    Kind,
    fleet::{Fleet, Replica, restarts, soon_stale, until},
    forwarder::Forwarder,
};
use crate::server::{self, Server};

/// More than any store gives at once.
const BUMPED: usize = 3000;

pub(crate) fn a_replica_that_slept_while_the_log_was_trimmed_agrees<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let name = Forwarder::to(server.address());
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let awake = fleet.replica();
    let asleep = fleet.replica_at(&server.url_at(name.address()));
    let (alive, revoked) = (asleep.issue("alive"), asleep.issue("revoked"));
    asleep.until_good(&alive);
    let store = fleet.store();
    name.lead_to(None);
    until("it is stale", || asleep.is_stale());
    let place = head(&store);

    awake.bump("revoked");
    let others = (0..BUMPED).map(|user| Scope::user(user.to_string()));
    let mut last = awake.authority.bump_many(others).wait().unwrap();
    trim(&store, place);
    let last: Epoch = last.pop().unwrap();
    assert_ne!(asleep.outcome(&revoked), "good");

    name.lead_to(Some(server.address()));
    until("it follows again", || {
        asleep.authority.wait_for(last).wait().is_ok()
    });
    let replicas = [awake, asleep];
    for replica in &replicas {
        replica.until_refused(&revoked, "revoked");
        replica.until_good(&alive);
        assert_eq!(replica.authority.stats().position, last.position());
        assert_eq!(replica.authority.stats().epochs, BUMPED + 1);
    }
    let later: Vec<_> = replicas.iter().map(|replica| replica.issue("0")).collect();
    let epoch = replicas[1].bump("0");
    let in_force = |replica: &Replica| replica.authority.wait_for(epoch).wait().is_ok();
    for replica in &replicas {
        until("both go on", || in_force(replica));
        later.iter().for_each(|token| replica.assert_dead(token));
    }
    assert_eq!(restarts(&replicas), 0);
}

fn head(store: &impl Store) -> Place {
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {});
    snapshot.unwrap().value.unwrap().head
}

/// Trims all that may be trimmed; a store may take several steps.
fn trim(store: &impl Store, place: Place) {
    let now = StoreTime::default();
    until("the log is trimmed", || {
        let known = head(store);
        let tidy = Tidy {
            known,
            epochs_up_to: 0,
            events_up_to: known.position,
            // Whatever the store's time is.
            events_before: StoreTime::from_unix_millis(i64::MAX as u64),
            sessions_before: now,
            receipts_before: now,
            now,
        };
        let done = store.tidy(tidy).unwrap().value;
        assert!(matches!(done, Outcome::Done { .. }));
        store.standing(place, now).unwrap().value == Standing::Trimmed
    });
}
