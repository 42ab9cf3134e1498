//! What is changed in the file, several changes in one write transaction.

use redb::{ReadableTable, Table, WriteTransaction};

use super::tables::{
    self, Bytes16, EPOCHS, EpochFields, EventFields, HEAD, HeadFields, KEYS, KeyFields, LOG, META,
    Result, RowFields, SESSIONS, USERS,
};
use crate::store::{
    Beginning, Commit, Effect, Event, HistoryId, NewEvent, NewHistory, Outcome, Place, Refusal,
    Rewrap, RowId, RowVersion, SessionChange, SessionRow, Standing, StoreTime, rules,
};

/// The tables, open for changes. Nothing is changed by what is refused.
pub(super) struct Writing<'t> {
    pub(super) head: Option<Place>,
    pub(super) meta: Table<'t, &'static str, &'static [u8]>,
    heads: Table<'t, (), HeadFields>,
    pub(super) keys: Table<'t, u64, KeyFields>,
    pub(super) log: Table<'t, u64, EventFields>,
    pub(super) epochs: Table<'t, Bytes16, EpochFields>,
    pub(super) sessions: Table<'t, Bytes16, RowFields>,
    pub(super) users: Table<'t, (Bytes16, Bytes16), ()>,
    pub(super) has_changed: bool,
    /// What has been appended, and to which place.
    appended: Option<(Place, Vec<Event>)>,
    pub(super) trimmed_up_to: Option<u64>,
}

/// What has become of the file.
pub(super) struct Written {
    pub(super) has_changed: bool,
    /// What was appended, and to which place.
    pub(super) appended: Option<(Place, Vec<Event>)>,
    /// Up to where the log was trimmed.
    pub(super) trimmed_up_to: Option<u64>,
}

impl<'t> Writing<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        let heads = transaction.open_table(HEAD)?;
        Ok(Self {
            head: tables::head(&heads)?,
            meta: transaction.open_table(META)?,
            heads,
            keys: transaction.open_table(KEYS)?,
            log: transaction.open_table(LOG)?,
            epochs: transaction.open_table(EPOCHS)?,
            sessions: transaction.open_table(SESSIONS)?,
            users: transaction.open_table(USERS)?,
            has_changed: false,
            appended: None,
            trimmed_up_to: None,
        })
    }

    pub(super) fn finish(mut self) -> Result<Written> {
        if let Some(head) = self.head
            && self.has_changed
        {
            let (history, event) = (head.history.as_bytes(), head.event.as_bytes());
            self.heads.insert((), (history, head.position, event))?;
        }
        Ok(Written {
            has_changed: self.has_changed,
            appended: self.appended,
            trimmed_up_to: self.trimmed_up_to,
        })
    }

    pub(super) fn standing(&self, place: Place) -> Result<Standing> {
        tables::standing(&self.meta, &self.log, self.head, place)
    }

    /// The head, if the log is a later state of what is known.
    pub(super) fn head_since(&self, known: Place) -> Result<Option<Place>> {
        let standing = self.standing(known)?;
        let is_since = matches!(standing, Standing::Part | Standing::Trimmed);
        Ok(self.head.filter(|_| is_since))
    }

    pub(super) fn begin(&mut self, new: NewHistory) -> Result<Outcome> {
        if !self.may_begin(&new.beginning)? {
            return Ok(Outcome::Refused(Refusal::Beginning));
        }
        self.has_changed = true;
        let position = rules::first_position(&new.beginning, self.head);
        let before = tables::predecessors(&self.meta)?;
        let predecessors = rules::predecessors(before, self.head, new.beginning);
        self.clear(new.keeps_sessions)?;
        tables::put_predecessors(&mut self.meta, &predecessors)?;
        tables::put_secrets(&mut self.meta, &new.secrets)?;
        let before = before_first(new.id, position, &new.event);
        self.appended = None;
        let head = self.append(before, new.event, new.now)?;
        self.head = Some(head);
        Ok(Outcome::Done { head })
    }

    fn may_begin(&self, beginning: &Beginning) -> Result<bool> {
        Ok(match beginning {
            Beginning::Empty => self.head.is_none(),
            Beginning::Unknown { place, .. } => self.standing(*place)? == Standing::Unknown,
            Beginning::InsteadOf(history) => self.head.is_some_and(|head| head.history == *history),
        })
    }

    fn clear(&mut self, keeps_sessions: bool) -> Result<()> {
        self.keys.retain(|_, _| false)?;
        self.log.retain(|_, _| false)?;
        self.epochs.retain(|_, _| false)?;
        if !keeps_sessions {
            self.sessions.retain(|_, _| false)?;
            self.users.retain(|_, _| false)?;
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, commit: Commit) -> Result<Outcome> {
        let Some(mut head) = self.head_since(commit.known)? else {
            return Ok(Outcome::Refused(Refusal::Place));
        };
        if let Some(refusal) = self.refusal(&commit)? {
            return Ok(Outcome::Refused(refusal));
        }
        self.has_changed |= !commit.events.is_empty() || !commit.sessions.is_empty();
        for event in commit.events {
            head = self.append(head, event, commit.now)?;
        }
        self.head = Some(head);
        for change in commit.sessions {
            self.change_session(change, commit.now)?;
        }
        Ok(Outcome::Done { head })
    }

    fn refusal(&self, commit: &Commit) -> Result<Option<Refusal>> {
        if !self.keys_allow(commit)? {
            return Ok(Some(Refusal::Key));
        }
        for change in &commit.sessions {
            if !self.sessions_allow(change)? {
                return Ok(Some(Refusal::Session));
            }
        }
        Ok(None)
    }

    fn keys_allow(&self, commit: &Commit) -> Result<bool> {
        let is_epoch = |event: &NewEvent| matches!(event.effect, Effect::Epoch { .. });
        if commit.newest_key.is_none() && commit.events.iter().all(is_epoch) {
            return Ok(true);
        }
        let keys = tables::keys(&self.keys)?;
        Ok(rules::ring_allows(
            commit,
            keys.into_iter().map(|key| key.id),
        ))
    }

    fn sessions_allow(&self, change: &SessionChange) -> Result<bool> {
        let version = |id: &RowId| -> Result<Option<RowVersion>> {
            let row = self.sessions.get(id.as_bytes())?;
            Ok(row.map(|row| RowVersion::from_bytes(*row.value().1)))
        };
        Ok(match change {
            SessionChange::Start(row) => version(&row.id)?.is_none(),
            SessionChange::Replace { row, expected, .. } => version(&row.id)? == Some(*expected),
            SessionChange::End { row, expected } => {
                expected.is_none() || version(row)? == *expected
            }
            SessionChange::EndOfUser { .. } => true,
            SessionChange::NoOthers { user, rows } => {
                let of_user = tables::rows_of_user(&self.users, *user)?;
                of_user.iter().all(|id| rows.contains(id))
            }
        })
    }

    /// Appends an event behind `head`, with its effect, and gives the head of then.
    fn append(&mut self, head: Place, event: NewEvent, time: StoreTime) -> Result<Place> {
        let position = head.position.saturating_add(1);
        let millis = time.as_unix_millis();
        match event.effect {
            Effect::Epoch { tag, secret } => {
                self.epochs.insert(&tag, (position, &secret))?;
            }
            Effect::AddKey { key, record } => {
                let fields = (key.as_bytes(), millis, &record[..]);
                self.keys.insert(position, fields)?;
            }
            Effect::ReplaceKeys { key, record } => {
                self.keys.retain(|_, _| false)?;
                let fields = (key.as_bytes(), millis, &record[..]);
                self.keys.insert(position, fields)?;
            }
            Effect::RemoveKey { key } => {
                self.keys.retain(|_, fields| fields.0 != key.as_bytes())?;
            }
        }
        let fields = (event.id.as_bytes(), millis, &event.body[..]);
        self.log.insert(position, fields)?;
        let (_, appended) = self.appended.get_or_insert_with(|| (head, Vec::new()));
        appended.push(Event {
            position,
            id: event.id,
            time,
            body: event.body,
        });
        Ok(Place {
            position,
            event: event.id,
            ..head
        })
    }

    fn change_session(&mut self, change: SessionChange, now: StoreTime) -> Result<()> {
        match change {
            SessionChange::Start(row) => {
                let rotated_at = now;
                self.put_session(SessionRow { row, rotated_at })
            }
            SessionChange::Replace { row, rotates, .. } => {
                let before = self.sessions.get(row.id.as_bytes())?;
                let before = before.map(|before| StoreTime::from_unix_millis(before.value().3));
                let rotated_at = before.filter(|_| !rotates).unwrap_or(now);
                self.put_session(SessionRow { row, rotated_at })
            }
            SessionChange::End { row, .. } => self.remove_session(row),
            SessionChange::EndOfUser { user, except } => {
                let ids = tables::rows_of_user(&self.users, user)?;
                ids.into_iter()
                    .filter(|id| Some(*id) != except)
                    .try_for_each(|id| self.remove_session(id))
            }
            SessionChange::NoOthers { .. } => Ok(()),
        }
    }

    fn put_session(&mut self, row: SessionRow) -> Result<()> {
        self.remove_session(row.row.id)?;
        let id = row.row.id.as_bytes();
        self.users.insert((&row.row.user, id), ())?;
        self.sessions.insert(id, tables::row_fields(&row))?;
        Ok(())
    }

    pub(super) fn remove_session(&mut self, id: RowId) -> Result<()> {
        if let Some(row) = self.sessions.remove(id.as_bytes())? {
            self.users.remove((row.value().0, id.as_bytes()))?;
        }
        Ok(())
    }

    pub(super) fn rewrap(&mut self, rewrap: &Rewrap) -> Result<Outcome> {
        let Some(head) = self.head_since(rewrap.known)? else {
            return Ok(Outcome::Refused(Refusal::Place));
        };
        let keys = tables::keys(&self.keys)?;
        let ids = rewrap.keys.iter().map(|(id, _)| *id);
        if !ids.eq(keys.iter().map(|key| key.id)) {
            return Ok(Outcome::Refused(Refusal::Key));
        }
        self.has_changed = true;
        tables::put_secrets(&mut self.meta, &rewrap.secrets)?;
        for (key, (_, record)) in keys.iter().zip(&rewrap.keys) {
            let millis = key.introduced_at.as_unix_millis();
            let fields = (key.id.as_bytes(), millis, &record[..]);
            self.keys.insert(key.position, fields)?;
        }
        Ok(Outcome::Done { head })
    }
}

/// The place before the first event of a history.
fn before_first(history: HistoryId, position: u64, first: &NewEvent) -> Place {
    Place {
        history,
        position: position.saturating_sub(1),
        event: first.id,
    }
}
