//! What was asked for, what was acknowledged, and what follows from both.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use epochkey::{Epoch, RefreshError, RefreshToken, Scope, SessionId, Token};

use super::super::fleet::MAX_STALENESS;
use crate::random::Random;

/// What a change revokes: the tokens of a scope, or all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Revokes {
    Scope(Scope),
    All,
}

/// A change that was asked for. Without an acknowledgement it may be made at any time.
#[derive(Debug, Clone)]
struct Attempt {
    begun: Instant,
    done: Option<Done>,
}

#[derive(Debug, Clone)]
struct Done {
    ended: Instant,
    position: u64,
    at: usize,
}

/// What a change is called until it ends.
pub(super) struct Begun(Vec<(Revokes, usize)>);

/// A token, and what its seal was made of.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) token: Token,
    pub(super) scopes: Vec<Scope>,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) knows: Knows,
}

/// Which changes the replica knew that issued a token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Knows {
    /// Those up to this position.
    UpTo(u64),
    /// Those that were acknowledged to anybody before it began.
    All,
}

/// A moment at which something is asked of a replica.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: usize,
    pub(super) begun: Instant,
    /// How old the news was there.
    pub(super) age: Option<Duration>,
    /// What was in force there.
    pub(super) position: u64,
}

/// One device.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) user: String,
    pub(super) session: SessionId,
    pub(super) token: RefreshToken,
    /// Of its access tokens, besides the session.
    pub(super) scopes: Vec<Scope>,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) is_over: bool,
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<State>);

#[derive(Default)]
struct State {
    attempts: HashMap<Revokes, Vec<Attempt>>,
    epochs: Vec<Epoch>,
    tokens: Vec<Arc<Issued>>,
    clients: Vec<Arc<Mutex<Client>>>,
    violation: Option<String>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// To be called before it is asked for.
    pub(super) fn begin(&self, revokes: impl IntoIterator<Item = Revokes>) -> Begun {
        let mut state = self.lock();
        let attempt = Attempt {
            begun: Instant::now(),
            done: None,
        };
        let mut begin = |revokes: Revokes| {
            let attempts = state.attempts.entry(revokes.clone()).or_default();
            attempts.push(attempt.clone());
            (revokes, attempts.len() - 1)
        };
        Begun(revokes.into_iter().map(&mut begin).collect())
    }

    /// It was acknowledged by a replica.
    pub(super) fn done(&self, begun: Begun, at: usize, epochs: &[Epoch]) {
        let mut state = self.lock();
        let ended = Instant::now();
        for ((revokes, number), epoch) in begun.0.iter().zip(epochs) {
            let position = epoch.position();
            let attempts = state.attempts.get_mut(revokes).unwrap();
            attempts[*number].done = Some(Done {
                ended,
                position,
                at,
            });
        }
        state.epochs.extend(epochs);
    }

    pub(super) fn issued(&self, issued: Issued) {
        self.lock().tokens.push(Arc::new(issued));
    }

    pub(super) fn started(&self, client: Client) {
        self.lock().clients.push(Arc::new(Mutex::new(client)));
    }

    pub(super) fn tokens(&self) -> Vec<Arc<Issued>> {
        self.lock().tokens.clone()
    }

    pub(super) fn clients(&self) -> Vec<Arc<Mutex<Client>>> {
        self.lock().clients.clone()
    }

    /// A token, more often than not one of the last.
    pub(super) fn any_token(&self, random: &mut Random) -> Option<Arc<Issued>> {
        let state = self.lock();
        let from = match random.chance(70) {
            true => state.tokens.len().saturating_sub(100),
            false => 0,
        };
        let some = &state.tokens[from..];
        (!some.is_empty()).then(|| Arc::clone(random.pick(some)))
    }

    pub(super) fn any_client(&self, random: &mut Random) -> Option<Arc<Mutex<Client>>> {
        let state = self.lock();
        let from = state.clients.len().saturating_sub(40);
        let some = &state.clients[from..];
        (!some.is_empty()).then(|| Arc::clone(random.pick(some)))
    }

    pub(super) fn any_epoch(&self, random: &mut Random) -> Option<Epoch> {
        let state = self.lock();
        let from = state.epochs.len().saturating_sub(10);
        let some = &state.epochs[from..];
        (!some.is_empty()).then(|| *random.pick(some))
    }

    pub(super) fn violate(&self, violation: String) {
        self.lock().violation.get_or_insert(violation);
    }

    pub(super) fn violation(&self) -> Option<String> {
        self.lock().violation.clone()
    }

    pub(super) fn is_violated(&self) -> bool {
        self.lock().violation.is_some()
    }
}

/// The judge.
impl Ledger {
    /// Of a verify that is over, with `good` or why not.
    pub(super) fn judge(&self, asked: Asked, issued: &Issued, outcome: &'static str) {
        let mut state = self.lock();
        let scopes = issued.scopes.iter().cloned().map(Revokes::Scope);
        let wrong = state.is_too_young(asked);
        let wrong = wrong.or_else(|| match outcome {
            "good" => {
                let mut all = scopes.chain([Revokes::All]);
                all.find_map(|revokes| state.must_be_in_force(asked, issued, &revokes))
            }
            "stale_epochs" => None,
            "revoked" => state.is_blameless(issued, scopes),
            "unknown_key" if state.may_lack_a_swap(asked) => None,
            "unknown_key" => state.is_blameless(issued, [Revokes::All]),
            _ => Some("nothing else is wrong with it".to_owned()),
        });
        if let Some(wrong) = wrong {
            let violation = format!("{outcome} at {asked:?}: {wrong}\n{issued:#?}");
            state.violation.get_or_insert(violation);
        }
    }

    /// Of a refresh that is over.
    pub(super) fn judge_refresh<T>(
        &self,
        asked: Asked,
        client: &Client,
        refreshed: &Result<T, RefreshError>,
    ) {
        let mut state = self.lock();
        let ends = [Scope::user(&client.user), Scope::session(&client.session)];
        let mut ends = ends.into_iter().map(Revokes::Scope);
        let wrong = match refreshed {
            Ok(_) if client.is_over => Some("it was over".to_owned()),
            Ok(_) => ends.find_map(|end| state.is_ended(asked, client, &end)),
            Err(RefreshError::Ended) => {
                let may_end = |end| {
                    let attempts = state.attempts.get(&end).into_iter().flatten();
                    let mut may = attempts.filter(|attempt| !attempt.is_before(client.begun));
                    may.next().is_some()
                };
                (!client.is_over && !ends.any(may_end)).then(|| "nobody ended it".to_owned())
            }
            Err(error) if error.is_transient() => None,
            Err(error) => Some(format!("{error:?}")),
        };
        if let Some(wrong) = wrong {
            let violation = format!("a refresh at {asked:?}: {wrong}\n{client:#?}");
            state.violation.get_or_insert(violation);
        }
    }
}

impl State {
    /// An acknowledged change that should have made this token bad.
    fn must_be_in_force(&self, asked: Asked, issued: &Issued, revokes: &Revokes) -> Option<String> {
        let mut attempts = self.attempts.get(revokes).into_iter().flatten();
        let found = attempts.find(|attempt| {
            attempt.begun > issued.ended
                && attempt.done.as_ref().is_some_and(|done| {
                    let here = done.at == asked.at && done.ended < asked.begun;
                    let applied = done.position <= asked.position;
                    here || applied || done.ended + MAX_STALENESS < asked.begun
                })
        });
        found.map(|attempt| format!("{revokes:?} was bumped: {attempt:?}"))
    }

    /// None if something may have revoked the token.
    fn is_blameless(
        &self,
        issued: &Issued,
        revokes: impl IntoIterator<Item = Revokes>,
    ) -> Option<String> {
        let mut attempts = revokes.into_iter().flat_map(|revokes| {
            let attempts = self.attempts.get(&revokes);
            attempts.into_iter().flatten()
        });
        let may_revoke = attempts.any(|attempt| match (&attempt.done, issued.knows) {
            (None, _) => true,
            (Some(done), Knows::UpTo(position)) => done.position > position,
            (Some(_), Knows::All) => !attempt.is_before(issued.begun),
        });
        (!may_revoke).then(|| "nobody revoked it".to_owned())
    }

    /// An acknowledged change that the news of a replica should have had.
    fn is_too_young(&self, asked: Asked) -> Option<String> {
        let age = asked.age?;
        let missed = |done: &&Done| {
            let elapsed = asked.begun.saturating_duration_since(done.ended);
            done.position > asked.position && age < elapsed
        };
        let attempts = self.attempts.values().flatten();
        let found = attempts
            .filter_map(|attempt| attempt.done.as_ref())
            .find(missed);
        found.map(|done| format!("its news should have had {done:?}"))
    }

    /// A replica that was not told of a swap does not know the key of today.
    fn may_lack_a_swap(&self, asked: Asked) -> bool {
        let mut swaps = self.attempts.get(&Revokes::All).into_iter().flatten();
        swaps.any(|swap| {
            let done = swap.done.as_ref();
            done.is_none_or(|done| done.position > asked.position)
        })
    }

    /// An acknowledged change that has ended the session.
    fn is_ended(&self, asked: Asked, client: &Client, end: &Revokes) -> Option<String> {
        let mut attempts = self.attempts.get(end).into_iter().flatten();
        let found =
            attempts.find(|attempt| attempt.begun > client.ended && attempt.is_before(asked.begun));
        found.map(|attempt| format!("{end:?}: {attempt:?}"))
    }
}

impl Attempt {
    /// Whether it was acknowledged before this.
    fn is_before(&self, moment: Instant) -> bool {
        self.done.as_ref().is_some_and(|done| done.ended < moment)
    }
}
