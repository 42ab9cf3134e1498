//! What is there when a store was let go of and is opened again.

use super::{
    fresh::{end, replace},
    subject::Subject,
};
use crate::store::{Beginning, Reach, ReplicaId, SessionChange};

/// Nobody else can write it meanwhile, or what they wrote is there too.
pub(super) fn what_is_done_is_there_when_the_store_is_opened_again(subject: &mut Subject<'_>) {
    if subject.asker.reach() == Reach::Memory {
        return;
    }
    subject.open_again();
    subject.check();
    subject.begin(Beginning::Empty);
    subject.open_again();
    subject.check();

    let fresh = subject.fresh().clone();
    let (user, key) = (fresh.bytes(), fresh.key());
    let rows = [(); 3].map(|()| fresh.row(user));
    let starts = rows.iter().cloned().map(SessionChange::Start).collect();
    subject.commit(fresh.bumps(3), starts);
    let changed = fresh.version_of(&rows[0]);
    let changes = vec![
        replace(&changed, rows[0].version, true),
        end(&rows[1], Some(rows[1].version)),
    ];
    subject.commit(vec![fresh.add_key(key), fresh.bump()], changes);
    let mut other = subject.asker.clone();
    other.replica = ReplicaId::from_bytes(fresh.bytes());
    other.events_after(Some(subject.head()));
    let receipt = other.receipt();
    other.let_go();
    subject.open_again();
    subject.check();
    if subject.asker.reach() == Reach::Shared {
        let mut kept = subject.asker.receipts().value.into_iter();
        let kept = kept.find(|kept| kept.heartbeat.replica == other.replica);
        assert_eq!(kept, receipt, "a receipt");
    }

    subject.append(fresh.bumps(2));
    subject.begin(Beginning::InsteadOf(subject.history()));
    subject.append(fresh.bumps(2));
    subject.open_again();
    subject.check();
    let rewrap = subject.new_rewrap();
    subject.rewrap(rewrap);
    subject.open_again();
    subject.check();
    subject.append(fresh.bumps(1));
}
