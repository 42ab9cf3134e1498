//! What the simulation has found, each as short as it gets.

use std::{sync::Arc, time::Duration};

use epochkey::{
    Authority, Grant, Policy, Scope, VerifyError,
    testing::{self, FaultyStore, ManualClock},
};
use parking_lot::Mutex;

use crate::simulation::{
    START,
    ledger::Ledger,
    replica::builder,
    witness::{Interlude, Notes, Request, Witness},
};

struct Fleet {
    clock: ManualClock,
    server: FaultyStore,
    ledger: Arc<Mutex<Ledger>>,
    processes: u64,
}

impl Fleet {
    fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(START);
        let server = FaultyStore::new(clock.clone());
        Self {
            ledger: Arc::new(Mutex::new(Ledger::new(&server))),
            server,
            clock,
            processes: 0,
        }
    }

    fn open(&mut self) -> Authority {
        self.open_noted().0
    }

    fn open_noted(&mut self) -> (Authority, Arc<Notes>) {
        self.processes += 1;
        let ledger = Arc::clone(&self.ledger);
        let notes = Notes::new(self.clock.clone(), self.clock.clone(), ledger);
        let store = Witness {
            store: self.server.connect(),
            notes: Arc::clone(&notes),
        };
        let builder = builder(Policy::default(), &self.clock, 0, self.processes, (0, None));
        (builder.open(store).unwrap(), notes)
    }
}

/// A replica that has not noticed yet that a swap of its own is lost tidies the store. It
/// must not take away the bumps that others have made in the meantime at positions
/// below that swap: who opens the store then would accept what they revoked.
#[test]
fn a_lost_swap_tidies_no_bump_away() {
    let mut fleet = Fleet::new();
    let (here, there) = (fleet.open(), fleet.open());
    let token = there.issue(Grant::user("u")).unwrap();
    testing::finish(&here, here.swap_key()).unwrap();
    fleet.server.lose_last(1);
    testing::finish(&there, there.bump(scope("u"))).unwrap();
    testing::maintain(&here).unwrap();

    let scope = Some(scope("u"));
    let revoked = VerifyError::Revoked { scope };
    fleet.clock.advance(Duration::from_secs(6));
    for authority in [&there, &fleet.open()] {
        testing::follow(authority).unwrap();
        assert_eq!(authority.verify(&token).unwrap_err(), revoked);
    }
}

fn scope(id: &str) -> Scope {
    Scope::user(id)
}

/// Of several lost bumps that are waited for, the first is found out and a new history
/// begins, which names the one of the others: that is no sign that the others are kept.
#[test]
fn a_restart_confirms_no_lost_bump() {
    let mut fleet = Fleet::new();
    let (here, there) = (fleet.open(), fleet.open());
    let epochs = ["u", "v"].map(|id| testing::finish(&there, there.bump(scope(id))).unwrap());
    fleet.server.lose_last(2);
    for id in ["w", "x", "y"] {
        drop(there.bump(scope(id)));
    }
    let waits = epochs.map(|epoch| here.wait_for(epoch));
    testing::follow(&here).unwrap();
    for wait in waits {
        assert_eq!(wait.wait().unwrap_err().label(), "lost");
    }
}

/// While the answer to a replica is on its way, the store loses what the answer tells,
/// and keeps a bump of that replica at a position that the answer covers. The bump
/// is not in force before it is applied, although the store knows it.
#[test]
fn a_bump_on_another_branch_is_not_in_force() {
    let mut fleet = Fleet::new();
    let there = fleet.open();
    let (here, notes) = fleet.open_noted();
    let token = here.issue(Grant::user("u")).unwrap();
    for id in ["w", "x", "y"] {
        drop(there.bump(scope(id)));
    }
    let bump = Arc::new(Mutex::new(None));
    let (server, bumping, bumped) = (fleet.server.clone(), here.clone(), Arc::clone(&bump));
    notes.interrupt(Some(Interlude {
        during: Request::Events,
        arrives_first: true,
        happen: Box::new(move || {
            server.lose_last(3);
            *bumped.lock() = Some(bumping.bump(scope("u")));
        }),
    }));
    testing::follow(&here).unwrap();
    let bump = bump.lock().take().unwrap();
    assert_eq!(format!("{bump:?}"), "Op(running)");
    testing::follow(&here).unwrap();
    assert_eq!(bump.wait().unwrap_err().label(), "store");
    let dead = here.verify(&token).unwrap_err();
    assert_eq!(dead, VerifyError::UnknownKey);
}

/// Between the answer that tells a replica to take a snapshot and that snapshot, the
/// store loses a new history and the replica's own last event, and goes on from there,
/// further than the replica was. The snapshot is later, but not of the replica's past.
#[test]
fn a_later_snapshot_without_my_past_is_not_adopted() {
    let mut fleet = Fleet::new();
    let (there, third) = (fleet.open(), fleet.open());
    let (here, notes) = fleet.open_noted();
    let token = there.issue(Grant::user("u")).unwrap();
    testing::finish(&here, here.bump(scope("u"))).unwrap();
    testing::finish(&there, there.start_over()).unwrap();
    let server = fleet.server.clone();
    notes.interrupt(Some(Interlude {
        during: Request::Snapshot,
        arrives_first: false,
        happen: Box::new(move || {
            server.lose_last(2);
            for id in ["w", "x"] {
                drop(third.bump(scope(id)));
            }
        }),
    }));
    for _ in 0..2 {
        let _ = testing::follow(&here);
        assert!(here.verify(&token).is_err());
    }
    assert_eq!(here.verify(&token).unwrap_err(), VerifyError::UnknownKey);
}
