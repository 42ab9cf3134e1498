//! Flaws of what a store shows.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use epochkey::{
    Store,
    store::{
        Answer, Completion, Heartbeat, News, Outcome, Reach, SessionQuery, SessionRow, Snapshot,
        StoreTime, StoredEpoch, Tidy,
    },
    testing::FaultyStore,
};

use crate::broken::{Answered, Broken, Flaw, assert_found_in, head, rows_of};

found! {
    it_answers_to_an_unknown_event: AnswersToAnUnknownEvent
        => another_event_at_a_known_position_is_not_my_past;
    it_skips_an_event: SkipsAnEvent => events_follow_each_place_of_the_log;
    it_says_that_there_is_no_more: SaysThatThereIsNoMore => ten_thousand_events_come_in_order;
    it_trims_by_time_alone: TrimsByTimeAlone => a_log_is_trimmed_from_its_old_end_only;
    it_forgets_who_has_applied_nothing: ForgetsWhoHasAppliedNothing
        => a_replica_that_has_applied_nothing_gets_a_receipt;
    it_names_one_predecessor: NamesOnePredecessor => a_history_begins_over_an_unknown_place;
    it_shows_some_epochs: ShowsSomeEpochs => a_snapshot_shows_very_many_epochs;
    it_shows_an_epoch_above_the_head: ShowsTwoMoments => a_snapshot_is_of_one_moment;
    it_dates_keys_otherwise: DatesKeysOtherwise => a_change_is_dated_as_its_answer;
    it_finds_rows_of_any_history: FindsRowsOfAnyHistory => rows_are_not_found_in_another_history;
    it_reads_rows_one_by_one: ReadsRowsOneByOne => the_rows_of_a_user_are_of_one_moment;
    it_has_no_clock_of_its_own: HasNoClockOfItsOwn => a_shared_store_has_its_own_clock;
}

/// A store that nobody else reaches, and that is empty whenever it is opened.
#[test]
fn it_forgets_when_it_is_let_go_of() {
    let clause = "what_is_done_is_there_when_the_store_is_opened_again";
    assert_found_in(clause, || FaultyStore::embedded);
}

/// Each connection is to a store of its own.
#[test]
fn it_is_not_shared() {
    let clause = "the_first_history_begins_at_position_1";
    assert_found_in(clause, || {
        || Broken::<HasNoClockOfItsOwn>::connected_to(&FaultyStore::embedded())
    });
}

/// It looks at the position only.
#[derive(Default)]
struct AnswersToAnUnknownEvent;

impl Flaw for AnswersToAnUnknownEvent {
    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let mut answer = good.events_after(said, wait)?;
        if let (News::NotMyPast, Some(place), Some(head)) =
            (&answer.value, said.applied, head(good))
            && place.history == head.history
            && place.position <= head.position
        {
            let (events, more) = (Vec::new(), false);
            answer.value = News::Events { events, more };
        }
        Ok(answer)
    }
}

/// Of seven or more.
#[derive(Default)]
struct SkipsAnEvent;

impl Flaw for SkipsAnEvent {
    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let mut answer = good.events_after(said, wait)?;
        if let News::Events { events, .. } = &mut answer.value
            && events.len() == 8
        {
            events.remove(5);
        }
        Ok(answer)
    }
}

#[derive(Default)]
struct SaysThatThereIsNoMore;

impl Flaw for SaysThatThereIsNoMore {
    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let mut answer = good.events_after(said, wait)?;
        if let News::Events { more, .. } = &mut answer.value {
            *more = false;
        }
        Ok(answer)
    }
}

/// It forgets each event that is old, also behind one that is not.
#[derive(Default)]
struct TrimsByTimeAlone {
    before: AtomicU64,
    up_to: AtomicU64,
}

impl Flaw for TrimsByTimeAlone {
    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        let before = tidy.events_before.as_unix_millis();
        self.before.fetch_max(before, Ordering::SeqCst);
        self.up_to.fetch_max(tidy.events_up_to, Ordering::SeqCst);
        good.tidy(tidy)
    }

    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let mut answer = good.events_after(said, wait)?;
        if let News::Events { events, .. } = &mut answer.value {
            let before = self.before.load(Ordering::SeqCst);
            let up_to = self.up_to.load(Ordering::SeqCst);
            let head = head(good).map(|head| head.event);
            events.retain(|event| {
                let is_old = event.time.as_unix_millis() < before && event.position <= up_to;
                !is_old || Some(event.id) == head
            });
        }
        Ok(answer)
    }
}

#[derive(Default)]
struct ForgetsWhoHasAppliedNothing;

impl Flaw for ForgetsWhoHasAppliedNothing {
    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        match said.applied {
            Some(_) => good.events_after(said, wait),
            None => Ok(Answer {
                value: News::TakeSnapshot,
                time: said.now,
            }),
        }
    }
}

type Epochs<'a> = &'a mut dyn FnMut(StoredEpoch);

/// The last one.
#[derive(Default)]
struct NamesOnePredecessor;

impl Flaw for NamesOnePredecessor {
    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: Epochs<'_>,
    ) -> Answered<Option<Snapshot>> {
        let mut answer = good.snapshot(now, epochs)?;
        if let Some(snapshot) = &mut answer.value {
            snapshot.predecessors.reverse();
            snapshot.predecessors.truncate(1);
        }
        Ok(answer)
    }
}

/// As many as it likes to read at once.
#[derive(Default)]
struct ShowsSomeEpochs;

impl Flaw for ShowsSomeEpochs {
    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: Epochs<'_>,
    ) -> Answered<Option<Snapshot>> {
        let mut left = 4096;
        good.snapshot(now, &mut |epoch| {
            if left > 0 {
                left -= 1;
                epochs(epoch);
            }
        })
    }
}

/// Epochs of a moment, head and keys of another.
#[derive(Default)]
struct ShowsTwoMoments;

impl Flaw for ShowsTwoMoments {
    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: Epochs<'_>,
    ) -> Answered<Option<Snapshot>> {
        good.snapshot(now, epochs)?;
        thread::sleep(Duration::from_millis(1));
        good.snapshot(now, &mut |_| {})
    }
}

/// By a second look at the clock.
#[derive(Default)]
struct DatesKeysOtherwise;

impl Flaw for DatesKeysOtherwise {
    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: Epochs<'_>,
    ) -> Answered<Option<Snapshot>> {
        let mut answer = good.snapshot(now, epochs)?;
        for key in answer
            .value
            .iter_mut()
            .flat_map(|shown| &mut shown.keys[1..])
        {
            let time = key.introduced_at.as_unix_millis();
            key.introduced_at = StoreTime::from_unix_millis(time + 1);
        }
        Ok(answer)
    }
}

type Found = Option<Vec<SessionRow>>;

#[derive(Default)]
struct FindsRowsOfAnyHistory;

impl Flaw for FindsRowsOfAnyHistory {
    fn sessions(&self, good: &FaultyStore, query: SessionQuery, done: Completion<Found>) {
        let known = head(good).unwrap_or(query.known);
        good.sessions(SessionQuery { known, ..query }, done);
    }
}

/// Some of them at one moment, the others at the next.
#[derive(Default)]
struct ReadsRowsOneByOne;

impl Flaw for ReadsRowsOneByOne {
    fn sessions(&self, good: &FaultyStore, query: SessionQuery, done: Completion<Found>) {
        let first = rows_of(good, query.known, query.rows);
        thread::sleep(Duration::from_millis(1));
        good.sessions(
            query,
            Box::new(move |answer| {
                done(answer.map(|mut answer| {
                    if let Some(rows) = &mut answer.value {
                        let new =
                            |row: &SessionRow| first.iter().all(|kept| kept.row.id != row.row.id);
                        rows.retain(new);
                        rows.extend(first);
                    }
                    answer
                }));
            }),
        );
    }
}

/// It takes the time of whoever asks.
#[derive(Default)]
struct HasNoClockOfItsOwn;

impl Flaw for HasNoClockOfItsOwn {
    fn reach(&self) -> Reach {
        Reach::Shared
    }
}
