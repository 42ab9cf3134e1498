//! What a store keeps of what replicas say of themselves.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    asker::{Asker, PATIENCE},
    subject::Subject,
    threads::{apart, together},
};
use crate::store::{Beginning, Heartbeat, Place, Reach, Receipt, ReplicaId};

fn replica(subject: &Subject<'_>) -> Asker {
    let mut asker = subject.asker.clone();
    asker.replica = ReplicaId::from_bytes(subject.fresh().bytes());
    asker
}

fn check_receipt(asker: &Asker, said: Heartbeat) {
    let Some(Receipt { heartbeat, .. }) = asker.receipt() else {
        panic!("there is no receipt of what {:?} said", said.replica);
    };
    // What the wall clock of a replica said is of no use to others.
    let now = match asker.reach() {
        Reach::Memory | Reach::Embedded => heartbeat.now,
        Reach::Shared => said.now,
    };
    let kept = Heartbeat { now, ..heartbeat };
    assert_eq!(
        kept, said,
        "what a replica last said, as its receipt has it"
    );
}

fn say(asker: &Asker, applied: Option<Place>) {
    let heartbeat = asker.heartbeat(applied);
    asker.hear(heartbeat, Duration::ZERO);
    check_receipt(asker, heartbeat);
}

/// A replica announces itself before it loads its first snapshot.
pub(super) fn a_replica_that_has_applied_nothing_gets_a_receipt(subject: &mut Subject<'_>) {
    let replicas = [replica(subject), replica(subject)];
    say(&replicas[0], None);
    subject.begin(Beginning::Empty);
    say(&replicas[1], None);
    say(&replicas[0], None);
    assert_eq!(subject.asker.receipts().value.len(), 2);
}

pub(super) fn a_receipt_has_what_a_replica_said_last(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(5));
    let asker = replica(subject);
    let place = |index| Some(subject.expected().place(index));
    for applied in [None, place(0), place(4), place(5), place(2), None, place(1)] {
        say(&asker, applied);
    }
    let heartbeat = Heartbeat {
        max_staleness: Duration::from_millis(1_500),
        ..asker.heartbeat(place(5))
    };
    asker.hear(heartbeat, Duration::ZERO);
    check_receipt(&asker, heartbeat);
    assert_eq!(subject.asker.receipts().value.len(), 1);
}

pub(super) fn each_replica_has_its_receipt(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(8));
    let places: Vec<_> = (0..8)
        .map(|index| subject.expected().place(index))
        .collect();
    let replicas: Vec<_> = places.iter().map(|_| replica(subject)).collect();
    let heartbeats = together(replicas.len(), |number| {
        let (asker, place) = (&replicas[number], places[number]);
        for _ in 0..5 {
            asker.events_after(None);
        }
        let heartbeat = asker.heartbeat(Some(place).filter(|_| number > 0));
        asker.hear(heartbeat, Duration::ZERO);
        heartbeat
    });
    for (asker, said) in replicas.iter().zip(heartbeats) {
        check_receipt(asker, said);
    }
    let count = subject.asker.receipts().value.len();
    assert_eq!(count, replicas.len(), "receipts, one of each replica");
}

/// Who waits for news has said where it stands before that.
pub(super) fn a_receipt_is_there_while_its_replica_waits(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let asker = replica(subject);
    let heartbeat = asker.heartbeat(Some(subject.head()));
    let waiting = asker.clone();
    let answer = apart(move || waiting.hear(heartbeat, Duration::from_secs(60)).value);
    let begun = Instant::now();
    while asker.receipt().is_none() {
        let waits = begun.elapsed() < PATIENCE;
        assert!(waits, "there is no receipt of who waits");
        thread::sleep(Duration::from_millis(5));
    }
    check_receipt(&asker, heartbeat);
    subject.append(subject.fresh().bumps(1));
    let answer = answer.recv_timeout(PATIENCE);
    assert!(answer.is_ok(), "who waits for news is answered");
}
