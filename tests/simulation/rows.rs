//! Sessions as they truly are.
//!
//! The ledger sees no counter, for the store does not: it counts the rotations of a row
//! itself, and knows by a row's encrypted body which of its contents the store holds. A
//! session has ended where a bump of its user or of itself is in the log that was not there
//! when it began.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Scope, SessionId, Store,
    store::{
        Commit, EventId, NewRow, Place, RowId, RowVersion, Rows, SessionChange, SessionQuery,
        SessionRow, StoreTime,
    },
};
use parking_lot::Mutex;

use super::{Checked, SKEW, ledger::Ledger, wrong};

/// The policy's default.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Sessions {
    begun: HashMap<RowId, Begun>,
    /// How often a row had been rotated, by its body.
    contents: HashMap<Vec<u8>, Content>,
    /// Whom the tags mean, in any history.
    users: HashMap<[u8; 16], String>,
    /// When the rows that the store held were to expire.
    expiries: HashMap<RowId, StoreTime>,
    /// The bodies that the store held when it was last looked at.
    held: HashMap<RowId, Vec<u8>>,
    /// How often the store has lost something.
    pub(crate) losses: usize,
    /// How often it had, when it was last looked at.
    losses_before: usize,
}

struct Begun {
    user: String,
    /// The head of the log that it was committed behind.
    at: EventId,
    /// How often something had been lost by then.
    losses: usize,
}

struct Content {
    id: RowId,
    version: RowVersion,
    rotations: u64,
    /// The body that was read by who wrote this one.
    read: Option<Vec<u8>>,
}

/// What the store held when a replica asked for a row.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) id: RowId,
    row: Option<(SessionRow, u64)>,
    time: StoreTime,
}

/// How a refresh token stands to what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Gone,
    Expired,
    Current,
    /// It is the one before, in the grace window.
    Before,
    Other,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((row, rotations)) = &self.row else {
            return write!(f, "no row at {:?}", self.time);
        };
        let (rotated_at, expires_at) = (row.rotated_at, row.row.expires_at);
        write!(
            f,
            "counter {rotations} since {rotated_at:?} until {expires_at:?}, at {:?}",
            self.time
        )
    }
}

impl Read {
    pub(crate) fn stands(&self, counter: u64) -> Stands {
        let Some((row, rotations)) = &self.row else {
            return Stands::Gone;
        };
        if self.time >= row.row.expires_at {
            return Stands::Expired;
        }
        let (now, rotated) = (self.time.as_unix_millis(), row.rotated_at.as_unix_millis());
        let in_grace = match now.checked_sub(rotated) {
            Some(since) => u128::from(since) < GRACE.as_millis(),
            None => u128::from(rotated - now) <= 2 * SKEW.as_millis(),
        };
        match *rotations {
            rotations if rotations == counter => Stands::Current,
            rotations if rotations == counter + 1 && in_grace => Stands::Before,
            _ => Stands::Other,
        }
    }

    /// Whether the row, as it was, is to expire by this time since 1970.
    pub(crate) fn expires_before(&self, time: Duration) -> bool {
        let Some((row, _)) = &self.row else {
            return false;
        };
        u128::from(row.row.expires_at.as_unix_millis()) <= time.as_millis()
    }
}

pub(crate) fn scope_of(id: RowId) -> Scope {
    Scope::session(&session_of(id))
}

/// The row of a session.
pub(crate) fn row_of(session: &str) -> RowId {
    let bytes = URL_SAFE_NO_PAD
        .decode(session)
        .expect("the id of a session");
    RowId::from_bytes(bytes.try_into().expect("16 bytes"))
}

pub(crate) fn session_of(id: RowId) -> SessionId {
    id.to_string()
        .parse()
        .expect("the id of a row is that of a session")
}

impl Ledger {
    /// Somebody is about to ask for the rows of a user, or to end them.
    pub(crate) fn name_user(&mut self, tag: [u8; 16], user: &str) {
        self.sessions.users.insert(tag, user.to_owned());
    }

    /// Somebody is about to commit these changes of rows.
    pub(crate) fn announce_rows(&mut self, commit: &Commit, reads: &[Read]) {
        for change in &commit.sessions {
            match change {
                SessionChange::Start(row) => self.sessions.announce(row, 0, None),
                SessionChange::Replace {
                    row,
                    expected,
                    rotates,
                } => {
                    let contents = self.sessions.contents.values();
                    let before = contents
                        .filter(|content| content.id == row.id && content.version == *expected)
                        .map(|content| content.rotations)
                        .max();
                    let rotations = before.unwrap_or_default() + u64::from(*rotates);
                    let rows = reads.iter().rev().filter_map(|read| read.row.as_ref());
                    let mut bodies = rows
                        .filter(|(read, _)| read.row.id == row.id && read.row.version == *expected)
                        .map(|(read, _)| read.row.body.clone());
                    self.sessions.announce(row, rotations, bodies.next());
                }
                _ => {}
            }
        }
    }

    /// The scopes of the bumps that end sessions one by one.
    pub(crate) fn scopes_of(commit: &Commit) -> Vec<Scope> {
        let mut rows = Vec::new();
        let mut others: &[RowId] = &[];
        for change in &commit.sessions {
            match change {
                SessionChange::End { row, .. } => rows.push(*row),
                SessionChange::NoOthers { rows, .. } => others = rows,
                SessionChange::EndOfUser { except, .. } => {
                    rows.extend(others.iter().filter(|row| Some(**row) != *except));
                }
                _ => {}
            }
        }
        rows.into_iter().map(scope_of).collect()
    }

    /// The store has made a commit that begins sessions, and its log ended so.
    pub(crate) fn has_begun(&mut self, started: &[(RowId, [u8; 16])], head: Place) {
        self.look();
        for (id, tag) in started {
            let user = self.sessions.users.get(tag).cloned();
            let user = user.expect("its user's rows were asked for");
            let at = head.event;
            let losses = self.sessions.losses + self.breaks();
            let begun = Begun { user, at, losses };
            self.sessions.begun.insert(*id, begun);
        }
    }

    /// Whether the log up to `at` has ended a session.
    pub(crate) fn has_ended(&self, id: RowId, at: EventId) -> bool {
        let Some(begun) = self.sessions.begun.get(&id) else {
            return false;
        };
        if !self.knows(begun.at) {
            return false;
        }
        let state = self.state(at);
        if state.history != self.place(begun.at).history {
            return state.predecessors.contains(&self.place(begun.at).history);
        }
        [Scope::user(&begun.user), scope_of(id)]
            .iter()
            .any(|scope| {
                let bump = state.bumps.get(scope);
                bump.is_some_and(|(bump, _)| !self.contains(begun.at, *bump))
            })
    }

    /// Whether there is a reason that a session's row is gone: it was ended or has expired, or
    /// something was lost.
    pub(crate) fn may_be_gone(&self, id: RowId) -> bool {
        let now = self.ask(Rows::One(id)).1;
        let ended = |head| self.has_ended(id, head);
        let losses = self.sessions.losses + self.breaks();
        let begun = self.sessions.begun.get(&id);
        let expiry = self.sessions.expiries.get(&id);
        self.head().is_some_and(ended)
            || begun.is_none_or(|begun| begun.losses != losses)
            || expiry.is_none_or(|expiry| *expiry <= now)
    }

    /// Whether the log up to `at` is of another history than that in which a session began.
    pub(crate) fn is_of_another_history(&self, id: RowId, at: EventId) -> bool {
        let begun = self.sessions.begun.get(&id).map(|begun| begun.at);
        begun.is_none_or(|begun| {
            !self.knows(begun) || self.place(begun).history != self.place(at).history
        })
    }

    /// The row as the store holds it.
    pub(crate) fn read(&self, id: RowId) -> Read {
        let (mut rows, time) = self.ask(Rows::One(id));
        let row = rows.pop().map(|row| {
            let content = self.sessions.contents.get(&row.row.body);
            let rotations = content.map_or(0, |content| content.rotations);
            (row, rotations)
        });
        Read { id, row, time }
    }

    /// A row is replaced by who has read it as it was, whatever else happened.
    pub(crate) fn check_rows(&mut self) -> Checked {
        let ids: Vec<_> = self.sessions.begun.keys().copied().collect();
        let (now, sessions) = (self.sessions.losses, &mut self.sessions);
        let excused = std::mem::replace(&mut sessions.losses_before, now) != now;
        for id in ids {
            let Some((row, _)) = self.read(id).row else {
                self.sessions.held.remove(&id);
                continue;
            };
            self.sessions.expiries.insert(id, row.row.expires_at);
            let body = row.row.body;
            let before = self.sessions.held.insert(id, body.clone());
            if let Some(before) = before
                && !excused
                && !self.sessions.goes_back_to(&body, &before)
            {
                return wrong("a row is replaced only by who has read it", format!("{id}"));
            }
        }
        Ok(())
    }

    /// The sessions that a user has at this moment.
    pub(crate) fn sessions_of(&self, user: &str) -> Vec<RowId> {
        let tags = self.sessions.users.iter();
        let tags = tags.filter(|(_, name)| *name == user);
        let rows = tags.flat_map(|(tag, _)| {
            let (rows, time) = self.ask(Rows::OfUser(*tag));
            let live = rows
                .into_iter()
                .filter(move |row| time < row.row.expires_at);
            live.map(|row| row.row.id)
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        rows
    }

    fn ask(&self, rows: Rows) -> (Vec<SessionRow>, StoreTime) {
        let Some(head) = self.head() else {
            return Default::default();
        };
        let query = SessionQuery {
            known: self.place(head),
            rows,
            now: StoreTime::default(),
        };
        let found = Arc::new(Mutex::new(None));
        let there = Arc::clone(&found);
        let done = Box::new(move |answer| *there.lock() = Some(answer));
        self.spy().sessions(query, done);
        let answer = found.lock().take().expect("the spy is answered at once");
        let answer = answer.expect("the spy is never cut");
        (answer.value.unwrap_or_default(), answer.time)
    }
}

impl Sessions {
    /// Whether one body of a row came from another, each written by who had read the one before.
    fn goes_back_to(&self, body: &[u8], before: &[u8]) -> bool {
        let mut at = Some(body);
        while let Some(body) = at {
            if body == before {
                return true;
            }
            at = self
                .contents
                .get(body)
                .and_then(|content| content.read.as_deref());
        }
        false
    }

    fn announce(&mut self, row: &NewRow, rotations: u64, read: Option<Vec<u8>>) {
        let content = Content {
            id: row.id,
            version: row.version,
            rotations,
            read,
        };
        self.contents.insert(row.body.clone(), content);
    }
}
