//! How a history begins.

use super::{
    asker::{over, unknown_place},
    expected::LEAP,
    fresh::replace,
    subject::Subject,
    threads::together,
};
use crate::store::{
    Beginning, EventId, HistoryId, NewHistory, News, Outcome, Place, Refusal, ReplicaId, Rewrap,
    Rows, SessionChange, Standing, StoreTime, Tidy,
};

pub(super) fn an_empty_store_knows_nothing_and_refuses_all(subject: &mut Subject<'_>) {
    let (asker, fresh) = (&subject.asker, subject.fresh());
    let place = unknown_place(fresh, 1);
    assert_eq!(
        asker.events_after(None),
        News::TakeSnapshot,
        "to a replica that has applied nothing"
    );
    assert_eq!(
        asker.events_after(Some(place)),
        News::NotMyPast,
        "to a place in an empty store"
    );
    let standing = asker.standing(place);
    assert_eq!(standing, Standing::Unknown, "a place in an empty store");
    let rows = asker.sessions(place, Rows::OfUser(fresh.bytes()));
    assert_eq!(rows, None, "rows of an empty store");
    let refused = Outcome::Refused(Refusal::Place);
    let commit = asker.new_commit(place, fresh.bumps(1), Vec::new());
    assert_eq!(asker.commit(commit).value, refused, "a commit");
    let rewrap = Rewrap {
        known: place,
        secrets: Vec::new(),
        keys: Vec::new(),
        now: asker.now(),
    };
    assert_eq!(asker.rewrap(rewrap).value, refused, "a rewrap");
    let tidy = Tidy {
        known: place,
        epochs_up_to: 0,
        events_up_to: 0,
        events_before: StoreTime::default(),
        sessions_before: StoreTime::default(),
        receipts_before: StoreTime::default(),
        now: asker.now(),
    };
    assert_eq!(asker.tidy(tidy).value, refused, "a tidy");
    subject.refuse_to_begin(Beginning::InsteadOf(place.history));
}

pub(super) fn the_first_history_begins_at_position_1(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let expected = subject.expected();
    assert_eq!(expected.head.position, 1);
    assert!(expected.predecessors.is_empty());
    subject.check();
    let asker = &subject.asker;
    assert_eq!(asker.events_after(None), News::TakeSnapshot);
}

pub(super) fn a_first_history_begins_in_an_empty_store_only(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.refuse_to_begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(2));
    subject.refuse_to_begin(Beginning::Empty);
    subject.begin(Beginning::InsteadOf(subject.history()));
    subject.refuse_to_begin(Beginning::Empty);
}

pub(super) fn a_history_begins_over_an_unknown_place(subject: &mut Subject<'_>) {
    let place = unknown_place(subject.fresh(), 77);
    subject.begin(over(place));
    subject.check();
    assert_eq!(subject.head().position, 77 + LEAP, "in an empty store");
    subject.append(subject.fresh().bumps(3));

    // Of another history, below the head.
    let place = unknown_place(subject.fresh(), 5);
    subject.begin(over(place));
    subject.check();
    subject.append(subject.fresh().bumps(3));

    // Of another history, above the head.
    let above = subject.head().position + 1_000;
    let place = unknown_place(subject.fresh(), above);
    subject.begin(over(place));
    subject.check();
    subject.append(subject.fresh().bumps(1));
}

/// As the replica knows them that had applied it, and the store its own.
pub(super) fn a_history_names_those_that_went_before_the_lost_place(subject: &mut Subject<'_>) {
    let fresh = subject.fresh().clone();
    let lost = |predecessors| Beginning::Unknown {
        place: unknown_place(&fresh, 12),
        predecessors,
    };
    let [first, second, third] = [(); 3].map(|()| HistoryId::from_bytes(fresh.bytes()));
    subject.begin(lost(vec![first, second]));
    subject.check();
    subject.append(fresh.bumps(2));
    // Some of them are known.
    let present = subject.history();
    subject.begin(lost(vec![second, present, third]));
    subject.check();
    subject.begin(lost(Vec::new()));
    subject.check();
    assert_eq!(subject.expected().predecessors.len(), 8);
    for history in [first, second, third, present] {
        let place = Place {
            history,
            ..unknown_place(&fresh, 77)
        };
        subject.refuse_to_begin(over(place));
    }
}

/// The tail of the log was lost, and its positions may have been given again.
pub(super) fn a_history_begins_over_a_lost_place_of_the_present_one(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(5));
    let lost = |subject: &Subject<'_>, position| Place {
        position,
        event: EventId::from_bytes(subject.fresh().bytes()),
        ..subject.head()
    };
    subject.begin(over(lost(subject, 3)));
    subject.check();
    subject.append(subject.fresh().bumps(1));
    let head = subject.head().position;
    subject.begin(over(lost(subject, head)));
    subject.check();
    let above = subject.head().position + 9;
    subject.begin(over(lost(subject, above)));
    subject.check();
}

pub(super) fn a_known_place_begins_no_history(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(5));
    let known = [0, 3, 5].map(|index| subject.expected().place(index));
    for place in known {
        subject.refuse_to_begin(over(place));
    }
    let foreign = unknown_place(subject.fresh(), 4);
    subject.begin(over(foreign));
    subject.begin(Beginning::InsteadOf(subject.history()));
    // Two histories ago, or named by a replica that had lost it: predecessors.
    for place in known {
        subject.refuse_to_begin(over(place));
    }
    subject.refuse_to_begin(over(foreign));
    let elsewhere = unknown_place(subject.fresh(), 1 << 40);
    subject.refuse_to_begin(over(Place {
        history: foreign.history,
        ..elsewhere
    }));
}

/// What was trimmed may have been there.
pub(super) fn a_place_that_was_trimmed_begins_no_history(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(5));
    subject.asker.let_time_pass();
    let time = subject.append(subject.fresh().bumps(1));
    let tidy = subject.new_tidy();
    subject.tidy(Tidy {
        events_before: time,
        ..tidy
    });
    for index in [0, 3, 6] {
        let place = subject.expected().place(index);
        subject.refuse_to_begin(over(place));
    }
}

pub(super) fn a_history_begins_instead_of_the_present_one_only(subject: &mut Subject<'_>) {
    let foreign = HistoryId::from_bytes(subject.fresh().bytes());
    subject.begin(Beginning::Empty);
    let first = subject.history();
    subject.append(subject.fresh().bumps(2));
    subject.refuse_to_begin(Beginning::InsteadOf(foreign));
    subject.begin(Beginning::InsteadOf(first));
    subject.check();
    subject.refuse_to_begin(Beginning::InsteadOf(first));
    subject.refuse_to_begin(Beginning::InsteadOf(foreign));
    subject.append(subject.fresh().bumps(2));
    subject.begin(Beginning::InsteadOf(subject.history()));
    subject.check();
}

pub(super) fn a_history_names_all_that_went_before_it(subject: &mut Subject<'_>) {
    let mut seen = Vec::new();
    subject.begin(Beginning::Empty);
    for round in 0..4 {
        seen.push(subject.head());
        let beginning = match round % 2 {
            0 => Beginning::InsteadOf(subject.history()),
            _ => {
                let lost = unknown_place(subject.fresh(), 9);
                seen.push(lost);
                over(lost)
            }
        };
        subject.begin(beginning);
        subject.check();
        assert_eq!(subject.expected().predecessors.len(), seen.len());
        for place in &seen {
            let news = subject.asker.events_after(Some(*place));
            let what = "to a place in a history that went before";
            assert_eq!(news, News::TakeSnapshot, "{what}");
        }
    }
}

pub(super) fn a_beginning_drops_all_but_the_receipts(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let user = subject.fresh().bytes();
    let row = subject.fresh().row(user);
    let before = subject.new_commit(subject.fresh().bumps(1), Vec::new());
    let events = vec![
        subject.fresh().add_key(subject.fresh().key()),
        subject.fresh().bump(),
    ];
    subject.commit(events, vec![SessionChange::Start(row.clone())]);
    let old = subject.head();
    let mut other = subject.asker.clone();
    other.replica = ReplicaId::from_bytes(subject.fresh().bytes());
    other.events_after(Some(subject.head()));

    subject.begin(Beginning::InsteadOf(old.history));
    subject.check();
    assert!(other.receipt().is_some(), "receipts stay");
    let expected = Outcome::Refused(Refusal::Place);
    let what = "a commit in a history that went before";
    assert_eq!(subject.asker.commit(before).value, expected, "{what}");
    for rows in [Rows::One(row.id), Rows::OfUser(user)] {
        let asker = &subject.asker;
        let what = "rows of a history that went before";
        assert_eq!(asker.sessions(old, rows), None, "{what}");
        let left = asker.sessions(subject.head(), rows);
        assert_eq!(left, Some(Vec::new()), "rows when a history has begun");
    }
    // Neither its keys nor its row are in the way of those of the new history.
    let start = SessionChange::Start(row);
    subject.commit(subject.fresh().bumps(1), vec![start]);
}

/// Rows may stay as they are, and then they are rows of the new history.
pub(super) fn a_beginning_may_keep_the_sessions(subject: &mut Subject<'_>) {
    let fresh = subject.fresh().clone();
    let keeping = |subject: &Subject<'_>, beginning| NewHistory {
        keeps_sessions: true,
        ..subject.new_history(beginning)
    };
    subject.begin_as(keeping(subject, Beginning::Empty));
    let rows = [(); 3].map(|()| fresh.row(fresh.bytes()));
    subject.change(rows.iter().cloned().map(SessionChange::Start).collect());
    for beginning in [
        Beginning::InsteadOf(subject.history()),
        over(unknown_place(&fresh, 3)),
    ] {
        subject.begin_as(keeping(subject, beginning));
        subject.check();
        let changed = fresh.version_of(&rows[0]);
        let version = subject.expected().rows[&rows[0].id].row.version;
        subject.change(vec![replace(&changed, version, true)]);
    }
    subject.refuse_to_begin_as(keeping(subject, Beginning::Empty));
    subject.begin(Beginning::InsteadOf(subject.history()));
    assert!(subject.expected().rows.is_empty());
}

/// Whoever comes second finds a store that is not empty, or a history that names its own.
pub(super) fn of_several_that_begin_at_once_one_does(subject: &mut Subject<'_>) {
    let lost = unknown_place(subject.fresh(), 1_000);
    let mut beginning = Beginning::Empty;
    for next in [Some(over(lost)), None] {
        let asker = subject.asker.clone();
        let position = subject.first_position(&beginning);
        let mut begun = together(8, |_| {
            let new = asker.fresh.history(beginning.clone(), asker.now());
            (new.clone(), asker.begin(new))
        });
        begun.retain(|(_, answer)| answer.value != Outcome::Refused(Refusal::Beginning));
        assert_eq!(begun.len(), 1, "how many of 8 at once are not refused");
        for (new, answer) in begun {
            subject.has_begun(new, position, answer);
        }
        subject.check();
        beginning = next.unwrap_or(beginning);
    }
}
