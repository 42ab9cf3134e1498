//! Log-ins and refreshes under way, and what may come of them.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use epochkey::{
    Authority, Mark, Op, RefreshError, Scope, StartError, TokenPair,
    store::{EventId, RowId},
};
use parking_lot::Mutex;

use super::{
    Checked, SKEW, judge,
    ledger::Ledger,
    replica::Replica,
    rows::{Read, Stands},
    token::scopes,
    witness::Notes,
    wrong,
};

pub(crate) struct Login {
    pub(crate) process: u64,
    op: Running,
    asked: Asked,
    sealing: Arc<Sealing>,
    outcome: Option<Outcome>,
}

pub(crate) enum Running {
    Start(Op<TokenPair, StartError>),
    Refresh(Op<TokenPair, RefreshError>),
}

/// What was asked for, and how things were then.
pub(crate) struct Asked {
    pub(crate) user: String,
    /// The session and the counter of a refresh token.
    pub(crate) shown: Option<(RowId, u64)>,
    /// What the replica had applied.
    mark: EventId,
    head: Option<EventId>,
    breaks: usize,
    losses: usize,
    /// How much the replica had read of rows.
    reads: usize,
    had_ended: bool,
    /// Whether nothing stands in its way.
    is_quiet: bool,
    is_misled: bool,
    /// What the application grants, if it is asked.
    pub(crate) answer: Answer,
    /// What the session had been told of the user's proofs.
    pub(crate) told: Option<(u64, usize)>,
}

/// What an application says to a refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is not asked.
    #[default]
    Silent,
    Groups(Vec<&'static str>),
    Nothing,
}

/// Sees where a replica is when an operation finishes there: its token was sealed then.
struct Sealing {
    notes: Arc<Notes>,
    authority: Mutex<Option<Authority>>,
    sealed: Mutex<Option<Sealed>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Sealed {
    pub(crate) mark: Mark,
    pub(crate) is_fresh: bool,
    pub(crate) is_truly_fresh: bool,
    /// By the server's clock, in seconds.
    pub(crate) at: u64,
}

pub(crate) type Outcome = Result<TokenPair, &'static str>;

impl Wake for Sealing {
    fn wake(self: Arc<Self>) {
        let Some(authority) = self.authority.lock().take() else {
            return;
        };
        *self.sealed.lock() = Some(Sealed {
            mark: authority.mark(),
            is_fresh: self.notes.is_fresh(),
            is_truly_fresh: self.notes.is_truly_fresh(),
            at: self.notes.true_time().as_unix_millis() / 1000,
        });
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // Of a process that is gone, it would hold what holds it.
        self.sealing.authority.lock().take();
    }
}

fn poll<T, E>(op: &mut Op<T, E>, waker: &Waker) -> Option<Result<T, E>> {
    match Pin::new(op).poll(&mut Context::from_waker(waker)) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

impl Asked {
    /// To be called before it is asked for.
    pub(crate) fn of(
        replica: &Replica,
        user: &str,
        shown: Option<(RowId, u64)>,
        ledger: &Ledger,
    ) -> Self {
        let mut seen = replica.notes.seen.lock();
        seen.interrupted = false;
        let reads = seen.reads.len();
        drop(seen);
        let (head, session) = (ledger.head(), shown.map(|(session, _)| session));
        let ended = |head| session.is_some_and(|session| ledger.has_ended(session, head));
        Self {
            user: user.to_owned(),
            shown,
            mark: replica.applied,
            head,
            breaks: ledger.breaks(),
            losses: ledger.sessions.losses,
            reads,
            had_ended: head.is_some_and(ended),
            is_quiet: replica.is_quiet() && head == Some(replica.applied),
            is_misled: replica.asker().1,
            answer: Answer::default(),
            told: None,
        }
    }

    /// The scopes of the access token of a pair.
    pub(crate) fn scopes(&self, pair: &TokenPair) -> Vec<Scope> {
        let session = &pair.session;
        let groups: Vec<_> = match &self.answer {
            Answer::Groups(groups) => groups.clone(),
            _ => session.groups().collect(),
        };
        scopes(&self.user, Some(session.id()), &groups)
    }
}

impl Login {
    /// One that was just begun.
    pub(crate) fn new(
        process: u64,
        (authority, notes): (&Authority, &Arc<Notes>),
        op: Running,
        mut asked: Asked,
    ) -> Self {
        let interrupted = notes.seen.lock().interrupted;
        asked.is_quiet &= !interrupted;
        let sealing = Sealing {
            notes: Arc::clone(notes),
            authority: Mutex::new(Some(authority.clone())),
            sealed: Mutex::default(),
        };
        let mut login = Self {
            process,
            op,
            asked,
            sealing: Arc::new(sealing),
            outcome: None,
        };
        login.poll();
        if interrupted {
            login.was_fresh();
        }
        login
    }

    fn poll(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        let waker = Waker::from(Arc::clone(&self.sealing));
        self.outcome = match &mut self.op {
            Running::Start(op) => poll(op, &waker).map(|done| done.map_err(|error| error.label())),
            Running::Refresh(op) => {
                poll(op, &waker).map(|done| done.map_err(|error| error.label()))
            }
        };
        if self.outcome.is_some() {
            // Done before anybody could be told: now, then.
            Arc::clone(&self.sealing).wake();
        }
    }

    /// The same for one that may have finished before its time passed.
    fn was_fresh(&self) {
        if let Some(sealed) = &mut *self.sealing.sealed.lock() {
            sealed.is_fresh = true;
        }
    }

    /// What came of it, if it has finished.
    pub(crate) fn outcome(&mut self, replica: &Replica) -> Option<(Outcome, Sealed)> {
        self.asked.is_quiet &= replica.is_quiet();
        self.asked.is_misled |= replica.asker().1;
        self.poll();
        let outcome = self.outcome.take()?;
        let sealed = *self.sealing.sealed.lock();
        Some((outcome, sealed.expect("it has finished")))
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl Asked {
    fn reads(&self, replica: &Replica, session: RowId) -> Vec<Read> {
        let seen = replica.notes.seen.lock();
        let since = seen.reads.iter().skip(self.reads);
        since.filter(|read| read.id == session).cloned().collect()
    }

    /// Whether it may have failed because something else happened.
    fn has_met_something(&self, replica: &Replica, ledger: &Ledger) -> bool {
        let moved = ledger.head() != self.head
            || ledger.breaks() != self.breaks
            || ledger.sessions.losses != self.losses;
        moved || !self.is_quiet || !replica.is_quiet()
    }

    /// Whether a replica may have given this pair, sealed as of this event.
    pub(crate) fn check_pair(
        &self,
        pair: &TokenPair,
        (sealed_at, sealed): (EventId, Sealed),
        replica: &Replica,
        ledger: &Ledger,
    ) -> Checked {
        let (session, counter) = parse(pair.refresh.as_str());
        if self.answer == Answer::Nothing {
            return wrong("who is granted nothing gets nothing", format!("{session}"));
        }
        if let Some((shown, before)) = self.shown {
            let how = || {
                format!(
                    "{shown} at {before}, and got {counter} at replica {}",
                    replica.process
                )
            };
            if (session, counter) != (shown, before + 1) {
                return wrong("a refresh gives the one successor", how());
            }
            let reads = self.reads(replica, shown);
            let good =
                |read: &Read| matches!(read.stands(before), Stands::Current | Stands::Before);
            if !reads.iter().any(good) {
                let how = format!("{}, from {reads:?}", how());
                return wrong(
                    "only the current refresh token counts, and for a moment the one before",
                    how,
                );
            }
            let whole = ledger.breaks() == self.breaks;
            let ended = |at| ledger.has_ended(shown, at);
            if ended(sealed_at) || self.had_ended && whole && ledger.head().is_some_and(ended) {
                return wrong("an ended session is never refreshed", how());
            }
        }
        let scopes = self.scopes(pair);
        let at = (sealed_at, sealed.is_fresh);
        judge::issued(replica, ledger, at, &scopes, Some(self.mark), Ok(()))?;
        let before = self
            .head
            .filter(|_| !self.is_misled && ledger.breaks() == self.breaks);
        if before.is_some_and(|head| !ledger.in_force(sealed_at, head)) {
            let how = format!("{session} at replica {}", replica.process);
            return wrong(
                "a pair of tokens is sealed after all that was acknowledged before",
                how,
            );
        }
        Ok(())
    }

    /// Whether a replica may have refused with this label.
    pub(crate) fn check_refusal(
        &self,
        label: &'static str,
        hammered: bool,
        replica: &Replica,
        ledger: &Ledger,
    ) -> Checked {
        let now = Duration::from_millis(replica.notes.true_time().as_unix_millis());
        let reads = match self.shown {
            Some((session, _)) => self.reads(replica, session),
            None => Vec::new(),
        };
        let counter = self.shown.map_or(0, |(_, counter)| counter);
        let any = |how: Stands| reads.iter().any(|read| read.stands(counter) == how);
        let right = match label {
            // Who is told so has ended the session.
            "reused" => {
                let shown = self.shown.map(|(session, _)| session);
                let is_other = |read: &Read| read.stands(counter) == Stands::Other;
                reads.first().is_some_and(is_other)
                    && shown.is_none_or(|session| ledger.may_be_gone(session))
            }
            "ended" if self.answer == Answer::Nothing && !any(Stands::Gone) => {
                ledger.breaks() != self.breaks
                    || self
                        .shown
                        .is_none_or(|(session, _)| ledger.has_ended(session, replica.applied))
            }
            "ended" => {
                any(Stands::Gone)
                    && self
                        .shown
                        .is_none_or(|(session, _)| ledger.may_be_gone(session))
            }
            "expired" if any(Stands::Expired) => true,
            "expired" => reads.iter().any(|read| read.expires_before(now + SKEW)),
            "too_many_replays" => hammered && any(Stands::Before),
            // Of the moment it was asked: nothing but the key of then is looked at.
            "bad_tag" => self
                .shown
                .is_none_or(|(session, _)| ledger.is_of_another_history(session, self.mark)),
            "try_again" | "bumped_meanwhile" | "stale_epochs" | "store" => {
                self.has_met_something(replica, ledger)
            }
            _ => false,
        };
        if right {
            return Ok(());
        }
        let how = format!(
            "{label} to {:?} of {} at replica {}, which read {reads:?}",
            self.shown, self.user, replica.process
        );
        wrong(
            "an honest client is not refused, and others for the right reason",
            how,
        )
    }
}

/// The session and the counter that a refresh token names.
pub(crate) fn parse(refresh: &str) -> (RowId, u64) {
    let mut parts = refresh.split('.').skip(1);
    let session = super::rows::row_of(parts.next().unwrap());
    (session, parts.next().unwrap().parse().unwrap())
}
