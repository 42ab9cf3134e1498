//! What is asked, as the scripts' arguments.

use std::time::Duration;

use redis::Cmd;

use super::scripts::{Keys, Script};
use crate::store::{
    Beginning, Commit, Effect, Heartbeat, HistoryId, NewEvent, NewHistory, NewRow, Place, Rewrap,
    Rows, SessionChange, SessionQuery, Tidy,
};

/// A script and its arguments.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) script: Script,
    /// Whether the answer may be large.
    pub(super) is_large: bool,
    arguments: Vec<Vec<u8>>,
}

impl Request {
    fn new(script: Script) -> Self {
        Self {
            script,
            is_large: false,
            arguments: Vec::new(),
        }
    }

    /// The command by which the server does it, which knows the script by `hash`.
    pub(super) fn command(&self, hash: &[u8], keys: &Keys) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(hash).arg(keys.all().len());
        for key in keys.all() {
            command.arg(key);
        }
        for argument in &self.arguments {
            command.arg(&argument[..]);
        }
        command
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.arguments.push(bytes.to_vec());
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn number(self, number: u64) -> Self {
        self.text(&number.to_string())
    }

    fn flag(self, flag: bool) -> Self {
        self.text(if flag { "1" } else { "0" })
    }

    fn count(self, count: usize) -> Self {
        self.text(&count.to_string())
    }

    fn place(self, place: Place) -> Self {
        self.bytes(place.history.as_bytes())
            .number(place.position)
            .bytes(place.event.as_bytes())
    }

    fn histories(self, histories: &[HistoryId]) -> Self {
        let bytes = histories.iter().map(HistoryId::as_bytes);
        let bytes: Vec<u8> = bytes.flatten().copied().collect();
        self.bytes(&bytes)
    }

    fn event(self, event: &NewEvent) -> Self {
        let (effect, name, value): (_, &[u8], &[u8]) = match &event.effect {
            Effect::Epoch { tag, secret } => ("epoch", tag, secret),
            Effect::AddKey { key, record } => ("add", key.as_bytes(), record),
            Effect::ReplaceKeys { key, record } => ("replace", key.as_bytes(), record),
            Effect::RemoveKey { key } => ("remove", key.as_bytes(), &[]),
        };
        self.bytes(event.id.as_bytes())
            .text(effect)
            .bytes(name)
            .bytes(value)
            .bytes(&event.body)
    }

    fn row(self, row: &NewRow) -> Self {
        self.bytes(row.id.as_bytes())
            .bytes(&row.user)
            .bytes(row.version.as_bytes())
            .number(row.expires_at.as_unix_millis())
            .bytes(&row.body)
    }

    fn session(self, change: &SessionChange) -> Self {
        match change {
            SessionChange::Start(row) => self.text("start").row(row),
            SessionChange::Replace {
                row,
                expected,
                rotates,
            } => self
                .text("replace")
                .row(row)
                .bytes(expected.as_bytes())
                .flag(*rotates),
            SessionChange::End { row, expected } => {
                let expected = expected
                    .as_ref()
                    .map_or(&[][..], |version| version.as_bytes());
                self.text("end").bytes(row.as_bytes()).bytes(expected)
            }
            SessionChange::EndOfUser { user, except } => {
                let except = except.as_ref().map_or(&[][..], |row| row.as_bytes());
                self.text("end_of_user").bytes(user).bytes(except)
            }
            SessionChange::NoOthers { user, rows } => {
                let request = self.text("no_others").bytes(user).count(rows.len());
                rows.iter()
                    .fold(request, |request, row| request.bytes(row.as_bytes()))
            }
        }
    }
}

pub(super) fn commit(commit: &Commit) -> Request {
    let newest = commit.newest_key.as_ref();
    let request = Request::new(Script::Commit)
        .place(commit.known)
        .bytes(newest.map_or(&[][..], |key| key.as_bytes()))
        .count(commit.events.len());
    let request = commit.events.iter().fold(request, Request::event);
    commit.sessions.iter().fold(request, Request::session)
}

pub(super) fn begin(new: &NewHistory) -> Request {
    let request = Request::new(Script::Begin).bytes(new.id.as_bytes());
    let request = match &new.beginning {
        Beginning::Empty => request.text("empty"),
        Beginning::InsteadOf(history) => request.text("instead_of").bytes(history.as_bytes()),
        Beginning::Unknown {
            place,
            predecessors,
        } => request
            .text("unknown")
            .place(*place)
            .histories(predecessors),
    };
    request
        .bytes(&new.secrets)
        .flag(new.keeps_sessions)
        .event(&new.event)
}

/// News for who sends the heartbeat, `most` events at once.
pub(super) fn news(heartbeat: &Heartbeat, keeps_receipt: bool, most: usize) -> Request {
    let request = Request::new(Script::News)
        .bytes(heartbeat.replica.as_bytes())
        .number(millis(heartbeat.max_staleness))
        .flag(keeps_receipt)
        .count(most);
    heartbeat.applied.into_iter().fold(request, Request::place)
}

pub(super) fn receipts() -> Request {
    Request::new(Script::Receipts)
}

pub(super) fn rewrap(rewrap: &Rewrap) -> Request {
    let request = Request::new(Script::Rewrap)
        .place(rewrap.known)
        .bytes(&rewrap.secrets)
        .count(rewrap.keys.len());
    rewrap.keys.iter().fold(request, |request, (id, record)| {
        request.bytes(id.as_bytes()).bytes(record)
    })
}

pub(super) fn sessions(query: &SessionQuery) -> Request {
    let request = Request::new(Script::Sessions).place(query.known);
    match &query.rows {
        Rows::One(id) => request.text("id").bytes(id.as_bytes()),
        Rows::OfUser(user) => Request {
            is_large: true,
            ..request.text("user").bytes(user)
        },
    }
}

/// The state, or what became of it since the place at which reading it began; `most` epochs
/// at once.
pub(super) fn snapshot(since: Option<Place>, most: usize) -> Request {
    let request = Request::new(Script::Snapshot).count(most);
    since.into_iter().fold(request, Request::place)
}

pub(super) fn standing(place: Place) -> Request {
    Request::new(Script::Standing).place(place)
}

/// Forgets at most so many of a kind.
pub(super) fn tidy(tidy: &Tidy, most: usize) -> Request {
    Request::new(Script::Tidy)
        .place(tidy.known)
        .number(tidy.epochs_up_to)
        .number(tidy.events_up_to)
        .number(tidy.events_before.as_unix_millis())
        .number(tidy.sessions_before.as_unix_millis())
        .number(tidy.receipts_before.as_unix_millis())
        .count(most)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
