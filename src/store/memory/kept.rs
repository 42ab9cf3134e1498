//! What the store in memory keeps, and every step on it. Nothing here waits or fails.

use std::collections::{HashMap, VecDeque};

use crate::store::{
    Beginning, Commit, Effect, Event, Heartbeat, HistoryId, KeyId, NewEvent, NewHistory, News,
    Outcome, Place, Receipt, Refusal, ReplicaId, Rewrap, RowId, Rows, SessionChange, SessionQuery,
    SessionRow, Snapshot, StoreTime, StoredEpoch, StoredKey, Tidy,
};

/// The most events handed out at once.
const EVENTS_AT_ONCE: usize = 4096;

/// How far a new history begins above all that is known of the old one.
const LEAP: u64 = 1 << 32;

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
    sessions: HashMap<RowId, SessionRow>,
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
        let received_at = heartbeat.now;
        let receipt = Receipt {
            heartbeat,
            received_at,
        };
        self.receipts.insert(heartbeat.replica, receipt);
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.receipts.values().copied().collect()
    }

    pub(crate) fn events_after(&self, applied: Option<Place>) -> News {
        match (applied, &self.state) {
            (None, _) => News::TakeSnapshot,
            (Some(_), None) => News::NotMyPast,
            (Some(place), Some(state)) => state.events_after(place),
        }
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
        if !self.may_begin(new.beginning) {
            return Outcome::Refused(Refusal::Beginning);
        }
        let (unknown, position) = match new.beginning {
            Beginning::Empty => (None, 1),
            Beginning::Unknown(place) => (Some(place), self.highest(place.position) + LEAP),
            Beginning::InsteadOf(_) => (None, self.highest(0) + LEAP),
        };
        let (mut predecessors, mut sessions) = (Vec::new(), HashMap::new());
        if let Some(old) = self.state.take() {
            predecessors = old.predecessors;
            predecessors.push(old.head.history);
            if new.keeps_sessions {
                sessions = old.sessions;
            }
        }
        if let Some(place) = unknown
            && !predecessors.contains(&place.history)
        {
            predecessors.push(place.history);
        }
        let mut state = State {
            head: Place {
                history: new.id,
                position: position - 1,
                event: new.event.id,
            },
            predecessors,
            secrets: new.secrets,
            keys: Vec::new(),
            epochs: HashMap::new(),
            tidied_up_to: 0,
            log: VecDeque::new(),
            sessions,
        };
        state.append(new.event, new.now);
        self.state = Some(state);
        Outcome::Done { position }
    }

    fn highest(&self, other: u64) -> u64 {
        self.head().map_or(other, |head| head.position.max(other))
    }

    fn may_begin(&self, beginning: Beginning) -> bool {
        match beginning {
            Beginning::Empty => self.state.is_none(),
            Beginning::Unknown(place) => {
                matches!(self.events_after(Some(place)), News::NotMyPast)
            }
            Beginning::InsteadOf(history) => {
                self.head().is_some_and(|head| head.history == history)
            }
        }
    }

    fn of_history(&mut self, history: HistoryId) -> Option<&mut State> {
        let state = self.state.as_mut();
        state.filter(|state| state.head.history == history)
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> Outcome {
        let Some(state) = self.of_history(commit.history) else {
            return Outcome::Refused(Refusal::History);
        };
        if let Err(refusal) = state.check(&commit) {
            return Outcome::Refused(refusal);
        }
        let position = state.head.position + u64::from(!commit.events.is_empty());
        for event in commit.events {
            state.append(event, commit.now);
        }
        for change in commit.sessions {
            state.change_session(change, commit.now);
        }
        Outcome::Done { position }
    }

    pub(crate) fn sessions(&mut self, query: &SessionQuery) -> Option<Vec<SessionRow>> {
        let rows = &self.of_history(query.history)?.sessions;
        Some(match query.rows {
            Rows::One(id) => rows.get(&id).cloned().into_iter().collect(),
            Rows::OfUser(user) => {
                let of_user = rows.values().filter(|kept| kept.row.user == user);
                of_user.cloned().collect()
            }
        })
    }

    pub(crate) fn rewrap(&mut self, rewrap: Rewrap) -> Outcome {
        let Some(state) = self.of_history(rewrap.history) else {
            return Outcome::Refused(Refusal::History);
        };
        let ids = rewrap.keys.iter().map(|(id, _)| *id);
        if !ids.eq(state.keys.iter().map(|key| key.id)) {
            return Outcome::Refused(Refusal::Key);
        }
        state.secrets = rewrap.secrets;
        for (key, (_, record)) in state.keys.iter_mut().zip(rewrap.keys) {
            key.record = record;
        }
        let position = state.head.position;
        Outcome::Done { position }
    }

    pub(crate) fn tidy(&mut self, tidy: &Tidy) -> Outcome {
        self.receipts
            .retain(|_, receipt| receipt.received_at >= tidy.receipts_before);
        let Some(state) = self.of_history(tidy.history) else {
            return Outcome::Refused(Refusal::History);
        };
        if state.tidied_up_to < tidy.epochs_up_to {
            state.tidied_up_to = tidy.epochs_up_to;
            let kept = |position: u64| position > tidy.epochs_up_to;
            state.epochs.retain(|_, (position, _)| kept(*position));
        }
        let may_go =
            |event: &Event| event.position <= tidy.events_up_to && event.time < tidy.events_before;
        while state.log.len() > 1 && state.log.front().is_some_and(may_go) {
            state.log.pop_front();
        }
        state
            .sessions
            .retain(|_, kept| kept.row.expires_at >= tidy.sessions_before);
        let position = state.head.position;
        Outcome::Done { position }
    }
}

impl State {
    fn events_after(&self, place: Place) -> News {
        if place.history != self.head.history {
            return match self.predecessors.contains(&place.history) {
                true => News::TakeSnapshot,
                false => News::NotMyPast,
            };
        }
        let oldest = self.log.front().map_or(u64::MAX, |event| event.position);
        let Some(index) = place.position.checked_sub(oldest) else {
            return News::TakeSnapshot;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.log.get(index) {
            Some(event) if event.id == place.event => {
                let following = self.log.range(index + 1..);
                News::Events {
                    more: following.len() > EVENTS_AT_ONCE,
                    events: following.take(EVENTS_AT_ONCE).cloned().collect(),
                }
            }
            _ => News::NotMyPast,
        }
    }

    fn check(&self, commit: &Commit) -> Result<(), Refusal> {
        let newest = self.keys.last().map(|key| key.id);
        if commit.newest_key.is_some() && commit.newest_key != newest {
            return Err(Refusal::Key);
        }
        let mut keys: VecDeque<KeyId> = self.keys.iter().map(|key| key.id).collect();
        for event in &commit.events {
            match &event.effect {
                Effect::Epoch { .. } => {}
                Effect::AddKey { key, .. } | Effect::ReplaceKeys { key, .. }
                    if keys.contains(key) =>
                {
                    return Err(Refusal::Key);
                }
                Effect::AddKey { key, .. } => keys.push_back(*key),
                Effect::ReplaceKeys { key, .. } => keys = VecDeque::from([*key]),
                Effect::RemoveKey { key } => {
                    if keys.len() < 2 || keys.pop_front() != Some(*key) {
                        return Err(Refusal::Key);
                    }
                }
            }
        }
        commit
            .sessions
            .iter()
            .try_for_each(|change| self.check_session(change))
    }

    fn check_session(&self, change: &SessionChange) -> Result<(), Refusal> {
        let version = |id| self.sessions.get(id).map(|kept| kept.row.version);
        let holds = match change {
            SessionChange::Start(row) => version(&row.id).is_none(),
            SessionChange::Replace { row, expected, .. } => version(&row.id) == Some(*expected),
            SessionChange::End { row, expected } => expected.is_none() || version(row) == *expected,
            SessionChange::EndOfUser { .. } => true,
            SessionChange::NoOthers { user, rows } => {
                let mut of_user = self.sessions.values().filter(|kept| kept.row.user == *user);
                of_user.all(|kept| rows.contains(&kept.row.id))
            }
        };
        holds.then_some(()).ok_or(Refusal::Session)
    }

    fn append(&mut self, event: NewEvent, time: StoreTime) {
        let position = self.head.position + 1;
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
                self.sessions.insert(row.id, SessionRow { row, rotated_at });
            }
            SessionChange::Replace { row, rotates, .. } => {
                let before = self.sessions.get(&row.id).map(|kept| kept.rotated_at);
                let rotated_at = before.filter(|_| !rotates).unwrap_or(now);
                self.sessions.insert(row.id, SessionRow { row, rotated_at });
            }
            SessionChange::End { row, .. } => {
                self.sessions.remove(&row);
            }
            SessionChange::EndOfUser { user, except } => self
                .sessions
                .retain(|id, kept| kept.row.user != user || Some(*id) == except),
            SessionChange::NoOthers { .. } => {}
        }
    }
}
