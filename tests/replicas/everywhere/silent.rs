//! Replicas that do not confirm: judged by the monotonic clock of whoever waits.

use epochkey::{MasterSecret, Policy, store::Receipt, testing::ManualClock};

use super::*;
use crate::attacks::Between;

#[test]
fn one_that_lags_is_waited_for_until_it_has_caught_up() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = theirs.issue("u");
    let epoch = ours.bump("u");
    theirs.link.cut();
    let everywhere = ours.authority.applied_everywhere(epoch);
    pass(&fleet, secs(8), &[&ours, &theirs]);
    assert!(is_running(&everywhere));
    assert_eq!(theirs.outcome(&token), "good");
    theirs.link.mend();
    theirs.follow().unwrap();
    ours.follow().unwrap();
    assert!(is_running(&everywhere));
    theirs.follow().unwrap();
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
    assert_eq!(theirs.outcome(&token), "revoked");
}

/// Cut off just after it heard everything: it accepts for as long as it may, and then
/// refuses everything.
#[test]
fn one_that_is_cut_off_is_waited_for_until_it_refuses_everything() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = theirs.issue("u");
    theirs.link.cut();
    let epoch = ours.bump("u");
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    pass(&fleet, secs(10), &[&ours]);
    assert_eq!(theirs.outcome(&token), "good");
    assert!(is_running(&everywhere));
    // Its own max_staleness, and twice the max_clock_skew.
    pass(&fleet, secs(4), &[&ours]);
    assert!(is_running(&everywhere));
    pass(&fleet, MOMENT, &[&ours]);
    let unconfirmed = ended(everywhere).unwrap();
    assert_eq!(ids(&unconfirmed), [theirs.authority.replica_id()]);
    assert_eq!(unconfirmed[0].silent_for(), secs(14) + MOMENT);
    theirs.assert_refuses_everything(&token);
    theirs.link.mend();
    theirs.follow().unwrap();
    assert_ne!(theirs.outcome(&token), "good");
}

/// It counts from when receipts were read first, however long the replica was silent: the
/// store's clock may have been set.
#[test]
fn each_is_waited_for_as_long_as_it_may_accept() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let patient = fleet.replica_of(Policy::default().max_staleness(secs(30)));
    let token = patient.issue("u");
    let epoch = ours.bump("u");
    fleet.server.set_clock_ahead(secs(2));
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    pass(&fleet, secs(30), &[&ours]);
    assert_eq!(patient.outcome(&token), "good");
    pass(&fleet, secs(4), &[&ours]);
    assert!(is_running(&everywhere));
    pass(&fleet, MOMENT, &[&ours]);
    let unconfirmed = ended(everywhere).unwrap();
    assert_eq!(ids(&unconfirmed), [patient.authority.replica_id()]);
    assert_eq!(unconfirmed[0].max_staleness(), secs(30));
    patient.assert_refuses_everything(&token);
}

/// Its wall clock is nobody's silence. Where it is off by too much, who waits is stale itself.
#[test]
fn the_wall_clock_of_who_waits_does_not_fool_it() {
    for (forward, back) in [(2, 0), (0, 2), (100, 0), (0, 100)] {
        let fleet = Fleet::new();
        let clock = ManualClock::at_unix_seconds(START);
        let ours = fleet.replica_with(fleet.builder().clock(clock.clone()));
        let theirs = fleet.replica();
        let token = theirs.issue("u");
        let epoch = ours.bump("u");
        let everywhere = ours.authority.applied_everywhere(epoch);
        ours.follow().unwrap();
        let step = |by| {
            fleet.clock.advance(by);
            clock.advance(by);
        };
        step(secs(9));
        ours.follow().unwrap();
        clock.set_forward(secs(forward));
        clock.rewind(secs(back));
        if forward + back > 2 {
            assert_eq!(ours.follow().unwrap_err().label(), "clock");
            assert_eq!(ended(everywhere).unwrap_err().label(), "stale");
            assert_eq!(theirs.outcome(&token), "good");
            continue;
        }
        step(secs(5));
        let _ = ours.follow();
        assert!(is_running(&everywhere), "{forward} {back}");
        step(MOMENT);
        ours.follow().unwrap();
        assert_eq!(ended(everywhere).unwrap().len(), 1, "{forward} {back}");
        theirs.assert_refuses_everything(&token);
    }
}

/// It has announced itself, and the snapshot on its way to it is from before the epoch.
#[test]
fn finding_16_a_booting_replica_is_waited_for() {
    let fleet = Fleet::new();
    let ours = fleet.replica();
    let token = ours.issue("u");
    let link = fleet.server.connect();
    link.lag_in_snapshots_at(&fleet.server.back_up());
    let store = Between::on(link);
    let (slot, asking) = (std::sync::Arc::default(), ours.authority.clone());
    let there = std::sync::Arc::clone(&slot);
    store.then(move || {
        let bump = asking.bump(epochkey::Scope::user("u"));
        let epoch = testing::finish(&asking, bump).unwrap();
        let everywhere = asking.applied_everywhere(epoch);
        for _ in 0..3 {
            follow(&asking);
            assert!(is_running(&everywhere), "nobody knows what it will load");
        }
        *std::sync::Mutex::lock(&there).unwrap() = Some(everywhere);
    });
    let booted = fleet.builder().open(store).unwrap();
    let everywhere: Everywhere = slot.lock().unwrap().take().unwrap();
    assert_eq!(booted.verify(&token).unwrap_err(), STALE);
    ours.follow().unwrap();
    assert!(is_running(&everywhere), "it has not said so yet");
    follow(&booted);
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
}

/// It begins with what the log holds by then: whether it ever says so does not matter.
#[test]
fn one_that_announces_itself_later_is_not_waited_for() {
    let fleet = Fleet::new();
    let (ours, theirs) = (fleet.replica(), fleet.replica());
    let token = ours.issue("u");
    let epoch = ours.bump("u");
    let everywhere = ours.authority.applied_everywhere(epoch);
    ours.follow().unwrap();
    let newcomer = fleet.replica();
    assert_ne!(newcomer.outcome(&token), "good");
    let stuck = fleet.builder();
    let stuck = stuck.master_secret(MasterSecret::generate().unwrap());
    assert!(stuck.open(fleet.server.connect()).is_err());
    theirs.follow().unwrap();
    theirs.follow().unwrap();
    ours.follow().unwrap();
    assert_eq!(ended(everywhere).unwrap(), []);
    assert_eq!(
        behind(&ours, epoch).len(),
        1,
        "but it is not behind it either"
    );
}

/// A receipt goes an hour after its replica was heard, and one may be lost: once it was
/// seen, its replica is waited for.
#[test]
fn one_whose_receipt_goes_is_waited_for() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let theirs = fleet.replica();
    let token = theirs.issue("u");
    let epoch = testing::finish(&ours, ours.bump(epochkey::Scope::user("u"))).unwrap();
    let everywhere = ours.applied_everywhere(epoch);
    follow(&ours);
    store.alter(Vec::clear);
    for _ in 0..14 {
        fleet.clock.advance(secs(1));
        follow(&ours);
        assert!(is_running(&everywhere));
    }
    fleet.clock.advance(MOMENT);
    follow(&ours);
    let unconfirmed = ended(everywhere).unwrap();
    assert_eq!(ids(&unconfirmed), [theirs.authority.replica_id()]);
    assert_eq!(unconfirmed[0].silent_for(), secs(14) + MOMENT);
    theirs.assert_refuses_everything(&token);
}

/// The longest that it ever named counts.
#[test]
fn one_that_changes_its_mind_is_waited_for_the_longest() {
    let fleet = Fleet::new();
    let (ours, store) = eavesdropping(&fleet);
    let theirs = fleet.replica();
    let epoch = testing::finish(&ours, ours.bump(epochkey::Scope::user("u"))).unwrap();
    let everywhere = ours.applied_everywhere(epoch);
    let there = theirs.authority.replica_id();
    let mut names = [10, 20, 5].into_iter();
    store.alter(move |receipts| {
        let of_theirs = |receipt: &&mut Receipt| receipt.heartbeat.replica == there;
        let staleness = names.next().unwrap_or(5);
        for receipt in receipts.iter_mut().filter(of_theirs) {
            receipt.heartbeat.max_staleness = secs(staleness);
        }
    });
    follow(&ours);
    for _ in 0..24 {
        fleet.clock.advance(secs(1));
        follow(&ours);
        assert!(is_running(&everywhere));
    }
    fleet.clock.advance(MOMENT);
    follow(&ours);
    assert_eq!(ended(everywhere).unwrap().len(), 1);
}
