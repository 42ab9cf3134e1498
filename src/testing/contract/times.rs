//! By whose clock, and when, a store dates what it does.

use std::time::Duration;

use super::subject::Subject;
use crate::store::{
    Beginning, Commit, Reach, Rewrap, Rows, SessionChange, SessionQuery, StoreTime, Tidy,
};

/// The answer to a commit carries the time of its events, its keys and its rows.
pub(super) fn a_change_is_dated_as_its_answer(subject: &mut Subject<'_>) {
    let head_time = |subject: &Subject<'_>| {
        let place = subject.expected().place(0);
        let followed = subject.asker.follow(place);
        followed.last().map(|event| event.time)
    };
    subject.begin(Beginning::Empty);
    subject.check();
    for _ in 0..3 {
        subject.asker.let_time_pass();
        let fresh = subject.fresh().clone();
        let row = fresh.row(fresh.bytes());
        let start = SessionChange::Start(row.clone());
        let key = fresh.key();
        let events = vec![fresh.bump(), fresh.add_key(key), fresh.bump()];
        let time = subject.commit(events, vec![start]);
        subject.asker.let_time_pass();
        assert_eq!(head_time(subject), Some(time), "of its last event");
        let shown = subject.asker.snapshot().snapshot;
        let key = shown.and_then(|shown| shown.keys.last().cloned());
        let introduced_at = key.map(|key| key.introduced_at);
        assert_eq!(introduced_at, Some(time), "of the key that it adds");
        let rows = subject.asker.sessions(subject.head(), Rows::One(row.id));
        let rotated_at = rows.and_then(|rows| Some(rows.first()?.rotated_at));
        assert_eq!(rotated_at, Some(time), "of the row that it starts");
        subject.check();
    }
}

/// By it, the tests of an application move the time of the whole.
pub(super) fn a_store_in_this_process_takes_the_askers_time(subject: &mut Subject<'_>) {
    if subject.asker.reach() == Reach::Shared {
        return;
    }
    subject.begin(Beginning::Empty);
    let start = subject.asker.now().as_unix_millis();
    for now in [start, start + 86_400_000, start - 86_400_000, 0] {
        let now = StoreTime::from_unix_millis(now);
        for (what, time) in ask_everything(subject, now) {
            assert_eq!(time, now, "time of {what}, at the time of who asked");
        }
    }
}

/// Replicas whose clocks differ must agree on times.
pub(super) fn a_shared_store_has_its_own_clock(subject: &mut Subject<'_>) {
    if subject.asker.reach() != Reach::Shared {
        return;
    }
    subject.begin(Beginning::Empty);
    let start = subject.asker.now().as_unix_millis();
    let far = 1_000 * 86_400_000;
    let mut earliest = None;
    for now in [start, start + far, start - far, 0] {
        let now = StoreTime::from_unix_millis(now);
        for (what, time) in ask_everything(subject, now) {
            let off_by = time.distance(*earliest.get_or_insert(time));
            assert!(
                off_by < Duration::from_secs(600),
                "the time of {what} is off by {off_by:?}, with the clock of who asked"
            );
        }
    }
}

/// Asks in all ways, with this wall clock of the replica, and gives the times in the answers.
fn ask_everything(subject: &mut Subject<'_>, now: StoreTime) -> Vec<(&'static str, StoreTime)> {
    let (asker, fresh) = (subject.asker.clone(), subject.fresh().clone());
    let beginning = Beginning::InsteadOf(subject.history());
    let new = fresh.history(beginning, now);
    subject.begin_as(new);
    let begun = subject.expected().log[0].time;

    let row = fresh.row(fresh.bytes());
    let rows = Rows::One(row.id);
    let (events, start) = (vec![fresh.bump()], SessionChange::Start(row));
    let commit = subject.new_commit(events, vec![start]);
    let committed = subject.make(Commit { now, ..commit });
    let known = subject.head();
    let mut heartbeat = asker.heartbeat(Some(known));
    heartbeat.now = now;
    let rewrap = subject.new_rewrap();
    let heard = asker.hear(heartbeat, Duration::ZERO);
    let received = asker.receipt().map(|receipt| receipt.received_at);
    let rewrapped = asker.rewrap(Rewrap {
        now,
        ..rewrap.clone()
    });
    subject.expected_mut().rewrap(rewrap);
    let tidy = subject.new_tidy();
    vec![
        ("begin", begun),
        ("commit", committed),
        ("events_after", heard.time),
        ("a receipt", received.unwrap_or_default()),
        ("standing", asker.standing_at(known, now).time),
        ("rewrap", rewrapped.time),
        ("tidy", asker.tidy(Tidy { now, ..tidy }).time),
        ("snapshot", asker.snapshot_at(now).time),
        ("receipts", asker.receipts_at(now).time),
        (
            "sessions",
            asker.query(SessionQuery { known, rows, now }).time,
        ),
    ]
}
