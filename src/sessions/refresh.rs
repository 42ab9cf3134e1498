//! A refresh: from one pair of tokens to the next.

use std::sync::Arc;

use super::{
    RefreshToken, Session, TokenPair,
    judge::{Verdict, judge},
    record::{Clear, Record},
    refresh_token::Presented,
    rows::{Kept, View},
};
use crate::{
    Authority, Grant, IssueError, Mark, Op, RefreshError, SessionId,
    authority::Inner,
    grant::{Authenticated, CheckedGrant},
    replica::Changes,
    store::{Refusal, RowVersion, Rows, SessionChange, StoreTime},
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
    grant: Option<CheckedGrant>,
    turns: u32,
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
        grant: None,
        turns: 0,
        finish: Box::new(finish),
    };
    refresh.read();
    op
}

impl Refresh {
    /// Without the rest, which holds the store: whoever has the result may open it again.
    fn into_finish(self) -> Finish {
        self.finish
    }

    fn read(self) {
        let (inner, view) = (Arc::clone(&self.inner), self.view.clone());
        let rows = Rows::One(self.presented.session);
        view.ask(&inner, rows, move |answer| match answer {
            Ok((mut rows, now)) => match rows.pop() {
                Some(kept) => self.judge(kept, now),
                None => self.into_finish()(Err(RefreshError::Ended)),
            },
            Err(error) => self.into_finish()(Err(error.into())),
        });
    }

    fn judge(self, kept: Kept, now: StoreTime) {
        let counter = self.presented.counter;
        match judge(&kept.row, &kept.record, counter, now, &self.inner.policy) {
            Verdict::Rotate => self.rotate(kept, now),
            Verdict::Replay => self.replay(kept, now),
            // Overtaken between its own read and commit: only what the first read showed is
            // judged.
            Verdict::Reuse if self.turns > 0 => self.into_finish()(Err(RefreshError::TryAgain)),
            Verdict::Reuse => self.reuse(kept),
            Verdict::Idle => self.into_finish()(Err(RefreshError::Expired { idle: true })),
            Verdict::Over => self.into_finish()(Err(RefreshError::Expired { idle: false })),
        }
    }

    /// The grant of this refresh, with what the session alone decides. `false` if the
    /// application grants nothing.
    fn ask_for_grant(&mut self, kept: &Kept) -> Result<bool, RefreshError> {
        if self.grant.is_some() {
            return Ok(true);
        }
        let session = kept.show();
        let mut grant = match self.grant_of.take() {
            Some(grant_of) => match grant_of(&session) {
                Some(grant) => grant.check().map_err(RefreshError::Grant)?,
                None => return Ok(false),
            },
            None => kept.record.grant(),
        };
        grant.user.clone_from(&kept.record.user);
        grant.session = Some(session.id().clone());
        grant.mark = Some(self.mark);
        self.grant = Some(grant);
        Ok(true)
    }

    fn rotate(mut self, kept: Kept, now: StoreTime) {
        match self.ask_for_grant(&kept) {
            Ok(true) => {}
            Ok(false) => return self.end(kept, |_, _| RefreshError::Ended),
            Err(error) => return self.into_finish()(Err(error)),
        }
        let (record, expires_at) = self.next(&kept.record, now);
        let changes = match self.changes(&kept, &record, expires_at) {
            Ok(changes) => changes,
            Err(error) => return self.into_finish()(Err(error)),
        };
        let replica = Arc::clone(&self.inner.replica);
        replica.change(changes, move |done| match done {
            Ok(_) => self.issue(record, expires_at),
            Err(error) if error.refusal() == Some(Refusal::Session) => self.turn(),
            Err(error) => self.into_finish()(Err(error.into())),
        });
    }

    /// What the session is after this refresh.
    fn next(&self, record: &Record, now: StoreTime) -> (Record, StoreTime) {
        let mut next = record.clone();
        next.counter = record.counter.saturating_add(1);
        next.used_at = now;
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

    fn changes(
        &self,
        kept: &Kept,
        record: &Record,
        expires_at: StoreTime,
    ) -> Result<Changes, RefreshError> {
        let random = &*self.inner.replica.source().random;
        let clear = Clear {
            id: kept.id(),
            user: kept.row.row.user,
            version: RowVersion::draw(random)?,
            expires_at,
        };
        let row = record
            .clone()
            .into_row(clear, self.view.ring.row_key(), random)?;
        let rotates = record.counter != kept.record.counter;
        Ok(Changes {
            ring: Arc::clone(&self.view.ring),
            newest_key: None,
            changes: Vec::new(),
            sessions: vec![SessionChange::Replace {
                row,
                expected: kept.row.row.version,
                rotates,
            }],
        })
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
            return self.into_finish()(Err(RefreshError::TooManyReplays));
        }
        match self.ask_for_grant(&kept) {
            Ok(true) => {}
            Ok(false) => return self.end(kept, |_, _| RefreshError::Ended),
            Err(error) => return self.into_finish()(Err(error)),
        }
        let expires_at = kept.row.row.expires_at;
        self.issue(kept.record, expires_at);
    }

    /// Theft, or a loss of the store.
    fn reuse(self, kept: Kept) {
        let observer = self.inner.replica.observer_to_keep();
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
        let replica = Arc::clone(&self.inner.replica);
        replica.change(changes, move |done| {
            let error = match done {
                Ok(_) => because(kept.record.user.clone(), kept.show().id().clone()),
                Err(error) => error.into(),
            };
            self.into_finish()(Err(error));
        });
    }

    /// Everything up to the commit is applied here, or nothing was committed. A scope that was
    /// bumped since the mark refuses: sealed with the new epoch, the token of an ended session
    /// would live.
    fn issue(mut self, record: Record, expires_at: StoreTime) {
        let Some(mut grant) = self.grant.take() else {
            return self.into_finish()(Err(RefreshError::TryAgain));
        };
        grant.authenticated = Authenticated::At(crate::clock::since_epoch(record.authenticated_at));
        let id = self.presented.session;
        let result = match self.inner.issue_within(&grant, expires_at) {
            Ok(None) => Err(RefreshError::Expired { idle: false }),
            Ok(Some(access)) => Ok(TokenPair {
                access,
                refresh: RefreshToken::sign(self.view.ring.refresh_key(), id, record.counter),
                session: Session::new(id, record, expires_at),
            }),
            Err(IssueError::BumpedSinceMark { .. } | IssueError::OutdatedMark) => {
                Err(RefreshError::TryAgain)
            }
            Err(IssueError::StaleEpochs) => Err(RefreshError::StaleEpochs),
            Err(error) => Err(RefreshError::Grant(error)),
        };
        self.into_finish()(result);
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
