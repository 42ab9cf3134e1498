//! A store that is held to its contract, and what is expected of it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    asker::{Asker, Shown},
    expected::{Expected, LEAP},
    fresh::Fresh,
};
use crate::{
    Store,
    store::{
        Answer, Beginning, Commit, HistoryId, NewEvent, NewHistory, Outcome, Place, Reach, Refusal,
        Rewrap, SessionChange, StoreTime, Tidy,
    },
};

/// Opens the same store again.
pub(super) type Open<'a> = Box<dyn Fn() -> Arc<dyn Store> + 'a>;

pub(super) struct Subject<'a> {
    pub(super) asker: Asker,
    expected: Option<Expected>,
    /// Goes last: a directory may go with it.
    open: Open<'a>,
}

impl<'a> Subject<'a> {
    /// A fresh store, and all connections to it that a clause needs.
    pub(super) fn new(open: Open<'a>) -> Self {
        let asker = Asker::new(connections(&open));
        Self {
            asker,
            expected: None,
            open,
        }
    }

    /// Lets go of the store, and opens it again.
    pub(super) fn open_again(&mut self) {
        self.asker.let_go();
        self.asker.connect(connections(&self.open));
    }

    pub(super) fn fresh(&self) -> &Fresh {
        &self.asker.fresh
    }

    /// What the store must show.
    pub(super) fn expected(&self) -> &Expected {
        self.expected.as_ref().expect("a history has begun")
    }

    pub(super) fn expected_mut(&mut self) -> &mut Expected {
        self.expected.as_mut().expect("a history has begun")
    }

    pub(super) fn history(&self) -> HistoryId {
        self.expected().head.history
    }

    pub(super) fn head(&self) -> Place {
        self.expected().head
    }

    /// Whether the store shows what is expected.
    pub(super) fn check(&self) {
        match &self.expected {
            Some(expected) => expected.check(&self.asker),
            None => {
                let Shown {
                    snapshot, epochs, ..
                } = self.asker.snapshot();
                assert!(
                    snapshot.is_none() && epochs.is_empty(),
                    "a store in which no history has begun shows {snapshot:?}"
                );
            }
        }
    }

    pub(super) fn new_history(&self, beginning: Beginning) -> NewHistory {
        self.fresh().history(beginning, self.asker.now())
    }

    /// Begins a history whose condition holds.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        self.begin_as(self.new_history(beginning));
    }

    pub(super) fn begin_as(&mut self, new: NewHistory) {
        let answer = self.asker.begin(new.clone());
        let position = self.first_position(&new.beginning);
        self.has_begun(new, position, answer);
    }

    /// A new history has begun in place of what was there.
    pub(super) fn has_begun(&mut self, new: NewHistory, position: u64, answer: Answer<Outcome>) {
        let head = Place {
            history: new.id,
            position,
            event: new.event.id,
        };
        assert_eq!(
            answer.value,
            Outcome::Done { head },
            "outcome of {:?}, which holds",
            new.beginning
        );
        let mut predecessors = BTreeSet::new();
        let (mut users, mut rows) = Default::default();
        if let Some(before) = self.expected.take() {
            predecessors = before.predecessors;
            predecessors.insert(before.head.history);
            users = before.users;
            if new.keeps_sessions {
                rows = before.rows;
            }
        }
        if let Beginning::Unknown {
            place,
            predecessors: before,
        } = &new.beginning
        {
            predecessors.insert(place.history);
            predecessors.extend(before);
        }
        self.expected = Some(Expected {
            predecessors,
            users,
            rows,
            ..Expected::begun(new, position, answer.time)
        });
    }

    /// Where a history begins.
    pub(super) fn first_position(&self, beginning: &Beginning) -> u64 {
        let head = self.expected.as_ref().map_or(0, |kept| kept.head.position);
        match beginning {
            Beginning::Empty => 1,
            Beginning::Unknown { place, .. } => head.max(place.position) + LEAP,
            Beginning::InsteadOf(_) => head + LEAP,
        }
    }

    /// Tries to begin a history whose condition does not hold.
    pub(super) fn refuse_to_begin(&self, beginning: Beginning) {
        self.refuse_to_begin_as(self.new_history(beginning));
    }

    pub(super) fn refuse_to_begin_as(&self, new: NewHistory) {
        let beginning = new.beginning.clone();
        let answer = self.asker.begin(new);
        assert_eq!(
            answer.value,
            Outcome::Refused(Refusal::Beginning),
            "outcome of {beginning:?}, which does not hold"
        );
        self.check();
    }

    pub(super) fn new_commit(&self, events: Vec<NewEvent>, sessions: Vec<SessionChange>) -> Commit {
        self.asker.new_commit(self.head(), events, sessions)
    }

    /// Makes a change whose conditions hold, and gives its time.
    pub(super) fn make(&mut self, commit: Commit) -> StoreTime {
        let answer = self.asker.commit(commit.clone());
        self.was_made(commit, answer);
        answer.time
    }

    /// This is the answer to a commit whose conditions hold.
    pub(super) fn was_made(&mut self, commit: Commit, answer: Answer<Outcome>) {
        let expected = self.expected_mut();
        expected.make(commit, answer.time);
        let head = expected.head;
        assert_eq!(
            answer.value,
            Outcome::Done { head },
            "outcome of a commit whose conditions hold, with the log's head after it"
        );
    }

    pub(super) fn commit(
        &mut self,
        events: Vec<NewEvent>,
        sessions: Vec<SessionChange>,
    ) -> StoreTime {
        self.make(self.new_commit(events, sessions))
    }

    pub(super) fn append(&mut self, events: Vec<NewEvent>) -> StoreTime {
        self.commit(events, Vec::new())
    }

    pub(super) fn change(&mut self, sessions: Vec<SessionChange>) -> StoreTime {
        self.commit(Vec::new(), sessions)
    }

    /// Sends a commit of which a condition does not hold.
    pub(super) fn refuse(&self, commit: Commit, refusal: Refusal, why: &str) {
        let answer = self.asker.commit(commit);
        assert_eq!(
            answer.value,
            Outcome::Refused(refusal),
            "outcome of a commit: {why}"
        );
        self.check();
    }

    /// Tidies nothing away, unless it is changed.
    pub(super) fn new_tidy(&self) -> Tidy {
        Tidy {
            known: self.head(),
            epochs_up_to: 0,
            events_up_to: self.head().position,
            events_before: StoreTime::default(),
            sessions_before: StoreTime::default(),
            receipts_before: StoreTime::default(),
            now: self.asker.now(),
        }
    }

    /// Lets the store forget.
    pub(super) fn tidy(&mut self, tidy: Tidy) {
        let answer = self.asker.tidy(tidy);
        let expected = self.expected_mut();
        let head = expected.head;
        assert_eq!(
            answer.value,
            Outcome::Done { head },
            "outcome of a tidy, which takes no position"
        );
        let (log, tidied) = (&expected.log, &mut expected.tidied);
        let is_kept = |index: &usize| {
            let event = &log[*index];
            event.position > tidy.events_up_to || event.time >= tidy.events_before
        };
        let newest = log.len() - 1;
        let oldest = (tidied.events..newest).find(is_kept).unwrap_or(newest);
        tidied.events = oldest;
        tidied.sessions_before = tidied.sessions_before.max(tidy.sessions_before);
        self.check();
    }

    /// Wraps the secrets anew.
    pub(super) fn rewrap(&mut self, rewrap: Rewrap) {
        let answer = self.asker.rewrap(rewrap.clone());
        let head = self.head();
        assert_eq!(
            answer.value,
            Outcome::Done { head },
            "outcome of a rewrap, which takes no position"
        );
        self.expected_mut().rewrap(rewrap);
        self.check();
    }

    /// The same secrets, wrapped anew.
    pub(super) fn new_rewrap(&self) -> Rewrap {
        let record = || self.fresh().bytes::<48>().to_vec();
        let keys = self.expected().keys.iter();
        Rewrap {
            known: self.head(),
            secrets: self.fresh().bytes::<120>().to_vec(),
            keys: keys.map(|key| (key.id, record())).collect(),
            now: self.asker.now(),
        }
    }
}

fn connections(open: &Open<'_>) -> Vec<Arc<dyn Store>> {
    let first = open();
    match first.reach() {
        Reach::Memory | Reach::Embedded => vec![first],
        Reach::Shared => vec![open(), first],
    }
}
