//! Changes of sessions that no token asks for.

use std::sync::Arc;

use super::{
    Session,
    record::past,
    refresh_token::session_row,
    rows::{Kept, View},
};
use crate::{
    Authority, Op, SessionError, SessionId, StoreError,
    authority::Inner,
    replica::{Changes, Sending},
    store::{Refusal, RowId, Rows, SessionChange, StoreTime},
};

/// How often a row or its neighbours may change between a read and the commit that follows.
const MOST_TURNS: u32 = 64;

/// What all of them begin with.
struct Asked<T> {
    inner: Arc<Inner>,
    view: View,
    id: RowId,
    turns: u32,
    sending: Sending,
    finish: Finish<T>,
}

type Finish<T> = Box<dyn FnOnce(Result<T, SessionError>) + Send>;

impl<T: Send + 'static> Asked<T> {
    fn new(
        authority: &Authority,
        session: &SessionId,
    ) -> Result<(Op<T, SessionError>, Self), SessionError> {
        let id = session_row(session.as_str()).ok_or(SessionError::Ended)?;
        let view = View::of(&authority.inner).ok_or(SessionError::StaleEpochs)?;
        let (op, finish) = authority.operation();
        let asked = Self {
            inner: Arc::clone(&authority.inner),
            view,
            id,
            turns: 0,
            sending: Sending::default(),
            finish: Box::new(finish),
        };
        Ok((op, asked))
    }

    /// Without the rest, which holds the store: whoever has the result may open it again.
    fn into_finish(self) -> Finish<T> {
        let Self {
            finish, sending, ..
        } = self;
        sending.wait();
        finish
    }

    /// Finds the session, and goes on with it.
    fn find(self, then: impl FnOnce(Self, Kept, StoreTime) + Send + 'static) {
        let (inner, view) = (Arc::clone(&self.inner), self.view.clone());
        let (sending, row) = (self.sending.clone(), Rows::One(self.id));
        let then = move |answer: Result<(Vec<Kept>, StoreTime), StoreError>| match answer {
            Ok((rows, now)) => match rows.into_iter().find(|kept| !kept.has_expired(now)) {
                Some(kept) => then(self, kept, now),
                None => self.into_finish()(Err(SessionError::Ended)),
            },
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || view.ask(&inner, row, then));
    }

    /// Begins again after a condition did not hold.
    fn turn(mut self, again: impl FnOnce(Self)) {
        self.turns += 1;
        match self.turns < MOST_TURNS {
            true => again(self),
            false => self.into_finish()(Err(SessionError::TryAgain)),
        }
    }
}

pub(super) fn end_others(authority: &Authority, session: &SessionId) -> Op<(), SessionError> {
    match Asked::new(authority, session) {
        Ok((op, asked)) => {
            asked.end_others();
            op
        }
        Err(error) => Op::finished(Err(error)),
    }
}

pub(super) fn reauthenticated(
    authority: &Authority,
    session: &SessionId,
) -> Op<Session, SessionError> {
    match Asked::new(authority, session) {
        Ok((op, asked)) => {
            asked.find(Asked::authenticate);
            op
        }
        Err(error) => Op::finished(Err(error)),
    }
}

impl Asked<()> {
    fn end_others(self) {
        self.find(|asked, kept, _| {
            let user = kept.row.row.user;
            let (inner, view) = (Arc::clone(&asked.inner), asked.view.clone());
            let sending = asked.sending.clone();
            let then = move |answer: Result<(Vec<Kept>, _), StoreError>| match answer {
                Ok((rows, _)) => asked.end_all_of(user, &rows),
                Err(error) => asked.into_finish()(Err(error.into())),
            };
            sending.send(move || view.ask(&inner, Rows::OfUser(user), then));
        });
    }

    fn end_all_of(self, user: [u8; 16], rows: &[Kept]) {
        let others = rows.iter().filter(|kept| kept.id() != self.id);
        let bumps: Result<Vec<_>, _> = others
            .map(|kept| self.inner.bump_of_session(&self.view.ring, kept.id()))
            .collect();
        let bumps = match bumps {
            Ok(bumps) => bumps,
            Err(error) => return self.into_finish()(Err(error.into())),
        };
        let known = rows.iter().map(Kept::id).collect();
        let except = Some(self.id);
        let changes = Changes {
            ring: Arc::clone(&self.view.ring),
            newest_key: None,
            // If there is nothing to end, what ended it may not be in force here yet: a commit
            // of rows alone waits for that.
            changes: bumps,
            // One that began in between would lose its row and keep its tokens.
            sessions: vec![
                SessionChange::NoOthers { user, rows: known },
                SessionChange::EndOfUser { user, except },
            ],
        };
        let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
        let then = move |done: Result<_, StoreError>| match done {
            Ok(_) => self.into_finish()(Ok(())),
            Err(error) if error.refusal() == Some(Refusal::Session) => self.turn(Self::end_others),
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || replica.change(changes, then));
    }
}

impl Asked<Session> {
    fn authenticate(self, kept: Kept, now: StoreTime) {
        let mut record = kept.record.clone();
        record.authenticated_at = past(self.inner.replica.now().seconds, now);
        let expires_at = kept.row.row.expires_at;
        let changes = self
            .view
            .replacing(&self.inner, &kept, &record, expires_at, false);
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => return self.into_finish()(Err(error.into())),
        };
        let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
        let then = move |done: Result<_, StoreError>| match done {
            Ok(_) => {
                let session = Session::new(self.id, record, expires_at);
                self.into_finish()(Ok(session));
            }
            Err(error) if error.refusal() == Some(Refusal::Session) => {
                self.turn(|asked| asked.find(Asked::authenticate));
            }
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || replica.change(changes, then));
    }
}
