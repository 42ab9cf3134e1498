//! Flaws of how a history begins, and of what is forgotten.

use std::sync::atomic::{AtomicU64, Ordering};

use epochkey::{
    Store,
    store::{
        Answer, Beginning, NewHistory, Outcome, Refusal, Rewrap, Snapshot, StoreTime, StoredEpoch,
        Tidy,
    },
    testing::FaultyStore,
};

use crate::broken::{Answered, Flaw, head};

found! {
    it_begins_in_any_store: BeginsInAnyStore => a_first_history_begins_in_an_empty_store_only;
    it_begins_over_a_known_place: BeginsOverAKnownPlace => a_known_place_begins_no_history;
    it_leaps_by_one: LeapsByOne => a_history_begins_over_an_unknown_place;
    it_leaps_above_its_own_head_only: LeapsAboveItsOwnHeadOnly
        => a_history_begins_over_an_unknown_place;
    it_drops_receipts_with_the_rest: DropsReceiptsWithTheRest
        => a_beginning_drops_all_but_the_receipts;
    it_tidies_rows_too_early: TidiesRowsTooEarly
        => tidying_keeps_the_rows_that_do_not_expire_before;
    it_never_keeps_sessions: NeverKeepsSessions => a_beginning_may_keep_the_sessions;
    it_always_keeps_sessions: AlwaysKeepsSessions => a_beginning_drops_all_but_the_receipts;
    it_tidies_events_by_time_alone: TidiesEventsByTimeAlone => tidying_keeps_the_events_above;
    it_tidies_epochs_of_live_keys: TidiesEpochsOfLiveKeys
        => tidying_keeps_the_epochs_above_the_oldest_key;
    it_forgets_the_past_of_a_lost_place: ForgetsThePastOfALostPlace
        => a_history_names_those_that_went_before_the_lost_place;
    it_tidies_receipts_when_it_refuses: TidiesReceiptsWhenItRefuses
        => tidying_for_a_place_not_of_the_log_is_refused;
    it_rewraps_any_ring: RewrapsAnyRing => rewrapping_is_refused_for_another_ring;
}

fn begun_anyway(good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
    let answer = good.begin(new.clone())?;
    match (answer.value, head(good)) {
        (Outcome::Refused(_), Some(head)) => good.begin(NewHistory {
            beginning: Beginning::InsteadOf(head.history),
            ..new
        }),
        _ => Ok(answer),
    }
}

#[derive(Default)]
struct BeginsInAnyStore;

impl Flaw for BeginsInAnyStore {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        match new.beginning {
            Beginning::Empty => begun_anyway(good, new),
            _ => good.begin(new),
        }
    }
}

/// A lagging read makes it log everyone out.
#[derive(Default)]
struct BeginsOverAKnownPlace;

impl Flaw for BeginsOverAKnownPlace {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        match new.beginning {
            Beginning::Unknown { .. } => begun_anyway(good, new),
            _ => good.begin(new),
        }
    }
}

#[derive(Default)]
struct LeapsByOne;

impl Flaw for LeapsByOne {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        let mut answer = good.begin(new)?;
        if let Outcome::Done { head } = &mut answer.value
            && head.position > 1
        {
            head.position -= (1 << 32) - 1;
        }
        Ok(answer)
    }
}

/// A replica that was ahead of it would hold a key above the new floor.
#[derive(Default)]
struct LeapsAboveItsOwnHeadOnly;

impl Flaw for LeapsAboveItsOwnHeadOnly {
    fn begin(&self, good: &FaultyStore, mut new: NewHistory) -> Answered<Outcome> {
        if let Beginning::Unknown { place, .. } = &mut new.beginning
            && head(good).is_none_or(|head| head.history != place.history)
        {
            place.position = 1;
        }
        good.begin(new)
    }
}

#[derive(Default)]
struct DropsReceiptsWithTheRest;

impl Flaw for DropsReceiptsWithTheRest {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        let answer = good.begin(new)?;
        forget_receipts(good);
        Ok(answer)
    }
}

#[derive(Default)]
struct NeverKeepsSessions;

impl Flaw for NeverKeepsSessions {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        let keeps_sessions = false;
        good.begin(NewHistory {
            keeps_sessions,
            ..new
        })
    }
}

/// Sessions outlive a loss.
#[derive(Default)]
struct AlwaysKeepsSessions;

impl Flaw for AlwaysKeepsSessions {
    fn begin(&self, good: &FaultyStore, new: NewHistory) -> Answered<Outcome> {
        let keeps_sessions = true;
        good.begin(NewHistory {
            keeps_sessions,
            ..new
        })
    }
}

fn forget_receipts(good: &FaultyStore) {
    let Some(head) = head(good) else { return };
    let tidy = Tidy {
        known: head,
        epochs_up_to: 0,
        events_up_to: 0,
        events_before: StoreTime::default(),
        sessions_before: StoreTime::default(),
        receipts_before: StoreTime::from_unix_millis(i64::MAX as u64),
        now: StoreTime::default(),
    };
    good.tidy(tidy).unwrap();
}

#[derive(Default)]
struct TidiesRowsTooEarly;

impl Flaw for TidiesRowsTooEarly {
    fn tidy(&self, good: &FaultyStore, mut tidy: Tidy) -> Answered<Outcome> {
        let before = tidy.sessions_before.as_unix_millis();
        // At this time, not before it only.
        tidy.sessions_before = StoreTime::from_unix_millis(before + 1);
        good.tidy(tidy)
    }
}

/// Whether a replica has applied them or not.
#[derive(Default)]
struct TidiesEventsByTimeAlone;

impl Flaw for TidiesEventsByTimeAlone {
    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        let events_up_to = u64::MAX;
        good.tidy(Tidy {
            events_up_to,
            ..tidy
        })
    }
}

/// If the replica that tidies knows of a younger ring.
#[derive(Default)]
struct TidiesEpochsOfLiveKeys {
    up_to: AtomicU64,
}

impl Flaw for TidiesEpochsOfLiveKeys {
    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        self.up_to.fetch_max(tidy.epochs_up_to, Ordering::SeqCst);
        good.tidy(tidy)
    }

    fn snapshot(
        &self,
        good: &FaultyStore,
        now: StoreTime,
        epochs: &mut dyn FnMut(StoredEpoch),
    ) -> Answered<Option<Snapshot>> {
        let up_to = self.up_to.load(Ordering::SeqCst);
        good.snapshot(now, &mut |epoch| {
            if epoch.position > up_to {
                epochs(epoch);
            }
        })
    }
}

/// Who was in one of them is not told that the log goes on in another.
#[derive(Default)]
struct ForgetsThePastOfALostPlace;

impl Flaw for ForgetsThePastOfALostPlace {
    fn begin(&self, good: &FaultyStore, mut new: NewHistory) -> Answered<Outcome> {
        if let Beginning::Unknown { predecessors, .. } = &mut new.beginning {
            predecessors.clear();
        }
        good.begin(new)
    }
}

#[derive(Default)]
struct TidiesReceiptsWhenItRefuses;

impl Flaw for TidiesReceiptsWhenItRefuses {
    fn tidy(&self, good: &FaultyStore, tidy: Tidy) -> Answered<Outcome> {
        let answer = good.tidy(tidy)?;
        if let Outcome::Refused(_) = answer.value {
            forget_receipts(good);
        }
        Ok(answer)
    }
}

/// With the keys of a ring that has changed since.
#[derive(Default)]
struct RewrapsAnyRing;

impl Flaw for RewrapsAnyRing {
    fn rewrap(&self, good: &FaultyStore, rewrap: Rewrap) -> Answered<Outcome> {
        let mut answer: Answer<_> = good.rewrap(rewrap)?;
        if let (Outcome::Refused(Refusal::Key), Some(head)) = (answer.value, head(good)) {
            answer.value = Outcome::Done { head };
        }
        Ok(answer)
    }
}
