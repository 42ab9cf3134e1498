//! What is tried.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use epochkey::{Grant, Scope, Token, TokenPair, Verified, VerifyError};

use super::{
    super::fleet::Replica,
    Tally, World, count,
    ledger::{Asked, Client, Issued, Knows, Revokes},
};
use crate::random::Random;

/// So many at a time. They change, for after an attempt that failed little is known of a user.
const USERS: usize = 16;
/// After so many bumps one user is replaced by another.
const BUMPS: u64 = 8;
const GROUPS: usize = 3;
/// How many verified tokens each thread keeps, to recheck them.
const REMEMBERED: usize = 30;
/// After each operation, for the others' sake.
const PAUSE: Duration = Duration::from_micros(300);

/// All users there have been.
pub(super) fn users(world: &World<'_>) -> impl Iterator<Item = String> {
    (0..first_user(world) + USERS).map(|number| format!("u-{number}"))
}

/// The first of those that are there now.
fn first_user(world: &World<'_>) -> usize {
    let Tally {
        bumps,
        failed_bumps,
        ..
    } = &world.tally;
    let bumps = bumps.load(Ordering::SeqCst) + failed_bumps.load(Ordering::SeqCst);
    usize::try_from(bumps / BUMPS).unwrap()
}

pub(super) struct Worker<'a> {
    world: &'a World<'a>,
    at: usize,
    random: Random,
    /// What could be rechecked.
    verified: Vec<(Arc<Issued>, Verified)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(world: &'a World<'a>, at: usize, seed: u64) -> Self {
        Self {
            world,
            at,
            random: Random::new(seed),
            verified: Vec::new(),
        }
    }

    fn replica(&self) -> &'a Replica {
        &self.world.replicas[self.at]
    }

    pub(super) fn asked(&self) -> Asked {
        let (begun, authority) = (Instant::now(), &self.replica().authority);
        // Read in this order: news that is asked for in between is younger, and has more.
        let age = authority.freshness().age();
        Asked {
            at: self.at,
            begun,
            age,
            position: authority.stats().position,
        }
    }

    /// Asks for what waits for the store.
    pub(super) fn change(&mut self) {
        while !self.world.is_over() {
            match self.random.below(1000) {
                0..200 => self.bump(),
                200..240 => self.bump_group(),
                240..246 => self.rotate(),
                246..250 => self.swap(),
                250..450 => self.start(),
                450..750 => self.refresh(),
                750..830 => self.end(),
                830..900 => self.wait_for(),
                _ => self.issue_caught_up(),
            }
            thread::sleep(PAUSE);
        }
    }

    /// Asks for what waits for nobody.
    pub(super) fn look(&mut self) {
        while !self.world.is_over() {
            match self.random.below(100) {
                0..12 => self.issue(),
                12..80 => self.verify(),
                _ => self.recheck(),
            }
            thread::sleep(PAUSE);
        }
    }

    fn grant(&mut self) -> (Grant, Vec<Scope>) {
        let user = self.user();
        let (mut grant, mut scopes) = (Grant::user(&user), vec![Scope::user(&user)]);
        if self.random.chance(30) {
            let group = self.group();
            grant = grant.group(group.id());
            scopes.push(group);
        }
        (grant, scopes)
    }

    fn user(&mut self) -> String {
        let number = first_user(self.world) + self.random.below(USERS);
        format!("u-{number}")
    }

    fn group(&mut self) -> Scope {
        Scope::group(format!("g-{}", self.random.below(GROUPS)))
    }

    fn issue(&mut self) {
        let (grant, scopes) = self.grant();
        let Asked {
            begun, position, ..
        } = self.asked();
        if let Ok(token) = self.replica().authority.issue(grant) {
            self.issued(token, scopes, begun, Knows::UpTo(position));
        }
    }

    fn issue_caught_up(&mut self) {
        let (grant, scopes) = self.grant();
        let begun = Instant::now();
        if let Ok(mark) = self.replica().authority.catch_up().wait()
            && let Ok(token) = self.replica().authority.issue(grant.as_of(mark))
        {
            self.issued(token, scopes, begun, Knows::All);
        }
    }

    fn issued(&self, token: Token, scopes: Vec<Scope>, begun: Instant, knows: Knows) {
        self.world.ledger.issued(Issued {
            token,
            scopes,
            begun,
            ended: Instant::now(),
            knows,
        });
    }

    fn pair_issued(&self, pair: &TokenPair, scopes: Vec<Scope>, begun: Instant) {
        let scopes = [scopes, vec![Scope::session(pair.session.id())]].concat();
        self.issued(pair.access.clone(), scopes, begun, Knows::All);
    }

    fn bump(&mut self) {
        let user = Scope::user(self.user());
        self.bump_all(vec![user]);
    }

    fn bump_group(&mut self) {
        let user = Scope::user(self.user());
        let scopes = [vec![self.group()], vec![self.group(), user]];
        let scopes = self.random.pick(&scopes).clone();
        self.bump_all(scopes);
    }

    fn bump_all(&mut self, scopes: Vec<Scope>) {
        let revokes = scopes.iter().cloned().map(Revokes::Scope);
        let begun = self.world.ledger.begin(revokes);
        match self.replica().authority.bump_many(scopes).wait() {
            Ok(epochs) => {
                self.world.ledger.done(begun, self.at, &epochs);
                count(&self.world.tally.bumps);
            }
            Err(_) => count(&self.world.tally.failed_bumps),
        }
    }

    fn rotate(&mut self) {
        let _ = self.replica().authority.rotate_key().wait();
    }

    fn swap(&mut self) {
        let begun = self.world.ledger.begin([Revokes::All]);
        if let Ok(epoch) = self.replica().authority.swap_key().wait() {
            self.world.ledger.done(begun, self.at, &[epoch]);
        }
    }

    fn start(&mut self) {
        let (grant, scopes) = self.grant();
        let begun = Instant::now();
        let sessions = self.replica().authority.sessions();
        if let Ok(pair) = sessions.start(grant, "").wait() {
            self.world.ledger.started(Client {
                user: pair.session.user().to_owned(),
                session: pair.session.id().clone(),
                token: pair.refresh.clone(),
                scopes: scopes.clone(),
                begun,
                ended: Instant::now(),
                is_over: false,
            });
            self.pair_issued(&pair, scopes, begun);
        }
    }

    /// One request of a client at a time.
    fn refresh(&mut self) {
        if let Some(client) = self.world.ledger.any_client(&mut self.random)
            && let Ok(mut client) = client.try_lock()
            && (!client.is_over || self.random.chance(10))
        {
            self.refresh_for(&mut client);
        }
    }

    /// False if it is to be tried again.
    pub(super) fn refresh_for(&self, client: &mut Client) -> bool {
        let asked = self.asked();
        let sessions = self.replica().authority.sessions();
        let refreshed = sessions.refresh(&client.token).wait();
        let ledger = &self.world.ledger;
        ledger.judge_refresh(asked, client, &refreshed);
        match refreshed {
            Ok(pair) => {
                count(&self.world.tally.refreshes);
                client.token = pair.refresh.clone();
                self.pair_issued(&pair, client.scopes.clone(), asked.begun);
                true
            }
            Err(error) => {
                count(&self.world.tally.failed_refreshes);
                client.is_over |= error.needs_log_in();
                error.needs_log_in()
            }
        }
    }

    fn end(&mut self) {
        let Some(client) = self.world.ledger.any_client(&mut self.random) else {
            return;
        };
        // It may be in the middle of a refresh.
        let Ok(session) = client.try_lock().map(|client| client.session.clone()) else {
            return;
        };
        self.bump_all(vec![Scope::session(&session)]);
    }

    fn wait_for(&mut self) {
        if let Some(epoch) = self.world.ledger.any_epoch(&mut self.random)
            && self.replica().authority.wait_for(epoch).wait().is_ok()
            && self.asked().position < epoch.position()
        {
            let violation = format!("{epoch:?} is not in force at {}", self.at);
            self.world.ledger.violate(violation);
        }
    }

    fn verify(&mut self) {
        let Some(issued) = self.world.ledger.any_token(&mut self.random) else {
            return;
        };
        if let Some(verified) = self.verify_of(&issued).0 {
            let place = self.random.below(REMEMBERED);
            match self.verified.get_mut(place) {
                Some(other) => *other = (issued, verified),
                None => self.verified.push((issued, verified)),
            }
        }
    }

    /// What it is, and the outcome's name.
    pub(super) fn verify_of(&self, issued: &Issued) -> (Option<Verified>, &'static str) {
        let asked = self.asked();
        let verified = self.replica().authority.verify(&issued.token);
        let outcome = verified
            .as_ref()
            .map_or_else(VerifyError::label, |_| "good");
        self.judge(asked, issued, outcome);
        (verified.ok(), outcome)
    }

    fn recheck(&mut self) {
        if self.verified.is_empty() {
            return;
        }
        let (issued, verified) = self.random.pick(&self.verified);
        let asked = self.asked();
        let rechecked = self.replica().authority.recheck(verified);
        let outcome = rechecked
            .as_ref()
            .map_or_else(VerifyError::label, |()| "good");
        self.judge(asked, issued, outcome);
    }

    fn judge(&self, asked: Asked, issued: &Issued, outcome: &'static str) {
        let tally = &self.world.tally;
        count(match outcome {
            "good" => &tally.good,
            "stale_epochs" => &tally.stale,
            _ => &tally.dead,
        });
        self.world.ledger.judge(asked, issued, outcome);
    }
}
