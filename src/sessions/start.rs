//! The beginning of a session.

use std::sync::Arc;

use super::{
    RefreshToken, Session, TokenPair,
    record::{Clear, Record, past},
    rows::{Kept, View},
};
use crate::{
    Authority, Grant, IssueError, Op, StartError, StoreError, Token,
    authority::Inner,
    bug::{self, Bug},
    grant::{Authenticated, CheckedGrant},
    policy::WhenFull,
    replica::{Changes, Sending},
    store::{NewRow, Refusal, RowId, RowVersion, Rows, SessionChange, StoreTime},
};

const LONGEST_LABEL: usize = 1024;
/// How often the user's other sessions may change in between.
const MOST_TURNS: u32 = 64;

type Finish = Box<dyn FnOnce(Result<TokenPair, StartError>) + Send>;

/// A session to be.
struct Start {
    inner: Arc<Inner>,
    view: View,
    id: RowId,
    grant: CheckedGrant,
    label: String,
    turns: u32,
    sending: Sending,
    finish: Finish,
}

pub(super) fn start(
    authority: &Authority,
    grant: Grant,
    label: String,
) -> Op<TokenPair, StartError> {
    let inner = Arc::clone(&authority.inner);
    match prepare(&inner, grant, &label) {
        Ok((view, id, grant)) => {
            let (op, finish) = authority.operation();
            let start = Start {
                inner,
                view,
                id,
                grant,
                label,
                turns: 0,
                sending: Sending::default(),
                finish: Box::new(finish),
            };
            start.look_at_others();
            op
        }
        Err(error) => Op::finished(Err(error)),
    }
}

fn prepare(
    inner: &Inner,
    grant: Grant,
    label: &str,
) -> Result<(View, RowId, CheckedGrant), StartError> {
    let length = label.len();
    if length > LONGEST_LABEL {
        return Err(StartError::LabelTooLong { length });
    }
    let view = View::of(inner).ok_or(StartError::StaleEpochs)?;
    let mut grant = grant.check().map_err(StartError::Grant)?;
    // Facts that are read from now on are the application's own business.
    grant.mark.get_or_insert_with(|| view.ring.mark());
    if bug::is_in(Bug::SealedLate) {
        grant.mark = None;
    }
    if let Authenticated::NotStated = grant.authenticated {
        grant.authenticated = Authenticated::Now;
    }
    let id = RowId::draw(&*inner.replica.source().random)?;
    grant.session = Some(crate::SessionId::of_checked(&id.to_string()));
    Ok((view, id, grant))
}

impl Start {
    /// Without the rest, which holds the store: whoever has the result may open it again.
    fn into_finish(self) -> Finish {
        let Self {
            finish, sending, ..
        } = self;
        sending.wait();
        finish
    }

    fn look_at_others(self) {
        let user = self.view.user_tag(&self.grant.user);
        let (inner, view) = (Arc::clone(&self.inner), self.view.clone());
        let sending = self.sending.clone();
        let then = move |answer: Result<(Vec<Kept>, _), StoreError>| match answer {
            Ok((others, now)) => self.commit(&others, user, now),
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || view.ask(&inner, Rows::OfUser(user), then));
    }

    fn commit(mut self, others: &[Kept], user: [u8; 16], now: StoreTime) {
        match self.changes(others, user, now) {
            Ok((changes, record, expires_at)) => {
                let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
                let known = others.iter().map(Kept::id).collect();
                let mut sessions = changes.sessions;
                // So that the limit holds however many start at once.
                if !bug::is_in(Bug::MoreAtOnce) {
                    sessions.insert(0, SessionChange::NoOthers { user, rows: known });
                }
                let changes = Changes {
                    sessions,
                    ..changes
                };
                let then = move |done: Result<_, StoreError>| match done {
                    Ok(_) => self.issue(record, expires_at),
                    Err(error) if error.refusal() == Some(Refusal::Session) => self.turn(),
                    Err(error) => self.into_finish()(Err(error.into())),
                };
                sending.send(move || replica.change(changes, then));
            }
            Err(error) => self.into_finish()(Err(error)),
        }
    }

    fn changes(
        &mut self,
        others: &[Kept],
        user: [u8; 16],
        now: StoreTime,
    ) -> Result<(Changes, Record, StoreTime), StartError> {
        let policy = &self.inner.policy;
        let mut live: Vec<_> = others
            .iter()
            .filter(|kept| !kept.has_expired(now))
            .collect();
        let (mut events, mut sessions) = (Vec::new(), Vec::new());
        if live.len() >= policy.max_sessions {
            if policy.when_full == WhenFull::Refuse {
                let limit = policy.max_sessions;
                return Err(StartError::TooManySessions { limit });
            }
            live.sort_by_key(|kept| (kept.record.created_at, kept.id()));
            let too_many = live.len() + 1 - policy.max_sessions;
            for oldest in live.into_iter().take(too_many) {
                events.push(self.inner.bump_of_session(&self.view.ring, oldest.id())?);
                sessions.push(SessionChange::End {
                    row: oldest.id(),
                    expected: None,
                });
            }
        }
        let record = self.record(now)?;
        let ends_at = now.saturating_add_secs(policy.session_lifetime);
        let expires_at = ends_at.min(now.saturating_add_secs(policy.session_idle_lifetime));
        // What cannot be issued must end no other session.
        self.access(&record, expires_at)?;
        sessions.push(SessionChange::Start(self.row(&record, user, expires_at)?));
        let changes = Changes {
            ring: Arc::clone(&self.view.ring),
            newest_key: None,
            changes: events,
            sessions,
        };
        Ok((changes, record, expires_at))
    }

    fn record(&self, now: StoreTime) -> Result<Record, StartError> {
        let seconds = self.inner.replica.now().seconds;
        let authenticated_at = self
            .inner
            .authenticated_at(self.grant.authenticated, seconds);
        let authenticated_at = authenticated_at.map_err(StartError::Grant)?;
        let authenticated_at = authenticated_at.unwrap_or(seconds);
        Ok(Record {
            user: self.grant.user.clone(),
            label: self.label.clone(),
            counter: 0,
            created_at: now,
            used_at: now,
            ends_at: now.saturating_add_secs(self.inner.policy.session_lifetime),
            authenticated_at: past(authenticated_at, now),
            groups: self.grant.groups.clone(),
            audience: self.grant.audience.clone(),
            lifetime: self.grant.lifetime,
            claims: self.grant.claims.clone(),
        })
    }

    fn row(
        &self,
        record: &Record,
        user: [u8; 16],
        expires_at: StoreTime,
    ) -> Result<NewRow, StartError> {
        let random = &*self.inner.replica.source().random;
        let clear = Clear {
            id: self.id,
            user,
            version: RowVersion::draw(random)?,
            expires_at,
        };
        Ok(record
            .clone()
            .into_row(clear, self.view.ring.row_key(), random)?)
    }

    /// Another session of the user began or ended in between.
    fn turn(mut self) {
        self.turns += 1;
        match self.turns < MOST_TURNS {
            true => self.look_at_others(),
            false => self.into_finish()(Err(StoreError::refused(Refusal::Session).into())),
        }
    }

    /// Everything up to the commit is applied here: a bump that was before it is in the table.
    fn issue(self, record: Record, expires_at: StoreTime) {
        match self.access(&record, expires_at) {
            Ok(access) => {
                let key = self.view.ring.refresh_key();
                let pair = TokenPair {
                    access: self.inner.hand_out(access),
                    refresh: RefreshToken::sign(key, self.id, record.counter),
                    session: Session::new(self.id, record, expires_at),
                };
                self.into_finish()(Ok(pair));
            }
            Err(error) => self.take_back(error),
        }
    }

    fn access(&self, record: &Record, expires_at: StoreTime) -> Result<Token, StartError> {
        let mut grant = self.grant.clone();
        grant.authenticated = record.authenticated(self.inner.replica.now().seconds);
        match self.inner.issue_within(&grant, expires_at) {
            Ok(Some(access)) => Ok(access),
            // The store took longer than sessions live, or its clock is behind.
            Ok(None) | Err(IssueError::StaleEpochs) => Err(StartError::StaleEpochs),
            Err(IssueError::BumpedSinceMark { .. } | IssueError::OutdatedMark) => {
                Err(StartError::BumpedMeanwhile)
            }
            Err(IssueError::Random(error)) => Err(error.into()),
            Err(error) => Err(StartError::Grant(error)),
        }
    }

    /// Nobody has its tokens. If this fails, the row stays until it expires.
    fn take_back(self, error: StartError) {
        let changes = Changes {
            ring: Arc::clone(&self.view.ring),
            newest_key: None,
            changes: Vec::new(),
            sessions: vec![SessionChange::End {
                row: self.id,
                expected: None,
            }],
        };
        let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
        let then = move |_| self.into_finish()(Err(error));
        sending.send(move || replica.change(changes, then));
    }
}
