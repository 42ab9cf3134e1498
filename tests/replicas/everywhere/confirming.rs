//! Who has applied it says so, and is believed if that is of the log as it is.

use std::sync::Arc;

use epochkey::{
    Policy, Scope,
    store::{EventId, HistoryId, Receipt},
    testing,
};

use super::*;

#[test]
fn it_is_finished_when_all_have_confirmed() {
    let fleet = Fleet::new();
    let replicas = fleet.replicas(3);
    let [ours, near, far] = &replicas[..] else {
        panic!("three")
    };
    let token = ours.issue("u");
    fleet.clock.advance(secs(8));
    settle(&replicas);
    let epoch = ours.bump("u");
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    assert!(is_running(&everywhere));
    let mut both = behind(ours, epoch);
    both.sort();
    let mut expected = [near, far].map(|replica| replica.authority.replica_id());
    expected.sort();
    assert_eq!(both, expected);

    // In force there, but its receipt is of before.
    near.follow().unwrap();
    assert_eq!(near.outcome(&token), "revoked");
    assert_eq!(behind(ours, epoch).len(), 2);
    near.follow().unwrap();
    assert_eq!(behind(ours, epoch), [far.authority.replica_id()]);
    assert!(is_running(&everywhere));

    far.follow().unwrap();
    far.follow().unwrap();
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
    assert_eq!(behind(ours, epoch), []);
    for replica in &replicas {
        assert_eq!(replica.outcome(&token), "revoked");
        // Each can ask, about the epoch of any.
        assert_eq!(behind(replica, epoch), []);
        let everywhere = replica.authority.applied_everywhere(epoch);
        assert_eq!(replica.finish(everywhere), []);
    }
}

/// It has to be in force here first, and this replica need not confirm to itself.
#[test]
fn it_is_not_finished_before_it_is_in_force_here() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    fleet.clock.advance(secs(8));
    ours.follow().unwrap();
    let epoch = theirs.bump("u");
    theirs.follow().unwrap();
    let everywhere = ours.authority.applied_everywhere(epoch);
    let waiting = ours.authority.wait_for(epoch);
    assert_eq!(
        format!("{waiting:?} {everywhere:?}"),
        "Op(running) Op(running)"
    );
    assert_eq!(ours.outcome(&token), "good");
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
    assert_eq!(ours.outcome(&token), "revoked");
    assert_eq!(waiting.wait().unwrap(), epoch);
}

/// A replica that has gone on to later places, and one at each of them.
#[test]
fn later_places_confirm_too() {
    let fleet = Fleet::new();
    let replicas = fleet.replicas(40);
    let epoch = replicas[0].bump("u");
    for (number, replica) in replicas.iter().enumerate().skip(1) {
        replica.follow().unwrap();
        replica.bump(&number.to_string());
        replica.follow().unwrap();
    }
    // None is where the one that asks is, and the last one is the head of the log.
    let everywhere = replicas[0].authority.applied_everywhere(epoch);
    let behind = replicas[0].authority.replicas_behind(epoch);
    let mut exchanges = 0;
    while is_running(&everywhere) || is_running(&behind) {
        replicas[0].follow().unwrap();
        exchanges += 1;
    }
    assert_eq!(exchanges, 3, "16 places with each");
    assert_eq!(ended(everywhere).unwrap(), []);
    assert_eq!(ended(behind).unwrap(), []);
}

/// All that the receipt of the other says wrong, and that no such receipt is believed.
#[test]
fn what_is_not_part_of_the_log_confirms_nothing() {
    type Wrong = fn(&mut Receipt, Epoch);
    let wrong: [Wrong; 5] = [
        // The position was used again, here after the event that was lost.
        |receipt, _| place_of(receipt).event = EventId::from_bytes([7; 16]),
        |receipt, _| {
            place_of(receipt).event = EventId::from_bytes([7; 16]);
            place_of(receipt).position += 1 << 33;
        },
        |receipt, _| place_of(receipt).history = HistoryId::from_bytes([7; 16]),
        |receipt, epoch| place_of(receipt).position = epoch.position() - 1,
        |receipt, _| receipt.heartbeat.applied = None,
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        let fleet = Fleet::new();
        let (ours, store) = eavesdropping(&fleet);
        let theirs = fleet.replica();
        let epoch = theirs.bump("u");
        theirs.follow().unwrap();
        let there = theirs.authority.replica_id();
        store.alter(move |receipts| {
            let of_theirs = |receipt: &&mut Receipt| receipt.heartbeat.replica == there;
            receipts
                .iter_mut()
                .filter(of_theirs)
                .for_each(|receipt| wrong(receipt, epoch));
        });
        let everywhere = ours.applied_everywhere(epoch);
        let behind = ours.replicas_behind(epoch);
        follow(&ours);
        assert!(is_running(&everywhere), "{number}");
        assert_eq!(ids(&ended(behind).unwrap()), [there], "{number}");
        store.alter(|_| {});
        follow(&ours);
        assert_eq!(ended(everywhere).unwrap(), [], "{number}");
    }
}

fn place_of(receipt: &mut Receipt) -> &mut epochkey::store::Place {
    receipt.heartbeat.applied.as_mut().unwrap()
}

#[test]
fn an_epoch_that_is_lost_is_an_error() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let lost = ours.bump("u");
    fleet.server.lose_last(1);
    let reused = theirs.bump("v");
    assert_eq!(lost.position(), reused.position());
    let elsewhere = Fleet::new().replica().bump("u");
    let ahead = Fleet::new();
    let ahead = ahead.replica();
    for user in ["a", "b", "c", "d", "e"] {
        ahead.bump(user);
    }
    for epoch in [lost, elsewhere, ahead.bump("u")] {
        for op in [
            theirs.authority.applied_everywhere(epoch),
            theirs.authority.replicas_behind(epoch),
        ] {
            theirs.follow().unwrap();
            assert_eq!(ended(op).unwrap_err().label(), "lost", "{epoch}");
        }
    }
    assert_eq!(
        count(&theirs.told.restarted),
        0,
        "nobody is logged out for it"
    );
    let known = theirs.authority.applied_everywhere(reused);
    theirs.follow().unwrap();
    // Who has seen the lost epoch begins a new history, of which this one is not part.
    let _ = ours.follow();
    let restarted = theirs.follow();
    assert!(restarted.is_ok(), "{restarted:?}");
    assert_eq!(ended(known).unwrap_err().label(), "lost");
}

/// Everybody has confirmed, and then the store loses it: it would not be in force for long.
#[test]
fn an_epoch_that_is_lost_when_the_receipts_were_read_is_an_error() {
    for reuses in [false, true] {
        let fleet = Arc::new(Fleet::new());
        let (ours, store) = eavesdropping(&fleet);
        let (theirs, other) = (fleet.replica(), fleet.replica());
        let epoch = theirs.bump("u");
        for replica in [&theirs, &other, &other] {
            replica.follow().unwrap();
        }
        theirs.follow().unwrap();
        let there = Arc::clone(&fleet);
        store.then(move || {
            there.server.lose_last(1);
            if reuses {
                there.replica().bump("v");
            }
        });
        let everywhere = ours.applied_everywhere(epoch);
        follow(&ours);
        assert_eq!(ended(everywhere).unwrap_err().label(), "lost");
    }
}

/// An epoch so old that every token which it could concern is dead.
#[test]
fn a_trimmed_epoch_is_confirmed_by_whoever_is_behind_it() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let epoch = ours.bump("u");
    ours.bump("v");
    theirs.follow().unwrap();
    theirs.follow().unwrap();
    // Below the trimmed epoch, and so is its receipt.
    let slept = fleet.replica();
    slept.follow().unwrap();
    ours.bump("w");
    ours.bump("x");
    fleet.server.trim();
    assert_eq!(behind(&ours, epoch), []);
    let everywhere = ours.authority.applied_everywhere(epoch);
    assert_eq!(ours.finish(everywhere), []);
    // Trimmed places say nothing of what is not.
    let mut sleeping = behind(&ours, ours.bump("y"));
    sleeping.sort();
    let mut expected = [theirs, slept].map(|replica| replica.authority.replica_id());
    expected.sort();
    assert_eq!(sleeping, expected);
}

/// The first event of a new history, which logs everybody out.
#[test]
fn a_new_history_is_waited_for() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = theirs.issue("u");
    let epoch = ours.finish(ours.authority.start_over());
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    assert!(is_running(&everywhere));
    assert_eq!(theirs.outcome(&token), "good");
    let behind = ours.finish(ours.authority.replicas_behind(epoch));
    assert_eq!(behind[0].position(), None, "of the history before");
    theirs.follow().unwrap();
    theirs.follow().unwrap();
    assert_eq!(theirs.outcome(&token), "unknown_key");
    // A store that was restored has forgotten who was there, so nobody is known to be the last.
    pass(&fleet, secs(14), &[&ours, &theirs]);
    assert!(is_running(&everywhere));
    pass(&fleet, MOMENT, &[&ours]);
    assert_eq!(ended(everywhere).unwrap(), []);
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
}

/// A failover has forgotten a replica that had just started, and which does not hear of it.
#[test]
fn a_replica_that_the_store_has_forgotten_is_waited_for() {
    for boots in [false, true] {
        let fleet = Fleet::new();
        let ours = fleet.replica();
        let backup = fleet.server.back_up();
        ours.bump("a");
        let forgotten = fleet.replica();
        let token = forgotten.issue("u");
        forgotten.link.cut();
        fleet.server.restore(&backup);
        let _ = ours.follow();
        ours.follow().unwrap();
        let booted = boots.then(|| fleet.replica());
        let asking = booted.as_ref().unwrap_or(&ours);
        let epoch = asking.bump("u");
        let everywhere = asking.authority.applied_everywhere(epoch);
        asking.follow().unwrap();
        // Those that the store knows of have confirmed.
        pass(&fleet, secs(10), &[&ours, asking]);
        assert_eq!(behind(asking, epoch), []);
        assert!(is_running(&everywhere));
        assert_eq!(forgotten.outcome(&token), "good");
        pass(&fleet, secs(4), &[&ours, asking]);
        assert!(is_running(&everywhere));
        pass(&fleet, MOMENT, &[asking]);
        assert_eq!(ended(everywhere).unwrap(), []);
        forgotten.assert_refuses_everything(&token);
    }
}

/// A key that not all have the secret for: it says that it is there, and cannot go on.
#[test]
fn a_replica_that_is_stuck_refuses_everything() {
    let fleet = Fleet::new();
    let stuck = fleet.replica();
    let token = stuck.issue("u");
    let secret = epochkey::MasterSecret::generate().unwrap();
    let builder = fleet.builder().master_secret(secret);
    let ours = fleet.replica_with(builder.previous_master_secret(fleet.secret.clone()));
    let epoch = ours.finish(ours.authority.rotate_key());
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    assert!(stuck.follow().is_err());
    pass(&fleet, secs(14), &[&stuck, &ours]);
    assert!(
        is_running(&everywhere),
        "it heartbeats, and has not confirmed"
    );
    pass(&fleet, MOMENT, &[&stuck, &ours]);
    let unconfirmed = ended(everywhere).unwrap();
    assert_eq!(ids(&unconfirmed), [stuck.authority.replica_id()]);
    assert_eq!(unconfirmed[0].silent_for(), Duration::ZERO, "it was heard");
    assert_eq!(unconfirmed[0].position(), Some(epoch.position() - 1));
    stuck.assert_refuses_everything(&token);
}

#[test]
fn a_status_says_what_is_known() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let theirs = fleet.replica_of(Policy::default().max_staleness(secs(20)));
    let first = ours.bump("u");
    theirs.follow().unwrap();
    theirs.follow().unwrap();
    let epoch = ours.bump("u");
    fleet.clock.advance(Duration::from_millis(2_500));
    let behind = ours.finish(ours.authority.replicas_behind(epoch));
    let [status] = behind[..] else {
        panic!("{behind:?}")
    };
    assert_eq!(status.id(), theirs.authority.replica_id());
    assert_eq!(status.position(), Some(first.position()));
    assert_eq!(status.silent_for(), Duration::from_millis(2_500));
    assert_eq!(status.max_staleness(), secs(20));
}

/// In a store that no other process can reach, receipts of authorities before this one do not
/// count.
#[test]
fn in_one_process_it_is_in_force_everywhere_when_it_is_here() {
    let directory = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn epochkey::Store>; 3] = [
        Arc::new(epochkey::MemoryStore::new()),
        Arc::new(epochkey::RedbStore::open(directory.path().join("auth.redb")).unwrap()),
        Arc::new(testing::FaultyStore::embedded()),
    ];
    let fleet = Fleet::new();
    for store in stores {
        drop(fleet.builder().open(Arc::clone(&store)).unwrap());
        let authority = fleet.builder().open(store).unwrap();
        let bump = authority.bump(Scope::user("u"));
        let epoch = testing::finish(&authority, bump).unwrap();
        let everywhere = authority.applied_everywhere(epoch);
        let behind = authority.replicas_behind(epoch);
        follow(&authority);
        assert_eq!(ended(everywhere).unwrap(), []);
        assert_eq!(ended(behind).unwrap(), []);
    }
}
