//! What commits do to the state, decided here and written together.

use std::collections::{HashMap, HashSet};

use super::{
    failure::Failure,
    sql::Statements,
    step::Step,
    view::{Head, Held, View},
};
use crate::store::{
    Commit, Effect, Event, HistoryId, KeyId, NewEvent, Outcome, Place, Refusal, RowId,
    SessionChange, SessionRow, StoreTime, StoredKey, rules,
};

type Result<T> = std::result::Result<T, Failure>;

/// The state with the commits that were drafted, one after the other, and what is to be written
/// for that.
pub(super) struct Draft {
    view: View,
    head: Option<Head>,
    appended: Vec<Event>,
    epochs: HashMap<[u8; 16], (u64, [u8; 16])>,
    added_keys: Vec<StoredKey>,
    removed_keys: Vec<KeyId>,
    sessions: HashMap<RowId, SessionRow>,
    ended: HashSet<RowId>,
}

impl Draft {
    pub(super) fn new(view: View) -> Self {
        Self {
            head: view.head.clone(),
            view,
            appended: Vec::new(),
            epochs: HashMap::new(),
            added_keys: Vec::new(),
            removed_keys: Vec::new(),
            sessions: HashMap::new(),
            ended: HashSet::new(),
        }
    }

    pub(super) fn time(&self) -> StoreTime {
        self.view.time
    }

    /// Drafts a commit. One that is refused changes nothing.
    pub(super) fn commit(&mut self, commit: Commit) -> Result<Outcome> {
        if self.view.head_since(commit.known)?.is_none() {
            return Ok(Outcome::Refused(Refusal::Place));
        }
        let Some(mut head) = self.head.take() else {
            return Ok(Outcome::Refused(Refusal::Place));
        };
        let outcome = match self.refusal(&commit) {
            Some(refusal) => Outcome::Refused(refusal),
            None => {
                for event in commit.events {
                    self.append(&mut head, event);
                }
                for change in commit.sessions {
                    self.change_session(change);
                }
                Outcome::Done { head: head.place }
            }
        };
        self.head = Some(head);
        Ok(outcome)
    }

    fn refusal(&self, commit: &Commit) -> Option<Refusal> {
        let is_epoch = |event: &NewEvent| matches!(event.effect, Effect::Epoch { .. });
        let concerns_keys = commit.newest_key.is_some() || !commit.events.iter().all(is_epoch);
        if concerns_keys {
            let keys = self.view.ring_keys.iter().map(|key| key.id);
            if !rules::ring_allows(commit, keys) {
                return Some(Refusal::Key);
            }
        }
        let all_hold = commit.sessions.iter().all(|change| self.holds(change));
        (!all_hold).then_some(Refusal::Session)
    }

    /// Whether what a change expects is there.
    fn holds(&self, change: &SessionChange) -> bool {
        let version = |id: &RowId| self.view.sessions.get(id).map(|held| held.version);
        match change {
            SessionChange::Start(row) => version(&row.id).is_none(),
            SessionChange::Replace { row, expected, .. } => version(&row.id) == Some(*expected),
            SessionChange::End { row, expected } => expected.is_none() || version(row) == *expected,
            SessionChange::EndOfUser { .. } => true,
            SessionChange::NoOthers { user, rows } => {
                self.rows_of(*user).iter().all(|id| rows.contains(id))
            }
        }
    }

    fn rows_of(&self, user: [u8; 16]) -> Vec<RowId> {
        let rows = self.view.sessions.iter();
        let of_user = rows.filter(|(_, held)| held.user == user);
        of_user.map(|(id, _)| *id).collect()
    }

    fn append(&mut self, head: &mut Head, event: NewEvent) {
        let position = head.place.position.saturating_add(1);
        let time = self.view.time;
        let stored_key = |id, record| StoredKey {
            id,
            position,
            introduced_at: time,
            record,
        };
        match event.effect {
            Effect::Epoch { tag, secret } => {
                head.epochs += u64::from(self.view.tags.insert(tag));
                self.epochs.insert(tag, (position, secret));
            }
            Effect::AddKey { key, record } => {
                self.add_key(stored_key(key, record));
                head.ring_keys += 1;
            }
            Effect::ReplaceKeys { key, record } => {
                let ids: Vec<KeyId> = self.view.ring_keys.iter().map(|kept| kept.id).collect();
                ids.into_iter().for_each(|id| self.remove_key(id));
                self.add_key(stored_key(key, record));
                head.ring_keys = 1;
            }
            Effect::RemoveKey { key } => {
                self.remove_key(key);
                head.ring_keys -= 1;
            }
        }
        head.place = Place {
            position,
            event: event.id,
            ..head.place
        };
        self.appended.push(Event {
            position,
            id: event.id,
            time,
            body: event.body,
        });
    }

    fn add_key(&mut self, key: StoredKey) {
        self.view.ring_keys.push(key.clone());
        self.added_keys.push(key);
    }

    fn remove_key(&mut self, id: KeyId) {
        self.view.ring_keys.retain(|key| key.id != id);
        self.added_keys.retain(|key| key.id != id);
        self.removed_keys.push(id);
    }

    fn change_session(&mut self, change: SessionChange) {
        let now = self.view.time;
        match change {
            SessionChange::Start(row) => {
                let rotated_at = now;
                self.put_session(SessionRow { row, rotated_at });
            }
            SessionChange::Replace { row, rotates, .. } => {
                let before = self.view.sessions.get(&row.id).filter(|_| !rotates);
                let rotated_at = before.map_or(now, |held| held.rotated_at);
                self.put_session(SessionRow { row, rotated_at });
            }
            SessionChange::End { row, .. } => self.end_session(row),
            SessionChange::EndOfUser { user, except } => {
                let ended = self.rows_of(user).into_iter();
                ended
                    .filter(|id| Some(*id) != except)
                    .for_each(|id| self.end_session(id));
            }
            SessionChange::NoOthers { .. } => {}
        }
    }

    fn put_session(&mut self, row: SessionRow) {
        let id = row.row.id;
        let held = Held {
            user: row.row.user,
            version: row.row.version,
            rotated_at: row.rotated_at,
        };
        self.view.sessions.insert(id, held);
        self.ended.remove(&id);
        self.sessions.insert(id, row);
    }

    fn end_session(&mut self, id: RowId) {
        self.view.sessions.remove(&id);
        self.sessions.remove(&id);
        self.ended.insert(id);
    }

    /// The place of the newest event that is to be appended, if there is any.
    pub(super) fn appends_up_to(&self) -> Option<Place> {
        let head = self.head.as_ref().filter(|_| !self.appended.is_empty());
        head.map(|head| head.place)
    }

    /// What is to be written; nothing if nothing has changed.
    pub(super) fn steps<'s>(&self, sql: &'s Statements) -> Vec<Step<'s>> {
        let mut steps = Vec::new();
        let Some(head) = &self.head else {
            return steps;
        };
        self.write_sessions(head, sql, &mut steps);
        if self.appended.is_empty() {
            return steps;
        }
        let history = head.place.history;
        steps.push(append(sql, history, &self.appended));
        if !self.epochs.is_empty() {
            let epochs = || self.epochs.iter();
            let step = Step::new(&sql.put_epochs).history(history);
            let step = step.many_bytes(epochs().map(|(tag, _)| &tag[..]));
            let step = step.many_numbers(epochs().map(|(_, (position, _))| *position));
            steps.push(step.many_bytes(epochs().map(|(_, (_, secret))| &secret[..])));
        }
        if !self.removed_keys.is_empty() {
            let ids = self.removed_keys.iter().map(|id| &id.as_bytes()[..]);
            let step = Step::new(&sql.remove_ring_keys).history(history);
            steps.push(step.many_bytes(ids));
        }
        if !self.added_keys.is_empty() {
            steps.push(add_keys(sql, history, &self.added_keys));
        }
        let step = Step::new(&sql.move_head).number(head.place.position);
        let step = step.bytes(head.place.event.as_bytes());
        steps.push(step.number(head.ring_keys).number(head.epochs));
        steps
    }

    fn write_sessions<'s>(&self, head: &Head, sql: &'s Statements, steps: &mut Vec<Step<'s>>) {
        let line = &head.session_line;
        if !self.ended.is_empty() {
            let ids = self.ended.iter().map(|id| &id.as_bytes()[..]);
            steps.push(Step::new(&sql.remove_sessions).bytes(line).many_bytes(ids));
        }
        if !self.sessions.is_empty() {
            let rows = || self.sessions.values().map(|session| &session.row);
            let step = Step::new(&sql.put_sessions).bytes(line);
            let step = step.many_bytes(rows().map(|row| &row.id.as_bytes()[..]));
            let step = step.many_bytes(rows().map(|row| &row.user[..]));
            let step = step.many_bytes(rows().map(|row| &row.version.as_bytes()[..]));
            let rotated = self.sessions.values();
            let rotated = rotated.map(|session| session.rotated_at.as_unix_millis());
            let step = step.many_numbers(rotated);
            let step = step.many_numbers(rows().map(|row| row.expires_at.as_unix_millis()));
            steps.push(step.many_bytes(rows().map(|row| &row.body[..])));
        }
    }
}

/// Puts events into the log.
pub(super) fn append<'s>(sql: &'s Statements, history: HistoryId, events: &[Event]) -> Step<'s> {
    let step = Step::new(&sql.append).history(history);
    let step = step.many_numbers(events.iter().map(|event| event.position));
    let step = step.many_bytes(events.iter().map(|event| &event.id.as_bytes()[..]));
    let step = step.many_numbers(events.iter().map(|event| event.time.as_unix_millis()));
    step.many_bytes(events.iter().map(|event| &event.body[..]))
}

/// Puts in ring keys.
pub(super) fn add_keys<'s>(
    sql: &'s Statements,
    history: HistoryId,
    keys: &[StoredKey],
) -> Step<'s> {
    let step = Step::new(&sql.add_ring_keys).history(history);
    let step = step.many_numbers(keys.iter().map(|key| key.position));
    let step = step.many_bytes(keys.iter().map(|key| &key.id.as_bytes()[..]));
    let step = step.many_numbers(keys.iter().map(|key| key.introduced_at.as_unix_millis()));
    step.many_bytes(keys.iter().map(|key| &key.record[..]))
}
