//! What a store forgets, and what it keeps under another wrapping.

use super::{
    asker::{over, unknown_place},
    subject::Subject,
};
use crate::store::{
    Answer, Beginning, News, Outcome, Place, Refusal, ReplicaId, Rewrap, SessionChange, StoreTime,
    Tidy,
};

fn later(time: StoreTime, millis: u64) -> StoreTime {
    StoreTime::from_unix_millis(time.as_unix_millis() + millis)
}

/// However far a replica wants to go that may know of keys that were lost.
pub(super) fn tidying_keeps_the_epochs_above_the_oldest_key(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let (tag, oldest) = (fresh.bytes(), subject.expected().keys[0].id);
    let tidy_up_to = |subject: &mut Subject<'_>, epochs_up_to| {
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            epochs_up_to,
            ..tidy
        });
    };
    subject.append(vec![fresh.epoch(tag), fresh.bump(), fresh.bump()]);
    subject.append(vec![fresh.add_key(fresh.key())]);
    let of_key = subject.head().position;
    subject.append(vec![fresh.epoch(tag), fresh.bump(), fresh.bump()]);
    for up_to in [0, 1, 3, of_key, of_key + 2, of_key + 1_000] {
        tidy_up_to(subject, up_to);
    }
    subject.append(vec![fresh.remove_key(oldest)]);
    for up_to in [3, of_key, 2, 0, of_key + 1, of_key + 1_000] {
        tidy_up_to(subject, up_to);
    }
    subject.append(vec![fresh.epoch(tag), fresh.bump()]);
}

pub(super) fn tidying_keeps_the_events_that_are_not_older(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let mut times = Vec::new();
    for _ in 0..4 {
        subject.asker.let_time_pass();
        times.push(subject.append(subject.fresh().bumps(3)));
    }
    for time in times {
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            events_before: time,
            ..tidy
        });
    }
}

/// What a replica has not applied yet is kept, however old it is.
pub(super) fn tidying_keeps_the_events_above(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let mut last = subject.append(subject.fresh().bumps(9));
    for events_up_to in [0, 4, 5, 3, 8] {
        subject.asker.let_time_pass();
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            events_up_to,
            events_before: later(last, 1_000_000_000),
            ..tidy
        });
        last = subject.append(subject.fresh().bumps(1));
    }
}

/// The log proves a loss only as long as it has a head.
pub(super) fn tidying_never_drops_the_head(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    for count in [0, 5, 1, 1] {
        if count > 0 {
            subject.append(subject.fresh().bumps(count));
        }
        let tidy = subject.new_tidy();
        let head = subject.expected().log.last().map(|event| event.time);
        subject.tidy(Tidy {
            events_before: later(head.unwrap_or_default(), 1_000_000_000),
            epochs_up_to: subject.head().position,
            ..tidy
        });
        let lost = Place {
            event: unknown_place(subject.fresh(), 1).event,
            ..subject.head()
        };
        let news = subject.asker.events_after(Some(lost));
        assert_eq!(news, News::NotMyPast, "another event at the head");
        subject.refuse_to_begin(over(subject.head()));
    }
}

/// By clocks that went back, an event may be dated before those in front of it.
pub(super) fn a_log_is_trimmed_from_its_old_end_only(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let now = subject.asker.now();
    for offset in [50_000, 0, 100_000, 20_000, 80_000, 10_000] {
        subject.asker.set_now(later(now, offset));
        subject.append(subject.fresh().bumps(2));
    }
    for offset in [30_000, 60_000, 90_000] {
        subject.asker.set_now(later(now, 1_000_000));
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            events_before: later(now, offset),
            ..tidy
        });
    }
}

pub(super) fn tidying_keeps_the_rows_that_do_not_expire_before(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let user = subject.fresh().bytes();
    let start = StoreTime::from_unix_millis(3_000_000_000_000);
    for offset in [0, 1, 2, 1_000, 5_000] {
        let mut row = subject.fresh().row(user);
        row.expires_at = later(start, offset);
        subject.change(vec![SessionChange::Start(row)]);
    }
    for offset in [0, 1, 2, 4_000] {
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            sessions_before: later(start, offset),
            ..tidy
        });
    }
    assert_eq!(subject.expected().rows.len(), 5);
}

pub(super) fn tidying_keeps_the_receipts_that_are_not_older(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let mut replicas = Vec::new();
    for _ in 0..3 {
        let mut asker = subject.asker.clone();
        asker.replica = ReplicaId::from_bytes(subject.fresh().bytes());
        asker.events_after(Some(subject.head()));
        replicas.push(asker);
        subject.asker.let_time_pass();
    }
    let times = replicas.iter().filter_map(|asker| asker.receipt());
    let times: Vec<_> = times.map(|receipt| receipt.received_at).collect();
    assert_eq!(times.len(), 3, "receipts of three replicas");
    for &receipts_before in &times {
        let tidy = subject.new_tidy();
        subject.tidy(Tidy {
            receipts_before,
            ..tidy
        });
        for (asker, time) in replicas.iter().zip(&times) {
            let kept = asker.receipt().map(|receipt| receipt.received_at);
            let may_be_gone = *time < receipts_before && kept.is_none();
            assert!(
                may_be_gone || kept == Some(*time),
                "of receipts before {receipts_before:?}, that of {time:?} became {kept:?}"
            );
        }
    }
}

pub(super) fn rewrapping_keeps_all_but_the_wrapping(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    subject.append(vec![fresh.bump(), fresh.add_key(fresh.key()), fresh.bump()]);
    subject.append(vec![fresh.add_key(fresh.key())]);
    for _ in 0..2 {
        let rewrap = subject.new_rewrap();
        subject.rewrap(rewrap);
        subject.append(vec![fresh.bump()]);
    }
}

pub(super) fn rewrapping_is_refused_for_another_ring(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let first = subject.expected().keys[0].id;
    subject.append(vec![fresh.add_key(fresh.key()), fresh.add_key(fresh.key())]);
    let refused = Outcome::Refused(Refusal::Key);
    let refuse = |rewrap: Rewrap, why: &str| {
        let Answer { value, .. } = subject.asker.rewrap(rewrap);
        assert_eq!(value, refused, "a rewrap {why}");
        subject.check();
    };
    let with_keys = |change: &dyn Fn(&mut Vec<_>)| {
        let mut rewrap = subject.new_rewrap();
        change(&mut rewrap.keys);
        rewrap
    };
    let unknown = (fresh.key(), Vec::new());
    let more = with_keys(&|keys| keys.push(unknown.clone()));
    refuse(more, "with a key that is not there");
    let fewer = with_keys(&|keys| drop(keys.pop()));
    refuse(fewer, "without the newest key");
    let none = with_keys(&|keys| keys.clear());
    refuse(none, "without keys");
    let other = with_keys(&|keys| keys[1] = unknown.clone());
    refuse(other, "with another key");
    let disordered = with_keys(&|keys| keys.swap(0, 1));
    refuse(disordered, "with its keys in another order");

    let taken_before = subject.new_rewrap();
    subject.append(vec![fresh.remove_key(first)]);
    let answer = subject.asker.rewrap(taken_before);
    let what = "of a ring of which a key has gone since";
    assert_eq!(answer.value, refused, "a rewrap {what}");
}
