//! Operations under way, and what must be true when they say that they are done.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use epochkey::{
    BumpError, Epoch, Mark, Op, ReplicaStatus, RotateError, Scope, SessionError, StoreError,
    SwapError,
    store::{EventId, RowId},
};

use super::{Checked, Wrong, ledger::Ledger, replica::Replica, token::Minted, wrong};

const KEPT: &str = "what is done was kept at the position that is told";
pub(crate) const DONE: &str = "what nothing stands in the way of is done";

/// Answers that are no failures.
const LOST: &str =
    "the store acknowledged the event and lost it; all tokens from before are refused";
const OVERTAKEN: &str = "another rotation or swap came first, so this one was not made";
const ENDED: &str = "there is no such session";

pub(crate) struct Operation {
    pub(crate) process: u64,
    op: Running,
    /// The events it commits, as far as they are known yet.
    events: Vec<EventId>,
    kills: Kills,
    /// How many tokens there were when it began.
    tokens: usize,
    /// The head of the log when it began.
    head: Option<EventId>,
    /// How often the log had been broken off by then.
    breaks: usize,
    /// Whether the store kept its event at some time since it began.
    was_kept: bool,
    /// Whether what its replica was told could be old.
    pub(crate) was_misled: bool,
    /// What its replica had applied, if nothing has stood in its way since.
    in_quiet: Option<EventId>,
}

/// Which of the tokens from before it must be dead when it is done.
pub(crate) enum Kills {
    None,
    WithOneOf(Vec<Scope>),
    All,
}

pub(crate) enum Running {
    Bump(Op<Epoch, BumpError>),
    BumpMany(Op<Vec<Epoch>, BumpError>),
    Rotate(Op<Epoch, RotateError>),
    Swap(Op<Epoch, SwapError>),
    StartOver(Op<Epoch, StoreError>),
    WaitFor(Op<Epoch, StoreError>),
    CatchUp(Op<Mark, StoreError>),
    Rewrap(Op<(), StoreError>),
    /// Of this session.
    EndOthers(Op<(), SessionError>, RowId),
    Everywhere(Op<Vec<ReplicaStatus>, StoreError>),
}

/// What a finished operation gave.
pub(crate) enum Gave {
    Epochs(Vec<Epoch>),
    Mark(Mark),
    /// It is done, and there is nothing to tell of it.
    Done,
    Rewrapped,
    /// No replica accepts what its event has killed.
    Everywhere,
    Nothing,
}

fn poll<T, E: Error + 'static>(op: &mut Op<T, E>) -> Option<Result<T, String>> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(op).poll(&mut context) {
        Poll::Ready(result) => Some(result.map_err(|error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })),
        Poll::Pending => None,
    }
}

impl Running {
    fn poll(&mut self) -> Option<Result<Gave, String>> {
        let one = |epoch: Result<Epoch, _>| epoch.map(|epoch| Gave::Epochs(vec![epoch]));
        match self {
            Running::Bump(op) => poll(op).map(one),
            Running::BumpMany(op) => poll(op).map(|epochs| epochs.map(Gave::Epochs)),
            Running::Rotate(op) => poll(op).map(one),
            Running::Swap(op) => poll(op).map(one),
            Running::StartOver(op) | Running::WaitFor(op) => poll(op).map(one),
            Running::CatchUp(op) => poll(op).map(|mark| mark.map(Gave::Mark)),
            Running::Rewrap(op) => poll(op).map(|done| done.map(|()| Gave::Rewrapped)),
            Running::EndOthers(op, _) => poll(op).map(|done| done.map(|()| Gave::Done)),
            Running::Everywhere(op) => poll(op).map(|done| done.map(|_| Gave::Everywhere)),
        }
    }
}

impl Operation {
    /// An operation that `replica` has begun, when there were so many tokens and this was
    /// the head of the log.
    pub(crate) fn new(
        replica: &Replica,
        op: Running,
        events: Vec<EventId>,
        kills: Kills,
        begun: (usize, Option<EventId>),
        ledger: &Ledger,
    ) -> Self {
        let is_quiet = replica.is_quiet() && ledger.keeps(replica.applied);
        Self {
            in_quiet: is_quiet.then_some(replica.applied),
            ..Self::begun_by(replica.asker(), op, events, kills, begun, ledger)
        }
    }

    pub(crate) fn begun_by(
        (process, was_misled): (u64, bool),
        op: Running,
        events: Vec<EventId>,
        kills: Kills,
        (tokens, head): (usize, Option<EventId>),
        ledger: &Ledger,
    ) -> Self {
        Self {
            process,
            op,
            was_kept: events.iter().all(|event| ledger.keeps(*event)),
            events,
            kills,
            tokens,
            head,
            breaks: ledger.breaks(),
            was_misled,
            in_quiet: None,
        }
    }

    /// To be called whenever the store changed.
    pub(crate) fn look(&mut self, ledger: &Ledger) {
        self.was_kept |= self.events.iter().all(|event| ledger.keeps(*event));
    }

    /// To be called after every step, with its replica. `excused` if the server's clock was wrong
    /// at some time.
    pub(crate) fn look_at(&mut self, replica: &Replica, excused: bool) {
        self.was_misled |= replica.asker().1;
        self.in_quiet = self.in_quiet.filter(|_| replica.is_quiet() && !excused);
    }

    /// Whether it may wait for replicas that are gone.
    pub(crate) fn waits_for_the_silent(&self) -> bool {
        matches!(self.op, Running::Everywhere(_))
    }

    /// The events that it commits or waits for.
    pub(crate) fn events(&self) -> impl Iterator<Item = EventId> {
        self.events.iter().copied()
    }

    /// What it gave, if it has finished; after checking that it was right to.
    pub(crate) fn result(
        &mut self,
        replica: &mut Replica,
        tokens: &[Minted],
        ledger: &Ledger,
    ) -> Option<Result<(Gave, Vec<EventId>), Wrong>> {
        let gave = self.op.poll()?;
        let gave = match gave {
            Ok(gave) => gave,
            Err(error) => {
                let failed = self.check_failure(&error, ledger);
                return Some(failed.map(|()| (Gave::Nothing, Vec::new())));
            }
        };
        let checked = match &gave {
            Gave::Epochs(epochs) => self.check_epochs(epochs, replica, tokens, ledger),
            Gave::Mark(_) => self.check_caught_up(replica, ledger),
            Gave::Done => {
                self.bury(replica, tokens);
                Ok(())
            }
            Gave::Everywhere => self.check_everywhere(replica, ledger),
            Gave::Rewrapped | Gave::Nothing => Ok(()),
        };
        let events = self.events.clone();
        Some(checked.map(|()| (gave, events)))
    }

    /// It fails only if something stood in its way, or if that is the answer.
    fn check_failure(&self, error: &str, ledger: &Ledger) -> Checked {
        let Some(applied) = self.in_quiet.filter(|_| self.breaks == ledger.breaks()) else {
            return Ok(());
        };
        let newest_key = |at| ledger.state(at).ring.last().copied();
        let another_came = |head| newest_key(head) != newest_key(applied);
        let right = match (error, &self.op) {
            (LOST, _) => self.events.iter().any(|event| !ledger.keeps(*event)),
            (OVERTAKEN, _) => {
                let was_made = self.events.iter().any(|event| ledger.knows(*event));
                !was_made && ledger.head().is_some_and(another_came)
            }
            (ENDED, Running::EndOthers(_, session)) => ledger.may_be_gone(*session),
            _ => false,
        };
        if !right {
            let how = format!("{error}, at replica {}", self.process);
            return wrong(DONE, how);
        }
        Ok(())
    }

    fn check_epochs(
        &mut self,
        epochs: &[Epoch],
        replica: &mut Replica,
        tokens: &[Minted],
        ledger: &Ledger,
    ) -> Checked {
        if matches!(self.op, Running::StartOver(_)) {
            let begun = epochs.iter().filter_map(|epoch| ledger.first_event(*epoch));
            self.events = begun.collect();
        }
        if self.events.len() != epochs.len() {
            return wrong(KEPT, format!("{epochs:?}"));
        }
        for (event, epoch) in self.events.iter().zip(epochs) {
            self.check_epoch(*event, *epoch, replica, ledger)?;
            if !replica.has_in_force(*event, ledger) {
                return Ok(());
            }
        }
        self.bury(replica, tokens);
        Ok(())
    }

    /// What it has killed is dead where it was done.
    fn bury(&self, replica: &mut Replica, tokens: &[Minted]) {
        let before = tokens.iter().enumerate().take(self.tokens);
        let killed = before.filter(|(_, token)| match &self.kills {
            Kills::None => false,
            Kills::WithOneOf(scopes) => scopes.iter().any(|scope| token.scopes.contains(scope)),
            Kills::All => true,
        });
        replica.dead.extend(killed.map(|(number, _)| number));
    }

    fn check_epoch(
        &self,
        event: EventId,
        epoch: Epoch,
        replica: &Replica,
        ledger: &Ledger,
    ) -> Checked {
        if !ledger.knows(event) {
            return wrong(KEPT, format!("{epoch:?}"));
        }
        let place = ledger.place(event);
        if format!("{epoch:?}") != format!("Epoch({} of {})", place.position, place.history) {
            return wrong(KEPT, format!("{epoch:?} is at {place:?}"));
        }
        // Of what is so old the store need not know what became of it: every token that it
        // could concern is dead.
        let committed_at = ledger.committed_at(event).as_unix_millis();
        let now = replica.notes.true_time().as_unix_millis();
        if self.was_misled || now.saturating_sub(committed_at) > 3_600_000 {
            return Ok(());
        }
        if !replica.has_in_force(event, ledger) {
            let (process, applied) = (replica.process, ledger.place(replica.applied));
            return wrong(
                "what is done is in force where it was done",
                format!("{epoch:?} at replica {process}, which is at {applied:?}"),
            );
        }
        match self.op {
            Running::WaitFor(_) if !self.was_kept => wrong(
                "nobody is told that a lost event is in force",
                format!("{epoch:?}"),
            ),
            _ => Ok(()),
        }
    }

    fn check_everywhere(&self, replica: &Replica, ledger: &Ledger) -> Checked {
        let missing = |event: &&EventId| !replica.has_in_force(**event, ledger);
        match self.events.iter().find(missing) {
            Some(event) if !self.was_misled => wrong(
                "what is in force everywhere is in force where that was asked",
                format!("{:?} at replica {}", ledger.place(*event), self.process),
            ),
            _ => Ok(()),
        }
    }

    /// Whatever was acknowledged before the call is in force, unless something was lost.
    fn check_caught_up(&self, replica: &Replica, ledger: &Ledger) -> Checked {
        let Some(head) = self.head else { return Ok(()) };
        let broken = self.breaks != ledger.breaks();
        if broken || self.was_misled || replica.has_in_force(head, ledger) {
            return Ok(());
        }
        let (process, applied) = (replica.process, ledger.place(replica.applied));
        let head = ledger.place(head);
        wrong(
            "who has caught up has applied what was acknowledged before",
            format!("replica {process} at {applied:?}, with {head:?}"),
        )
    }
}
