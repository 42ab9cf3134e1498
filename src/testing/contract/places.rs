//! How places stand to the log, and on the grounds of which of them a store answers and
//! changes something.

use super::{asker::unknown_place, subject::Subject};
use crate::store::{
    Beginning, Commit, EventId, HistoryId, NewRow, News, Outcome, Place, Refusal, Rewrap, Rows,
    SessionChange, Standing, StoreTime, Tidy,
};

/// A time after all that a clause does.
fn far() -> StoreTime {
    StoreTime::from_unix_millis(9_000_000_000_000)
}

/// The greatest position that there may be.
const HIGHEST: u64 = i64::MAX as u64;

/// Places of all kinds.
struct Places {
    /// Of the history's events, from the first to the head.
    log: Vec<Place>,
    /// Below the history's first event.
    below: Vec<Place>,
    /// In histories that went before.
    before: Vec<(Place, &'static str)>,
    /// Nowhere.
    unknown: Vec<(Place, &'static str)>,
    /// A row that is there.
    row: NewRow,
}

impl Places {
    /// In a history that has taken the place of one that was there and of one that was
    /// lost, and of which a few events are tidied.
    fn new(subject: &mut Subject<'_>) -> Self {
        let fresh = subject.fresh().clone();
        let row = fresh.row(fresh.bytes());
        subject.begin(Beginning::Empty);
        subject.append(fresh.bumps(5));
        let earlier = subject.head();
        let (lost, elder) = (unknown_place(&fresh, 9), unknown_place(&fresh, 3));
        subject.begin(Beginning::Unknown {
            place: lost,
            predecessors: vec![elder.history],
        });
        subject.append(fresh.bumps(4));
        let events = vec![fresh.bump(), fresh.add_key(fresh.key()), fresh.bump()];
        subject.commit(events, vec![SessionChange::Start(row.clone())]);
        subject.asker.events_after(None);
        let (tidy, tidied) = (subject.new_tidy(), subject.expected().place(3));
        subject.tidy(Tidy {
            events_up_to: tidied.position,
            events_before: far(),
            ..tidy
        });
        let expected = subject.expected();
        let places = (0..expected.log.len()).map(|index| expected.place(index));
        let log: Vec<_> = places.collect();
        Self {
            below: vec![at(log[0], log[0].position - 1), at(log[0], 0)],
            before: vec![
                (earlier, "the last head of the history before"),
                (other_event(subject, earlier), "another event of it"),
                (at(earlier, HIGHEST), "far above its head"),
                (lost, "the lost place over which the history has begun"),
                (elder, "in a history that went before that place"),
                (of_history(subject.head(), elder), "above it"),
            ],
            unknown: unknown(subject, &log),
            log,
            row,
        }
    }

    /// Those on the grounds of which nothing is done.
    fn refused(&self) -> impl Iterator<Item = (Place, &'static str)> {
        self.before.iter().chain(&self.unknown).copied()
    }

    /// Those on the grounds of which everything is done.
    fn accepted(&self) -> impl Iterator<Item = Place> {
        self.below.iter().chain(&self.log).copied()
    }
}

fn unknown(subject: &Subject<'_>, log: &[Place]) -> Vec<(Place, &'static str)> {
    let (head, inner) = (log[log.len() - 1], log[log.len() - 3]);
    let foreign = HistoryId::from_bytes(subject.fresh().bytes());
    let in_place_of = |place: Place, event| Place { event, ..place };
    vec![
        (other_event(subject, head), "another event at the head"),
        (other_event(subject, inner), "another event below the head"),
        (in_place_of(inner, head.event), "the head, at a lower place"),
        (in_place_of(head, inner.event), "an event, at the head"),
        (at(head, head.position + 1), "the head, at the next place"),
        (at(head, HIGHEST), "far above the head"),
        (
            Place {
                history: foreign,
                ..head
            },
            "the head, in a history that nobody knows",
        ),
        (unknown_place(subject.fresh(), 1), "in a history of its own"),
    ]
}

fn at(place: Place, position: u64) -> Place {
    Place { position, ..place }
}

fn of_history(place: Place, Place { history, .. }: Place) -> Place {
    Place { history, ..place }
}

fn other_event(subject: &Subject<'_>, place: Place) -> Place {
    let event = EventId::from_bytes(subject.fresh().bytes());
    Place { event, ..place }
}

/// How the store says that a place stands to the log, by whichever way it is asked.
fn stands(subject: &Subject<'_>, place: Place) -> Standing {
    let standing = subject.asker.standing(place);
    let news = subject.asker.events_after(Some(place));
    let agrees = match standing {
        Standing::Part => matches!(news, News::Events { .. }),
        Standing::Trimmed | Standing::Before => news == News::TakeSnapshot,
        Standing::Unknown => news == News::NotMyPast,
    };
    assert!(
        agrees,
        "{place:?} is {standing:?}, and what follows it is {news:?}"
    );
    standing
}

/// Those that may have been trimmed may be trimmed.
pub(super) fn events_of_the_log_are_part_of_it(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    let tidied = subject.expected().tidied.events;
    assert_eq!(tidied, 4, "how many events may have been trimmed");
    for (index, place) in places.log.into_iter().enumerate() {
        let standing = stands(subject, place);
        let may_be_trimmed = standing == Standing::Trimmed && index < tidied;
        assert!(
            may_be_trimmed || standing == Standing::Part,
            "the event number {index} is {standing:?}"
        );
    }
}

/// Whether the history has begun there or was trimmed makes no difference.
pub(super) fn what_is_below_the_oldest_event_is_trimmed(subject: &mut Subject<'_>) {
    for place in Places::new(subject).below {
        assert_eq!(stands(subject, place), Standing::Trimmed, "{place:?}");
        let place = other_event(subject, place);
        assert_eq!(stands(subject, place), Standing::Trimmed, "{place:?}");
    }
}

/// Whatever the position and the event.
pub(super) fn what_is_in_a_history_that_went_before_is_before(subject: &mut Subject<'_>) {
    for (place, what) in Places::new(subject).before {
        assert_eq!(stands(subject, place), Standing::Before, "{what}");
    }
}

pub(super) fn everything_else_is_unknown(subject: &mut Subject<'_>) {
    for (place, what) in Places::new(subject).unknown {
        assert_eq!(stands(subject, place), Standing::Unknown, "{what}");
    }
}

pub(super) fn a_commit_for_a_place_not_of_the_log_is_refused(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    for (known, why) in places.refused() {
        let fresh = subject.fresh();
        let row = fresh.row(places.row.user);
        for events in [fresh.bumps(1), Vec::new()] {
            let commit = subject.new_commit(events, vec![SessionChange::Start(row.clone())]);
            subject.refuse(Commit { known, ..commit }, Refusal::Place, why);
        }
    }
}

/// Who has not applied all yet may change something.
pub(super) fn a_commit_for_an_older_place_is_made(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    for known in places.accepted() {
        let fresh = subject.fresh();
        let start = SessionChange::Start(fresh.row(places.row.user));
        let commit = subject.new_commit(fresh.bumps(1), vec![start]);
        subject.make(Commit { known, ..commit });
        subject.check();
    }
}

pub(super) fn rows_are_not_found_for_a_place_not_of_the_log(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    for (known, why) in places.refused() {
        for rows in [Rows::One(places.row.id), Rows::OfUser(places.row.user)] {
            let found = subject.asker.sessions(known, rows);
            assert_eq!(found, None, "rows for a place: {why}");
        }
    }
}

pub(super) fn rows_are_found_for_an_older_place(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    for known in places.accepted() {
        for rows in [Rows::One(places.row.id), Rows::OfUser(places.row.user)] {
            let found = subject.asker.sessions(known, rows).map(|rows| rows.len());
            assert_eq!(found, Some(1), "how many rows are found for {known:?}");
        }
    }
}

/// It forgets nothing then, receipts neither.
pub(super) fn tidying_for_a_place_not_of_the_log_is_refused(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    for (known, why) in places.refused() {
        subject.asker.events_after(None);
        let before = subject.asker.receipt();
        assert!(before.is_some(), "there is a receipt of who has asked");
        let head = subject.head().position;
        let answer = subject.asker.tidy(Tidy {
            known,
            epochs_up_to: head,
            events_up_to: head,
            events_before: far(),
            sessions_before: far(),
            receipts_before: far(),
            now: subject.asker.now(),
        });
        let refused = Outcome::Refused(Refusal::Place);
        assert_eq!(answer.value, refused, "outcome of a tidy: {why}");
        let after = subject.asker.receipt();
        assert_eq!(after, before, "a receipt after a tidy that was refused");
        subject.check();
    }
}

pub(super) fn tidying_for_an_older_place_is_done(subject: &mut Subject<'_>) {
    for known in Places::new(subject).accepted() {
        let tidy = subject.new_tidy();
        subject.tidy(Tidy { known, ..tidy });
    }
}

pub(super) fn rewrapping_for_a_place_not_of_the_log_is_refused(subject: &mut Subject<'_>) {
    for (known, why) in Places::new(subject).refused() {
        let rewrap = subject.new_rewrap();
        let answer = subject.asker.rewrap(Rewrap { known, ..rewrap });
        let refused = Outcome::Refused(Refusal::Place);
        assert_eq!(answer.value, refused, "outcome of a rewrap: {why}");
        subject.check();
    }
}

pub(super) fn rewrapping_for_an_older_place_is_done(subject: &mut Subject<'_>) {
    for known in Places::new(subject).accepted() {
        let rewrap = subject.new_rewrap();
        subject.rewrap(Rewrap { known, ..rewrap });
    }
}

/// A place of elsewhere is of no use to who asks how far the replicas are.
pub(super) fn a_receipt_names_a_place_of_the_log_or_none(subject: &mut Subject<'_>) {
    let places = Places::new(subject);
    let others = places.refused().map(|(place, _)| place);
    for place in others.chain(places.accepted()) {
        let standing = stands(subject, place);
        let receipt = subject.asker.receipt();
        let receipt = receipt.expect("there is a receipt of who has asked");
        let expected = (standing == Standing::Part).then_some(place);
        assert_eq!(
            receipt.heartbeat.applied, expected,
            "what a replica had applied, of which it said {place:?}"
        );
    }
}
