//! Flaws of how a store takes the places that it is told.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use epochkey::{
    Store,
    store::{
        Commit, Completion, EventId, Heartbeat, News, Outcome, Place, Receipt, ReplicaId, Rewrap,
        SessionQuery, SessionRow, Standing, StoreTime, Tidy,
    },
    testing::FaultyStore,
};

use crate::broken::{Answered, Flaw, head};

found! {
    it_takes_what_it_does_not_know_for_trimmed: TakesTheUnknownForTrimmed
        => everything_else_is_unknown;
    it_takes_its_past_for_trimmed: TakesItsPastForTrimmed
        => what_is_in_a_history_that_went_before_is_before;
    it_takes_its_past_for_unknown: TakesItsPastForUnknown
        => what_is_in_a_history_that_went_before_is_before;
    it_takes_what_is_trimmed_for_unknown: TakesTheTrimmedForUnknown
        => events_of_the_log_are_part_of_it;
    it_commits_by_position: CommitsByPosition => a_commit_for_a_place_not_of_the_log_is_refused;
    it_commits_for_its_past: CommitsForItsPast => a_beginning_drops_all_but_the_receipts;
    it_commits_for_the_head_only: CommitsForTheHeadOnly => a_completion_may_make_requests;
    it_commits_for_events_that_it_has_only: CommitsForEventsThatItHasOnly
        => a_commit_for_an_older_place_is_made;
    it_finds_rows_by_position: FindsRowsByPosition
        => rows_are_not_found_for_a_place_not_of_the_log;
    it_tidies_by_position: TidiesByPosition => tidying_for_a_place_not_of_the_log_is_refused;
    it_rewraps_by_position: RewrapsByPosition
        => rewrapping_for_a_place_not_of_the_log_is_refused;
    it_believes_every_receipt: BelievesEveryReceipt
        => a_receipt_names_a_place_of_the_log_or_none;
}

/// What a store whose history has begun says that it is not.
fn otherwise(
    good: &FaultyStore,
    place: Place,
    now: StoreTime,
    [standing, said]: [Standing; 2],
) -> Answered<Standing> {
    let mut answer = good.standing(place, now)?;
    if answer.value == standing && head(good).is_some() {
        answer.value = said;
    }
    Ok(answer)
}

macro_rules! takes {
    ($($flaw:ident: $standing:ident for $said:ident;)*) => {
        $(
            #[derive(Default)]
            struct $flaw;

            impl Flaw for $flaw {
                fn standing(
                    &self,
                    good: &FaultyStore,
                    place: Place,
                    now: StoreTime,
                ) -> Answered<Standing> {
                    otherwise(good, place, now, [Standing::$standing, Standing::$said])
                }
            }
        )*
    };
}

takes! {
    TakesTheUnknownForTrimmed: Unknown for Trimmed;
    TakesItsPastForTrimmed: Before for Trimmed;
    TakesItsPastForUnknown: Before for Unknown;
    TakesTheTrimmedForUnknown: Trimmed for Unknown;
}

/// The head, in place of what may be there if one looks at its position only.
fn by_position(good: &FaultyStore, known: Place) -> Place {
    let head = head(good).filter(|head| head.history == known.history);
    let above = head.filter(|head| known.position <= head.position);
    above.unwrap_or(known)
}

/// A replica that applied what was lost changes what it has not seen.
#[derive(Default)]
struct CommitsByPosition;

impl Flaw for CommitsByPosition {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        let known = by_position(good, commit.known);
        good.commit(Commit { known, ..commit }, done);
    }
}

fn standing(good: &FaultyStore, place: Place) -> Standing {
    let answer = good.standing(place, StoreTime::default());
    answer.unwrap().value
}

#[derive(Default)]
struct CommitsForItsPast;

impl Flaw for CommitsForItsPast {
    fn commit(&self, good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
        if let (Standing::Before, Some(head)) = (standing(good, commit.known), head(good)) {
            commit.known = head;
        }
        good.commit(commit, done);
    }
}

fn refused(good: &FaultyStore, mut commit: Commit, done: Completion<Outcome>) {
    let event = EventId::from_bytes([0x11; 16]);
    commit.known = Place {
        event,
        ..head(good).unwrap_or(commit.known)
    };
    good.commit(commit, done);
}

/// A replica that commits twice has not applied the first when it sends the second.
#[derive(Default)]
struct CommitsForTheHeadOnly;

impl Flaw for CommitsForTheHeadOnly {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        match head(good) == Some(commit.known) {
            true => good.commit(commit, done),
            false => refused(good, commit, done),
        }
    }
}

#[derive(Default)]
struct CommitsForEventsThatItHasOnly;

impl Flaw for CommitsForEventsThatItHasOnly {
    fn commit(&self, good: &FaultyStore, commit: Commit, done: Completion<Outcome>) {
        match standing(good, commit.known) {
            Standing::Trimmed => refused(good, commit, done),
            _ => good.commit(commit, done),
        }
    }
}

#[derive(Default)]
struct FindsRowsByPosition;

impl Flaw for FindsRowsByPosition {
    fn sessions(
        &self,
        good: &FaultyStore,
        query: SessionQuery,
        done: Completion<Option<Vec<SessionRow>>>,
    ) {
        let known = by_position(good, query.known);
        good.sessions(SessionQuery { known, ..query }, done);
    }
}

#[derive(Default)]
struct TidiesByPosition;

impl Flaw for TidiesByPosition {
    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        let known = by_position(good, tidy.known);
        good.tidy(Tidy { known, ..tidy })
    }
}

#[derive(Default)]
struct RewrapsByPosition;

impl Flaw for RewrapsByPosition {
    fn rewrap(&self, good: &FaultyStore, rewrap: Rewrap) -> Answered<Outcome> {
        let known = by_position(good, rewrap.known);
        good.rewrap(Rewrap { known, ..rewrap })
    }
}

/// It keeps what a replica said, wherever that may be.
#[derive(Default)]
struct BelievesEveryReceipt {
    applied: Mutex<HashMap<ReplicaId, Option<Place>>>,
}

impl Flaw for BelievesEveryReceipt {
    fn events_after(&self, good: &FaultyStore, said: Heartbeat, wait: Duration) -> Answered<News> {
        let mut applied = self.applied.lock().unwrap();
        applied.insert(said.replica, said.applied);
        drop(applied);
        good.events_after(said, wait)
    }

    fn receipts(&self, good: &FaultyStore, now: StoreTime) -> Answered<Vec<Receipt>> {
        let mut answer = good.receipts(now)?;
        let applied = self.applied.lock().unwrap();
        for Receipt { heartbeat, .. } in &mut answer.value {
            heartbeat.applied = applied.get(&heartbeat.replica).copied().flatten();
        }
        Ok(answer)
    }
}
