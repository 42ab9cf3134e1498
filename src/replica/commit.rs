//! Changes on their way to the store and back.

use std::sync::Arc;

use super::{Replica, Sending, answering::answering, pending::Pending};
use crate::{
    Epoch, StoreError,
    bug::{self, Bug},
    crypto::RandomError,
    epoch::TableEpoch,
    epoch_log::Change,
    epoch_table::Tag,
    key_ring::KeyRing,
    store::{Commit, Effect, EventId, KeyId, NewEvent, Outcome, Place, Refusal, SessionChange},
};

/// Changes of one commit.
pub(crate) struct Changes {
    /// What their tags and secrets were made for: the commit is refused in another history.
    pub(crate) ring: Arc<KeyRing>,
    /// The commit is refused if another key is the newest.
    pub(crate) newest_key: Option<KeyId>,
    pub(crate) changes: Vec<Change>,
    pub(crate) sessions: Vec<SessionChange>,
}

impl Replica {
    /// Commits changes, of which there must be some, and tells `finish` also when there are
    /// no random bytes for the ids.
    pub(crate) fn change<F>(self: &Arc<Self>, changes: Changes, finish: F)
    where
        F: FnOnce(Result<Vec<Epoch>, StoreError>) + Send + 'static,
    {
        match self.events(changes.changes) {
            Ok(events) => {
                let (ring, sessions) = (changes.ring, changes.sessions);
                self.commit_events(&ring, changes.newest_key, events, sessions, finish);
            }
            Err(error) => finish(Err(error.into())),
        }
    }

    /// Commits changes, of which there must be some. `finish` is called when they are in
    /// force here, with their epochs in order, or when they failed. Changes of session rows
    /// alone have no epochs; they finish when everything before them is in force here.
    ///
    /// # Errors
    ///
    /// If there are no random bytes for the ids; `finish` was dropped then.
    pub(crate) fn commit<F>(
        self: &Arc<Self>,
        changes: Changes,
        finish: F,
    ) -> Result<(), RandomError>
    where
        F: FnOnce(Result<Vec<Epoch>, StoreError>) + Send + 'static,
    {
        let events = self.events(changes.changes)?;
        let (ring, sessions) = (changes.ring, changes.sessions);
        self.commit_events(&ring, changes.newest_key, events, sessions, finish);
        Ok(())
    }

    fn events(&self, changes: Vec<Change>) -> Result<Vec<NewEvent>, RandomError> {
        let random = &*self.source.random;
        let event = |change: Change| Ok(change.into_event(EventId::draw(random)?));
        changes.into_iter().map(event).collect()
    }

    fn commit_events<F>(
        self: &Arc<Self>,
        ring: &KeyRing,
        newest_key: Option<KeyId>,
        events: Vec<NewEvent>,
        sessions: Vec<SessionChange>,
        finish: F,
    ) where
        F: FnOnce(Result<Vec<Epoch>, StoreError>) + Send + 'static,
    {
        let known = self.applied();
        if known.history != ring.history() && !bug::is_in(Bug::CommitAnywhere) {
            finish(Err(StoreError::refused(Refusal::Place)));
            return;
        }
        let commit = Commit {
            known,
            newest_key,
            events,
            sessions,
            now: self.source.time.sending().store_time(),
        };
        let Some(last) = commit.last_event() else {
            self.send_rows(commit, finish);
            return;
        };
        let ids: Vec<_> = commit.events.iter().map(|event| event.id).collect();
        if bug::is_in(Bug::OwnBumpAhead) {
            for (position, event) in (known.position + 1..).zip(&commit.events) {
                if let Effect::Epoch { tag, secret } = event.effect {
                    let epoch = TableEpoch { position, secret };
                    ring.table().bump(Tag::from_bytes(tag), epoch);
                }
            }
        }
        // Before the commit is sent: its event may be applied here before its answer comes.
        self.pending.expect(
            last,
            Box::new(move |applied| finish(applied.map(|last| epochs_up_to(last, &ids)))),
        );
        self.send(commit, last);
    }

    /// A commit of session rows alone takes no position.
    fn send_rows<F>(self: &Arc<Self>, commit: Commit, finish: F)
    where
        F: FnOnce(Result<Vec<Epoch>, StoreError>) + Send + 'static,
    {
        let (replica, sending) = (Arc::clone(self), Sending::default());
        let told = sending.clone();
        let finish = move |result| {
            told.wait();
            finish(result);
        };
        self.source.store.commit(
            commit,
            Box::new(move |answer| {
                let done = match answer.map(|answer| answer.value) {
                    Ok(Outcome::Done { head })
                        if head != replica.applied() && !bug::is_in(Bug::SealedAhead) =>
                    {
                        sending.send(move || {
                            replica.wait_for(Epoch(head), |head| finish(head.map(|_| Vec::new())));
                        });
                        return;
                    }
                    Ok(Outcome::Done { .. }) => Ok(Vec::new()),
                    Ok(Outcome::Refused(refusal)) => Err(StoreError::refused(refusal)),
                    Err(error) => Err(error),
                };
                // It holds the store.
                drop(replica);
                answering(|| finish(done));
            }),
        );
    }

    fn send(self: &Arc<Self>, commit: Commit, last: EventId) {
        let unanswered = Unanswered {
            pending: Arc::clone(&self.pending),
            event: last,
        };
        let next = commit
            .known
            .position
            .saturating_add(commit.events.len() as u64);
        self.source.store.commit(
            commit,
            Box::new(move |answer| {
                answering(|| match answer.map(|answer| answer.value) {
                    Ok(Outcome::Done { head })
                        if bug::is_in(Bug::BehindOthersFails) && head.position > next =>
                    {
                        unanswered.failed(StoreError::refused(Refusal::Place));
                    }
                    Ok(Outcome::Done { head }) if head.event == last => {
                        unanswered.acknowledged(head);
                    }
                    Ok(Outcome::Done { .. }) => {
                        unanswered.failed(StoreError::damaged("a commit ended with another event"));
                    }
                    Ok(Outcome::Refused(refusal)) => {
                        unanswered.failed(StoreError::refused(refusal));
                    }
                    Err(error) => unanswered.failed(error),
                });
            }),
        );
    }
}

/// A commit that the store has not answered. Dropped so, the wait for its event fails.
///
/// It does not hold the store: whoever has the result of the last operation and drops the
/// authority may open the store again, and must not come before this one has let go.
struct Unanswered {
    pending: Arc<Pending>,
    event: EventId,
}

impl Unanswered {
    fn acknowledged(self, place: Place) {
        self.pending.acknowledged(place);
    }

    fn failed(self, error: StoreError) {
        let mut error = Some(error);
        let error = || error.take().unwrap_or_else(StoreError::abandoned);
        self.pending.failed(self.event, error);
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        // Does nothing if it was acknowledged.
        self.pending.failed_unacknowledged(self.event);
    }
}

/// The epochs of events with consecutive positions, of which the last is at `last`.
fn epochs_up_to(last: Place, ids: &[EventId]) -> Vec<Epoch> {
    let first = last.position.saturating_sub(ids.len() as u64 - 1);
    // Not an open range, which would reach beyond the last position there is.
    let positions = first..=last.position;
    let places = positions.zip(ids).map(|(position, event)| Place {
        position,
        event: *event,
        ..last
    });
    places.map(Epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::HistoryId;

    /// As far as numbers go: only a store that lies is there.
    #[test]
    fn epochs_end_at_the_last_position() {
        let ids = [1, 2, 3].map(|n| EventId::from_bytes([n; 16]));
        for position in [3, 1 << 32, u64::MAX] {
            let last = Place {
                history: HistoryId::from_bytes([0; 16]),
                position,
                event: ids[2],
            };
            let epochs = epochs_up_to(last, &ids);
            let positions: Vec<_> = epochs.iter().map(Epoch::position).collect();
            assert_eq!(positions, [position - 2, position - 1, position]);
            assert_eq!(epochs[2], Epoch(last));
        }
    }
}
