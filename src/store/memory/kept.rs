//! What the store in memory keeps, and every step on it. Nothing here waits or fails.

use std::collections::{HashMap, VecDeque};

use super::rows::SessionRows;
use crate::bug::{self, Bug};
use crate::store::{
    Beginning, Commit, Effect, Event, Heartbeat, HistoryId, NewEvent, NewHistory, News, Outcome,
    Place, Receipt, Refusal, ReplicaId, Rewrap, RowId, Rows, SessionChange, SessionQuery,
    SessionRow, Snapshot, Standing, StoreTime, StoredEpoch, StoredKey, Tidy, rules,
};

/// The most events handed out at once.
const EVENTS_AT_ONCE: usize = 4096;

#[derive(Default, Clone)]
pub(crate) struct Kept {
    state: Option<State>,
    receipts: HashMap<ReplicaId, Receipt>,
    /// Whoever is about to wait for news is not to.
    wake: bool,
}

#[derive(Clone)]
struct State {
    head: Place,
    predecessors: Vec<HistoryId>,
    secrets: Vec<u8>,
    keys: Vec<StoredKey>,
    epochs: HashMap<[u8; 16], (u64, [u8; 16])>,
    tidied_up_to: u64,
    /// The newest events; never empty, for it contains the head.
    log: VecDeque<Event>,
    sessions: SessionRows,
}

impl Kept {
    pub(crate) fn head(&self) -> Option<Place> {
        self.state.as_ref().map(|state| state.head)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn kept_events(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.log.len())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn trim(&mut self) {
        if let Some(state) = &mut self.state {
            state.log.drain(..state.log.len() - 1);
        }
    }

    pub(crate) fn set_wake(&mut self) {
        self.wake = true;
    }

    pub(crate) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    pub(crate) fn receive(&mut self, heartbeat: Heartbeat) {
        let is_part = |place: &Place| self.standing(*place) == Standing::Part;
        let receipt = Receipt {
            heartbeat: Heartbeat {
                applied: heartbeat.applied.filter(is_part),
                ..heartbeat
            },
            received_at: heartbeat.now,
        };
        self.receipts.insert(heartbeat.replica, receipt);
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.receipts.values().copied().collect()
    }

    pub(crate) fn events_after(&self, applied: Option<Place>) -> News {
        let Some(place) = applied else {
            return News::TakeSnapshot;
        };
        match (self.standing(place), &self.state) {
            (Standing::Part, Some(state)) => state.events_after(place.position),
            (Standing::Trimmed | Standing::Before, _) => News::TakeSnapshot,
            (Standing::Unknown, _) | (_, None) => News::NotMyPast,
        }
    }

    pub(crate) fn standing(&self, place: Place) -> Standing {
        let state = self.state.as_ref();
        state.map_or(Standing::Unknown, |state| state.standing(place))
    }

    pub(crate) fn snapshot(&self, epochs: &mut dyn FnMut(StoredEpoch)) -> Option<Snapshot> {
        let state = self.state.as_ref()?;
        let floor = state.keys.first().map_or(0, |key| key.position);
        for (&tag, &(position, secret)) in &state.epochs {
            if position > floor {
                epochs(StoredEpoch {
                    tag,
                    position,
                    secret,
                });
            }
        }
        Some(Snapshot {
            head: state.head,
            predecessors: state.predecessors.clone(),
            secrets: state.secrets.clone(),
            keys: state.keys.clone(),
        })
    }

    pub(crate) fn begin(&mut self, new: NewHistory) -> Outcome {
        if !self.may_begin(&new.beginning) {
            return Outcome::Refused(Refusal::Beginning);
        }
        let head = self.head();
        let position = rules::first_position(&new.beginning, head);
        let (mut before, mut sessions) = (Vec::new(), SessionRows::default());
        if let Some(old) = self.state.take() {
            before = old.predecessors;
            if new.keeps_sessions {
                sessions = old.sessions;
            }
        }
        let mut state = State {
            head: Place {
                history: new.id,
                position: position - 1,
                event: new.event.id,
            },
            predecessors: rules::predecessors(before, head, new.beginning),
            secrets: new.secrets,
            keys: Vec::new(),
            epochs: HashMap::new(),
            tidied_up_to: 0,
            log: VecDeque::new(),
            sessions,
        };
        state.append(new.event, new.now);
        let head = state.head;
        self.state = Some(state);
        Outcome::Done { head }
    }

    fn may_begin(&self, beginning: &Beginning) -> bool {
        match beginning {
            Beginning::Empty => self.state.is_none(),
            Beginning::Unknown { .. } if bug::is_in(Bug::RestartAnyway) => true,
            Beginning::Unknown { place, .. } => self.standing(*place) == Standing::Unknown,
            Beginning::InsteadOf(history) => {
                self.head().is_some_and(|head| head.history == *history)
            }
        }
    }

    /// The state, if it is a later one than what is known.
    fn state_since(&mut self, known: Place) -> Option<&mut State> {
        let state = self.state.as_mut()?;
        let standing = state.standing(known);
        let is_since = matches!(standing, Standing::Part | Standing::Trimmed)
            || bug::is_in(Bug::CommitAnywhere);
        is_since.then_some(state)
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> Outcome {
        let Some(state) = self.state_since(commit.known) else {
            return Outcome::Refused(Refusal::Place);
        };
        if let Err(refusal) = state.check(&commit) {
            return Outcome::Refused(refusal);
        }
        for event in commit.events {
            state.append(event, commit.now);
        }
        for change in commit.sessions {
            state.change_session(change, commit.now);
        }
        Outcome::Done { head: state.head }
    }

    pub(crate) fn sessions(&mut self, query: &SessionQuery) -> Option<Vec<SessionRow>> {
        let rows = &self.state_since(query.known)?.sessions;
        Some(match query.rows {
            Rows::One(id) => rows.get(id).cloned().into_iter().collect(),
            Rows::OfUser(user) => rows.of_user(user).cloned().collect(),
        })
    }

    pub(crate) fn rewrap(&mut self, rewrap: Rewrap) -> Outcome {
        let Some(state) = self.state_since(rewrap.known) else {
            return Outcome::Refused(Refusal::Place);
        };
        let ids = rewrap.keys.iter().map(|(id, _)| *id);
        if !ids.eq(state.keys.iter().map(|key| key.id)) {
            return Outcome::Refused(Refusal::Key);
        }
        state.secrets = rewrap.secrets;
        for (key, (_, record)) in state.keys.iter_mut().zip(rewrap.keys) {
            key.record = record;
        }
        Outcome::Done { head: state.head }
    }

    pub(crate) fn tidy(&mut self, tidy: &Tidy) -> Outcome {
        let Some(state) = self.state_since(tidy.known) else {
            return Outcome::Refused(Refusal::Place);
        };
        // The replica may know of a swap that was lost, by which an older key is back.
        let oldest_key = state.keys.first().map_or(0, |key| key.position);
        let up_to = tidy.epochs_up_to.min(oldest_key);
        if state.tidied_up_to < up_to {
            state.tidied_up_to = up_to;
            state.epochs.retain(|_, (position, _)| *position > up_to);
        }
        let may_go =
            |event: &Event| event.position <= tidy.events_up_to && event.time < tidy.events_before;
        while state.log.len() > 1 && state.log.front().is_some_and(may_go) {
            state.log.pop_front();
        }
        state
            .sessions
            .remove_if(|kept| kept.row.expires_at < tidy.sessions_before);
        let head = state.head;
        self.receipts
            .retain(|_, receipt| receipt.received_at >= tidy.receipts_before);
        Outcome::Done { head }
    }
}

impl State {
    fn standing(&self, place: Place) -> Standing {
        if place.history != self.head.history {
            return match self.predecessors.contains(&place.history) {
                true => Standing::Before,
                false => Standing::Unknown,
            };
        }
        let Some(index) = self.index(place.position) else {
            return Standing::Trimmed;
        };
        match self.log.get(index) {
            Some(_) if bug::is_in(Bug::PlaceByPosition) => Standing::Part,
            Some(event) if event.id == place.event => Standing::Part,
            _ => Standing::Unknown,
        }
    }

    /// Where the log has the event at this position, or would; `None` below its beginning.
    fn index(&self, position: u64) -> Option<usize> {
        let oldest = self.log.front().map_or(u64::MAX, |event| event.position);
        let index = position.checked_sub(oldest)?;
        Some(usize::try_from(index).unwrap_or(usize::MAX))
    }

    fn events_after(&self, position: u64) -> News {
        let following = self.index(position).map_or(0, |index| index + 1);
        let following = self.log.range(following..);
        News::Events {
            more: following.len() > EVENTS_AT_ONCE,
            events: following.take(EVENTS_AT_ONCE).cloned().collect(),
        }
    }

    fn check(&self, commit: &Commit) -> Result<(), Refusal> {
        if !rules::ring_allows(commit, self.keys.iter().map(|key| key.id)) {
            return Err(Refusal::Key);
        }
        commit
            .sessions
            .iter()
            .try_for_each(|change| self.check_session(change))
    }

    fn check_session(&self, change: &SessionChange) -> Result<(), Refusal> {
        let version = |id: &RowId| self.sessions.get(*id).map(|kept| kept.row.version);
        let holds = match change {
            SessionChange::Start(row) => version(&row.id).is_none(),
            SessionChange::Replace { row, expected, .. } => version(&row.id) == Some(*expected),
            SessionChange::End { row, expected } => expected.is_none() || version(row) == *expected,
            SessionChange::EndOfUser { .. } => true,
            SessionChange::NoOthers { user, rows } => {
                let mut of_user = self.sessions.of_user(*user);
                of_user.all(|kept| rows.contains(&kept.row.id))
            }
        };
        holds.then_some(()).ok_or(Refusal::Session)
    }

    fn append(&mut self, event: NewEvent, time: StoreTime) {
        let position = self.head.position.saturating_add(1);
        let stored_key = |id, record| StoredKey {
            id,
            position,
            introduced_at: time,
            record,
        };
        match event.effect {
            Effect::Epoch { tag, secret } => {
                self.epochs.insert(tag, (position, secret));
            }
            Effect::AddKey { key, record } => self.keys.push(stored_key(key, record)),
            Effect::ReplaceKeys { key, record } => self.keys = vec![stored_key(key, record)],
            Effect::RemoveKey { key } => self.keys.retain(|kept| kept.id != key),
        }
        self.head = Place {
            position,
            event: event.id,
            ..self.head
        };
        self.log.push_back(Event {
            position,
            id: event.id,
            time,
            body: event.body,
        });
    }

    fn change_session(&mut self, change: SessionChange, now: StoreTime) {
        match change {
            SessionChange::Start(row) => {
                let rotated_at = now;
                self.sessions.put(SessionRow { row, rotated_at });
            }
            SessionChange::Replace { row, rotates, .. } => {
                let before = self.sessions.get(row.id).map(|kept| kept.rotated_at);
                let rotated_at = before.filter(|_| !rotates).unwrap_or(now);
                self.sessions.put(SessionRow { row, rotated_at });
            }
            SessionChange::End { row, .. } => {
                self.sessions.remove(row);
            }
            SessionChange::EndOfUser { user, except } => {
                let rows = self.sessions.of_user(user).map(|kept| kept.row.id);
                let ended: Vec<RowId> = rows.filter(|id| Some(*id) != except).collect();
                for row in ended {
                    self.sessions.remove(row);
                }
            }
            SessionChange::NoOthers { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
