//! What the store answers to "what comes after this place?"

use std::time::{Duration, Instant};

use super::{
    asker::{PATIENCE, events_of, next_place, over, unknown_place},
    subject::Subject,
    threads::apart,
};
use crate::store::{Beginning, EventId, HistoryId, News, Place, Tidy};

/// A wait that is longer than any store needs to hear of a commit.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn with_events(subject: &mut Subject<'_>, count: usize) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(count));
}

/// What a store answers to a place, with a wait that it must not need.
fn answer_at_once(subject: &Subject<'_>, place: Option<Place>) -> News {
    let begun = Instant::now();
    let heartbeat = subject.asker.heartbeat(place);
    let news = subject.asker.hear(heartbeat, LONG).value;
    assert!(
        begun.elapsed() < PATIENCE,
        "an answer that says something is given without a wait"
    );
    news
}

pub(super) fn a_replica_that_has_applied_nothing_takes_a_snapshot(subject: &mut Subject<'_>) {
    assert_eq!(answer_at_once(subject, None), News::TakeSnapshot);
    with_events(subject, 3);
    assert_eq!(answer_at_once(subject, None), News::TakeSnapshot);
}

pub(super) fn nothing_follows_the_head(subject: &mut Subject<'_>) {
    with_events(subject, 3);
    let (events, more) = (Vec::new(), false);
    let nothing = News::Events { events, more };
    let head = Some(subject.head());
    assert_eq!(subject.asker.events_after(head), nothing, "without a wait");
    let heartbeat = subject.asker.heartbeat(head);
    let news = subject.asker.hear(heartbeat, SHORT);
    assert_eq!(news.value, nothing, "with a wait");
}

pub(super) fn events_follow_each_place_of_the_log(subject: &mut Subject<'_>) {
    with_events(subject, 7);
    subject.append(subject.fresh().bumps(1));
    for index in 0..subject.expected().log.len() {
        let followed = subject.asker.follow(subject.expected().place(index));
        subject.expected().check_followed(&followed, index);
    }
    let first = subject.expected().place(0);
    let (events, _) = events_of(answer_at_once(subject, Some(first)), first);
    assert!(!events.is_empty());
}

pub(super) fn another_event_at_a_known_position_is_not_my_past(subject: &mut Subject<'_>) {
    with_events(subject, 4);
    for index in 0..subject.expected().log.len() {
        let known = subject.expected().place(index);
        for event in [
            EventId::from_bytes(subject.fresh().bytes()),
            subject.expected().place((index + 1) % 5).event,
        ] {
            let news = answer_at_once(subject, Some(Place { event, ..known }));
            assert_eq!(news, News::NotMyPast, "the event number {index}");
        }
    }
}

pub(super) fn a_position_above_the_head_is_not_my_past(subject: &mut Subject<'_>) {
    with_events(subject, 4);
    for above in [1, 2, 5_000, 1 << 33] {
        let head = subject.head();
        for event in [head.event, EventId::from_bytes(subject.fresh().bytes())] {
            let position = head.position + above;
            let news = answer_at_once(
                subject,
                Some(Place {
                    position,
                    event,
                    ..head
                }),
            );
            assert_eq!(news, News::NotMyPast, "{above} above the head");
        }
    }
}

pub(super) fn another_history_is_not_my_past(subject: &mut Subject<'_>) {
    with_events(subject, 4);
    let known = subject.expected().place(2);
    for place in [
        unknown_place(subject.fresh(), 1),
        unknown_place(subject.fresh(), 1_000),
        Place {
            history: HistoryId::from_bytes(subject.fresh().bytes()),
            ..known
        },
    ] {
        let news = answer_at_once(subject, Some(place));
        assert_eq!(news, News::NotMyPast, "{place:?}");
    }
}

pub(super) fn who_is_in_a_history_that_went_before_takes_a_snapshot(subject: &mut Subject<'_>) {
    with_events(subject, 4);
    let known = subject.expected().place(2);
    let lost = unknown_place(subject.fresh(), 8);
    subject.begin(over(lost));
    subject.append(subject.fresh().bumps(2));
    subject.begin(Beginning::InsteadOf(subject.history()));
    let unknown = unknown_place(subject.fresh(), 1 << 50);
    for history in [known.history, lost.history] {
        for place in [known, lost, unknown, subject.head()] {
            let place = Place { history, ..place };
            let news = answer_at_once(subject, Some(place));
            assert_eq!(news, News::TakeSnapshot, "{place:?}");
        }
    }
}

/// A store need not trim; but it does not take what it may have trimmed for a loss.
pub(super) fn who_is_behind_a_trimmed_log_takes_a_snapshot(subject: &mut Subject<'_>) {
    with_events(subject, 4);
    subject.asker.let_time_pass();
    let events_before = subject.append(subject.fresh().bumps(3));
    let tidy = subject.new_tidy();
    subject.tidy(Tidy {
        events_before,
        ..tidy
    });
    for index in 0..subject.expected().log.len() {
        let place = subject.expected().place(index);
        let news = subject.asker.events_after(Some(place));
        let was_trimmed = news == News::TakeSnapshot && index < subject.expected().tidied.events;
        if !was_trimmed {
            let followed = subject.asker.follow(place);
            subject.expected().check_followed(&followed, index);
        }
    }
    subject.append(subject.fresh().bumps(2));
}

/// However many a store gives at once.
pub(super) fn ten_thousand_events_come_in_order(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let tag = subject.fresh().bytes();
    for _ in 0..20 {
        let bumps = (0..500).map(|_| subject.fresh().epoch(tag));
        subject.append(bumps.collect());
    }
    subject.check();
    // From the middle too, and each answer goes on where the one before has ended.
    let followed = subject.asker.follow(subject.expected().place(4_321));
    assert_eq!(followed.len(), 10_000 - 4_321);
    let mut place = subject.expected().place(0);
    loop {
        let (events, more) = events_of(subject.asker.events_after(Some(place)), place);
        place = events.iter().fold(place, next_place);
        let is_head = place == subject.head();
        assert_eq!(more, !is_head, "whether more events follow {place:?}");
        if is_head {
            break;
        }
    }
}

pub(super) fn who_waits_for_news_hears_of_a_commit(subject: &mut Subject<'_>) {
    with_events(subject, 2);
    for round in 0..3 {
        let (asker, head) = (subject.asker.clone(), subject.head());
        let heartbeat = asker.heartbeat(Some(head));
        let answer = apart(move || asker.hear(heartbeat, LONG).value);
        std::thread::sleep(SHORT);
        subject.append(subject.fresh().bumps(1));
        let mut news = heard(&answer);
        // It may have come back just before.
        if news == nothing() {
            news = subject.asker.events_after(Some(head));
        }
        let (events, more) = events_of(news, head);
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!((ids, more), (vec![subject.head().event], false));
        if round == 1 {
            // The other connection's turn.
            subject.asker.events_after(None);
        }
    }
    let (asker, head) = (subject.asker.clone(), subject.head());
    let heartbeat = asker.heartbeat(Some(head));
    let answer = apart(move || asker.hear(heartbeat, LONG).value);
    std::thread::sleep(SHORT);
    subject.begin(Beginning::InsteadOf(head.history));
    let news = heard(&answer);
    assert!(
        news == News::TakeSnapshot || news == nothing(),
        "a history has begun while somebody waited, and the answer was {news:?}"
    );
}

fn nothing() -> News {
    let (events, more) = (Vec::new(), false);
    News::Events { events, more }
}

fn heard(answer: &std::sync::mpsc::Receiver<News>) -> News {
    let news = answer.recv_timeout(PATIENCE);
    news.expect("who waits for news is answered when there is some, or earlier")
}

/// To wake may do nothing; but it must not be in the way.
pub(super) fn a_wait_ends_when_it_is_over_or_by_wake(subject: &mut Subject<'_>) {
    with_events(subject, 2);
    for wakes in [false, true] {
        let (asker, head) = (subject.asker.clone(), subject.head());
        let heartbeat = asker.heartbeat(Some(head));
        let answer = apart(move || asker.hear(heartbeat, SHORT * 4).value);
        if wakes {
            std::thread::sleep(SHORT);
            subject.asker.connection().wake();
            subject.asker.connection().wake();
        }
        let news = answer.recv_timeout(PATIENCE);
        let news = news.expect("a wait ends when it is over, at the latest");
        assert_eq!(news, nothing(), "nothing was committed");
    }
    subject.append(subject.fresh().bumps(1));
    subject.asker.connection().wake();
    subject.asker.connection().wake();
    let place = subject.expected().place(0);
    let (events, _) = events_of(answer_at_once(subject, Some(place)), place);
    assert!(!events.is_empty());
}
