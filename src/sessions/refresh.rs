//! A refresh: from one pair of tokens to the next.

use std::sync::Arc;

use super::{
    RefreshToken, Session, TokenPair,
    judge::{Verdict, judge},
    record::Record,
    refresh_token::Presented,
    rows::{Kept, View},
};
use crate::{
    Authority, Grant, IssueError, Mark, Op, RefreshError, ScopeKind, SessionId, StoreError, Token,
    authority::Inner,
    bug::{self, Bug},
    grant::{Authenticated, CheckedGrant},
    replica::{Changes, Sending},
    store::{Reach, Refusal, Rows, SessionChange, StoreTime},
};

/// How often the row may change between a read and the commit that follows.
const MOST_TURNS: u32 = 16;

pub(super) type GrantOf = Box<dyn FnOnce(&Session) -> Option<Grant> + Send>;
type Finish = Box<dyn FnOnce(Result<TokenPair, RefreshError>) + Send>;

struct Refresh {
    inner: Arc<Inner>,
    view: View,
    /// Taken before anything is read.
    mark: Mark,
    presented: Presented,
    grant_of: Option<GrantOf>,
    /// What the application wants to grant, asked for once.
    asked: Option<CheckedGrant>,
    /// What is granted: that, or what the row that was read last says.
    grant: Option<CheckedGrant>,
    turns: u32,
    sending: Sending,
    finish: Finish,
}

pub(super) fn refresh(
    authority: &Authority,
    token: &str,
    grant_of: Option<GrantOf>,
) -> Op<TokenPair, RefreshError> {
    let Some(presented) = Presented::parse(token) else {
        return Op::finished(Err(RefreshError::Malformed));
    };
    let Some(view) = View::of(&authority.inner) else {
        return Op::finished(Err(RefreshError::StaleEpochs));
    };
    if !presented.is_signed_by(view.ring.refresh_key()) {
        return Op::finished(Err(RefreshError::BadTag));
    }
    let (op, finish) = authority.operation();
    let refresh = Refresh {
        inner: Arc::clone(&authority.inner),
        mark: view.ring.mark(),
        view,
        presented,
        grant_of,
        asked: None,
        grant: None,
        turns: 0,
        sending: Sending::default(),
        finish: Box::new(finish),
    };
    refresh.read();
    op
}

impl Refresh {
    /// Without the rest, which holds the store: whoever has the result may open it again.
    fn into_finish(self) -> Finish {
        let Self {
            finish, sending, ..
        } = self;
        sending.wait();
        finish
    }

    fn read(self) {
        let (inner, view) = (Arc::clone(&self.inner), self.view.clone());
        let (sending, rows) = (self.sending.clone(), Rows::One(self.presented.session));
        let then = move |answer: Result<(Vec<Kept>, _), StoreError>| match answer {
            Ok((mut rows, now)) => match rows.pop() {
                Some(kept) => self.judge(kept, now),
                None => self.into_finish()(Err(RefreshError::Ended)),
            },
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || view.ask(&inner, rows, then));
    }

    fn judge(self, kept: Kept, now: StoreTime) {
        let counter = self.presented.counter;
        if bug::is_in(Bug::EndFromTable) {
            let ring = self.inner.replica.ring();
            let id = kept.id().to_string();
            let tag = ring.table_key().tag(ScopeKind::Session, &id);
            if ring.table().bumped_after(tag, ring.lowest_position()) != Ok(None) {
                return self.into_finish()(Err(RefreshError::Ended));
            }
        }
        let now = match bug::is_in(Bug::GraceByOwnClock) {
            true => self.inner.replica.source().time.moment().store_time(),
            false => now,
        };
        match judge(&kept.row, &kept.record, counter, now, &self.inner.policy) {
            Verdict::Rotate => self.rotate(kept, now),
            Verdict::Replay => self.replay(kept, now),
            // Overtaken between its own read and commit: only what the first read showed is
            // judged.
            Verdict::Reuse if self.turns > 0 && !bug::is_in(Bug::JudgedByLaterRead) => {
                self.into_finish()(Err(RefreshError::TryAgain))
            }
            Verdict::Reuse => self.reuse(kept),
            Verdict::Idle => self.into_finish()(Err(RefreshError::Expired { idle: true })),
            Verdict::Over => self.into_finish()(Err(RefreshError::Expired { idle: false })),
        }
    }

    /// The grant of this refresh, with what the session alone decides. `false` if the
    /// application grants nothing.
    fn ask_for_grant(&mut self, kept: &Kept) -> Result<bool, RefreshError> {
        let session = kept.show();
        if let Some(grant_of) = self.grant_of.take() {
            match grant_of(&session) {
                Some(grant) => self.asked = Some(grant.check().map_err(RefreshError::Grant)?),
                None => return Ok(false),
            }
        }
        let mut grant = match &self.asked {
            Some(asked) => asked.clone(),
            None => self.kept_grant(kept),
        };
        grant.user.clone_from(&kept.record.user);
        grant.session = Some(session.id().clone());
        grant.mark = match bug::is_in(Bug::SealedLate) {
            true => None,
            false if bug::is_in(Bug::MarkAfterAsking) => Some(self.inner.replica.ring().mark()),
            false => Some(self.mark),
        };
        self.grant = Some(grant);
        Ok(true)
    }

    /// The grant of before. A lifetime that was allowed then may be too long for the policy or
    /// the key of today.
    fn kept_grant(&self, kept: &Kept) -> CheckedGrant {
        let mut grant = kept.record.grant();
        let longest = self.inner.longest_lifetime();
        grant.lifetime = grant.lifetime.min(longest.or(grant.lifetime));
        grant
    }

    fn rotate(mut self, kept: Kept, now: StoreTime) {
        match self.ask_for_grant(&kept) {
            Ok(true) => {}
            Ok(false) if bug::is_in(Bug::NothingGrantedGoesOn) => {
                return self.into_finish()(Err(RefreshError::Ended));
            }
            Ok(false) => return self.end(kept, |_, _| RefreshError::Ended),
            Err(error) => return self.into_finish()(Err(error)),
        }
        let (record, expires_at) = self.next(&kept.record, now);
        // What cannot be issued must not rotate: the client would hold a token of the past.
        if let Err(error) = self.access(&record, expires_at) {
            return self.into_finish()(Err(error));
        }
        let changes = self
            .view
            .replacing(&self.inner, &kept, &record, expires_at, true);
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => return self.into_finish()(Err(error.into())),
        };
        let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
        let then = move |done: Result<_, StoreError>| match done {
            Ok(_) => self.issue(record, expires_at),
            Err(error) if error.refusal() == Some(Refusal::Session) => self.turn(),
            Err(error) => self.into_finish()(Err(error.into())),
        };
        sending.send(move || replica.change(changes, then));
    }

    /// What the session is after this refresh.
    fn next(&self, record: &Record, now: StoreTime) -> (Record, StoreTime) {
        let mut next = record.clone();
        next.counter = record.counter.saturating_add(1);
        next.used_at = now;
        if bug::is_in(Bug::RefreshProves) {
            next.authenticated_at = now.as_unix_seconds();
        }
        if let Some(grant) = &self.grant {
            next.groups.clone_from(&grant.groups);
            next.audience.clone_from(&grant.audience);
            next.lifetime = grant.lifetime;
            next.claims.clone_from(&grant.claims);
        }
        let idle = now.saturating_add_secs(self.inner.policy.session_idle_lifetime);
        let expires_at = next.ends_at.min(idle);
        (next, expires_at)
    }

    /// The row was changed in between, by another refresh perhaps: looks again.
    fn turn(mut self) {
        self.turns += 1;
        match self.turns < MOST_TURNS {
            true => self.read(),
            false => self.into_finish()(Err(RefreshError::TryAgain)),
        }
    }

    fn replay(mut self, kept: Kept, now: StoreTime) {
        let session = kept.show();
        let observer = self.inner.replica.observer();
        observer.replayed(session.user(), session.id());
        let grace = std::time::Duration::from_secs(self.inner.policy.refresh_grace);
        if !self.inner.replays.count(kept.row.row.version, now, grace) {
            if bug::is_in(Bug::ReplaysEndSessions) {
                return self.reuse(kept);
            }
            return self.into_finish()(Err(RefreshError::TooManyReplays));
        }
        match self.ask_for_grant(&kept) {
            Ok(true) => {}
            Ok(false) => return self.end(kept, |_, _| RefreshError::Ended),
            Err(error) => return self.into_finish()(Err(error)),
        }
        let expires_at = kept.row.row.expires_at;
        if bug::is_in(Bug::GraceSlides)
            && let Ok(again) =
                self.view
                    .replacing(&self.inner, &kept, &kept.record, expires_at, true)
        {
            self.inner.replica.change(again, |_| {});
        }
        if self.inner.replica.source().store.reach() != Reach::Shared {
            return self.issue(kept.record, expires_at);
        }
        // There is no commit whose place could be waited for, and another replica may have
        // rotated: sealed without a bump that was before the log-in, the token would be dead.
        let replica = Arc::clone(&self.inner.replica);
        replica.catch_up(move |caught_up| match caught_up {
            Ok(_) => self.issue(kept.record, expires_at),
            Err(error) => self.into_finish()(Err(error.into())),
        });
    }

    /// Theft, or a loss of the store.
    fn reuse(self, kept: Kept) {
        let observer = self.inner.replica.observer_to_keep();
        if bug::is_in(Bug::ReusedGoesOn) {
            let (session, user) = (kept.show().id().clone(), kept.record.user);
            return self.into_finish()(Err(RefreshError::Reused { session, user }));
        }
        self.end(kept, move |user, session| {
            observer.reused(&user, &session);
            RefreshError::Reused { session, user }
        });
    }

    /// Ends the session, whatever became of it meanwhile.
    fn end(
        self,
        kept: Kept,
        because: impl FnOnce(String, SessionId) -> RefreshError + Send + 'static,
    ) {
        let bump = match self.inner.bump_of_session(&self.view.ring, kept.id()) {
            Ok(bump) => bump,
            Err(error) => return self.into_finish()(Err(error.into())),
        };
        let changes = Changes {
            ring: Arc::clone(&self.view.ring),
            newest_key: None,
            changes: vec![bump],
            sessions: vec![SessionChange::End {
                row: kept.id(),
                expected: None,
            }],
        };
        let (replica, sending) = (Arc::clone(&self.inner.replica), self.sending.clone());
        let then = move |done: Result<_, StoreError>| {
            let error = match done {
                Ok(_) => because(kept.record.user.clone(), kept.show().id().clone()),
                Err(error) => error.into(),
            };
            self.into_finish()(Err(error));
        };
        sending.send(move || replica.change(changes, then));
    }

    /// Everything up to the commit is applied here, or nothing was committed.
    fn issue(self, record: Record, expires_at: StoreTime) {
        let id = self.presented.session;
        let result = self.access(&record, expires_at).map(|access| TokenPair {
            access: self.inner.hand_out(access),
            refresh: RefreshToken::sign(self.view.ring.refresh_key(), id, record.counter),
            session: Session::new(id, record, expires_at),
        });
        self.into_finish()(result);
    }

    /// The access token. A scope that was bumped since the mark refuses: sealed with the new
    /// epoch, the token of an ended session would live.
    fn access(&self, record: &Record, expires_at: StoreTime) -> Result<Token, RefreshError> {
        let Some(mut grant) = self.grant.clone() else {
            return Err(RefreshError::TryAgain);
        };
        grant.authenticated = record.authenticated(self.inner.replica.now().seconds);
        match self.inner.issue_within(&grant, expires_at) {
            Ok(Some(access)) => Ok(access),
            Ok(None) => Err(RefreshError::Expired {
                idle: expires_at < record.ends_at,
            }),
            Err(IssueError::BumpedSinceMark { .. } | IssueError::OutdatedMark) => {
                Err(RefreshError::TryAgain)
            }
            // In the future for a clock that has gone back this moment.
            Err(IssueError::StaleEpochs | IssueError::AuthenticatedInFuture) => {
                Err(RefreshError::StaleEpochs)
            }
            Err(IssueError::Random(error)) => Err(error.into()),
            Err(error) => Err(RefreshError::Grant(error)),
        }
    }
}

impl Record {
    /// The grant that is kept for refreshes that come without one.
    pub(super) fn grant(&self) -> CheckedGrant {
        CheckedGrant {
            user: self.user.clone(),
            session: None::<SessionId>,
            groups: self.groups.clone(),
            audience: self.audience.clone(),
            lifetime: self.lifetime,
            authenticated: Authenticated::NotStated,
            claims: self.claims.clone(),
            mark: None,
        }
    }
}
