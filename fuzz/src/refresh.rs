//! `Sessions::refresh`, given any text, and in every order, against a model of sessions.

use std::time::Duration;

use epochkey::{
    Authority, Grant, MemoryStore, Op, Policy, RefreshError, Scope, Token, TokenPair, WhenFull,
    testing::{self, ManualClock, expose_secrets},
};

use super::{
    input::Input,
    known::{self, NOW},
    reference::{RefreshToken, decode, encode},
};

const GRACE: u64 = 10_000;
const IDLE: u64 = 100_000;
const LIFETIME: u64 = 250_000;
const MOST_REPLAYS: u32 = 100;
/// Enough for more replays than are allowed.
const MOST_STEPS: u32 = MOST_REPLAYS + 28;
const USERS: [&str; 2] = ["u", "v"];
/// In milliseconds: around the window and the ends of sessions.
const PASSES: [u64; 8] = [1, 500, 9_999, 10_000, 10_001, 50_000, 99_999, 100_000];

/// Every refresh comes out as the model says: what is not the very token is refused, the
/// current one is rotated, the one before gives the same successor for a while, and any
/// other ends the session.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut run = Run::new();
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
    }
    run.check_all();
}

struct Run {
    clock: ManualClock,
    authority: Authority,
    refresh_key: [u8; 32],
    /// In milliseconds.
    now: u64,
    sessions: Vec<Modelled>,
}

struct Modelled {
    id: [u8; 16],
    user: &'static str,
    counter: u64,
    rotated_at: u64,
    expires_at: u64,
    ends_at: u64,
    replays: u32,
    has_ended: bool,
    /// The access tokens, with when they expire, in seconds.
    held: Vec<(Token, u64)>,
}

impl Run {
    fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(NOW);
        let policy = Policy::default()
            .refresh_grace(Duration::from_millis(GRACE))
            .session_idle_lifetime(Duration::from_millis(IDLE))
            .session_lifetime(Duration::from_millis(LIFETIME))
            .max_sessions(1000, WhenFull::Refuse)
            .rotate_by_hand();
        let builder = known::builder(&clock).policy(policy);
        let authority = builder.open(MemoryStore::new()).unwrap();
        let refresh_key = expose_secrets(&authority).refresh_key;
        Self {
            clock,
            authority,
            refresh_key,
            now: NOW * 1000,
            sessions: Vec::new(),
        }
    }

    fn finish<T, E>(&self, op: Op<T, E>) -> Result<T, E> {
        testing::finish(&self.authority, op)
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let choice = input.byte();
        if choice < 16 || self.sessions.is_empty() {
            return self.start(USERS[input.index(USERS.len())]);
        }
        let index = input.index(self.sessions.len());
        let counter = self.sessions[index].counter;
        match choice % 16 {
            // The current one, the one before, older, and from the future.
            0..6 => self.refresh(index, counter),
            6..9 => self.refresh(index, counter.saturating_sub(1)),
            9 => self.refresh(index, counter.saturating_sub(2)),
            10 => self.refresh(
                index,
                counter + 1 + u64::from(input.byte()) * (u64::MAX >> 8),
            ),
            11 => self.altered(index, input),
            12 => {
                let text = input.text();
                self.show(&text);
            }
            13 => self.end(index, input.flag()),
            _ => self.pass(*input.pick(&PASSES)),
        }
    }

    fn start(&mut self, user: &'static str) {
        let start = self.authority.sessions().start(Grant::user(user), "");
        let pair = self.finish(start).unwrap();
        let id = decode(pair.session.id().as_str().as_bytes()).unwrap();
        self.sessions.push(Modelled {
            id: id.try_into().unwrap(),
            user,
            counter: 0,
            rotated_at: self.now,
            expires_at: self.now + IDLE,
            ends_at: self.now + LIFETIME,
            replays: 0,
            has_ended: false,
            held: Vec::new(),
        });
        self.keep(self.sessions.len() - 1, pair);
    }

    fn refresh(&mut self, index: usize, counter: u64) {
        let session = self.sessions[index].id;
        let token = RefreshToken { session, counter };
        self.show(&token.sign(&self.refresh_key));
    }

    fn altered(&mut self, index: usize, input: &mut Input<'_>) {
        let Modelled { id, counter, .. } = self.sessions[index];
        let token = RefreshToken {
            session: id,
            counter,
        };
        let mut text = token.sign(&self.refresh_key).into_bytes();
        input.edit(&mut text);
        // Text is all that can be shown.
        self.show(&String::from_utf8_lossy(&text));
    }

    /// Shows the crate a refresh token, whatever it is.
    fn show(&mut self, text: &str) {
        let index = RefreshToken::parse(text, &self.refresh_key).and_then(|token| {
            let mut ids = self.sessions.iter().map(|session| session.id);
            let index = ids.position(|id| id == token.session).ok_or("ended");
            index.map(|index| (index, token.counter))
        });
        let expected = index.and_then(|(index, counter)| self.judge(index, counter));
        let refreshed = self.finish(self.authority.sessions().refresh(text));
        match (refreshed, expected) {
            (Ok(pair), Ok(index)) => self.keep(index, pair),
            (Err(RefreshError::Ended), Err("expired")) => {}
            (Err(error), Err(expected)) => assert_eq!(error.label(), expected),
            (Ok(_), Err(expected)) => panic!("refreshed, but {expected}"),
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }

    /// What comes of it, and does it to the model.
    fn judge(&mut self, index: usize, counter: u64) -> Result<usize, &'static str> {
        let now = self.now;
        let session = &mut self.sessions[index];
        if session.has_ended {
            return Err("ended");
        }
        if now >= session.expires_at {
            return Err("expired");
        }
        if counter == session.counter {
            let expires_at = session.ends_at.min(now + IDLE);
            // Tokens live for whole seconds.
            if expires_at / 1000 <= now / 1000 {
                return Err("expired");
            }
            session.counter += 1;
            session.rotated_at = now;
            session.expires_at = expires_at;
            session.replays = 0;
            return Ok(index);
        }
        if counter.checked_add(1) == Some(session.counter) && now - session.rotated_at < GRACE {
            session.replays += 1;
            return match session.replays {
                ..=MOST_REPLAYS if session.expires_at / 1000 <= now / 1000 => Err("expired"),
                ..=MOST_REPLAYS => Ok(index),
                _ => Err("too_many_replays"),
            };
        }
        session.has_ended = true;
        Err("reused")
    }

    /// A pair is that of the session at its counter.
    fn keep(&mut self, index: usize, pair: TokenPair) {
        let session = &mut self.sessions[index];
        let Modelled { id, counter, .. } = *session;
        let token = RefreshToken {
            session: id,
            counter,
        };
        assert_eq!(pair.refresh.as_str(), token.sign(&self.refresh_key));
        let verified = self.authority.verify(&pair.access).unwrap();
        assert_eq!(verified.user(), session.user);
        assert_eq!(verified.session().as_ref(), Some(pair.session.id()));
        let expires_at = (self.now / 1000 + 900).min(session.expires_at / 1000);
        session.held.push((pair.access, expires_at));
        self.check(index);
    }

    fn end(&mut self, index: usize, whole_user: bool) {
        let user = self.sessions[index].user;
        let id = encode(self.sessions[index].id);
        let ended = match whole_user {
            true => self.authority.bump(Scope::user(user)),
            false => self.authority.sessions().end(&id.parse().unwrap()),
        };
        self.finish(ended).unwrap();
        for (n, session) in self.sessions.iter_mut().enumerate() {
            session.has_ended |= n == index || whole_user && session.user == user;
        }
        self.check(index);
    }

    fn pass(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.now += millis;
        testing::maintain(&self.authority).unwrap();
        testing::follow(&self.authority).unwrap();
    }

    /// The access tokens of a session live until it ends.
    fn check(&self, index: usize) {
        let session = &self.sessions[index];
        for (token, expires_at) in &session.held {
            let is_live = !session.has_ended && self.now / 1000 < *expires_at;
            assert_eq!(self.authority.verify(token).is_ok(), is_live);
        }
    }

    fn check_all(&self) {
        (0..self.sessions.len()).for_each(|index| self.check(index));
        for user in USERS {
            let live = |session: &&Modelled| {
                session.user == user && !session.has_ended && self.now < session.expires_at
            };
            let list = self.finish(self.authority.sessions().list(user)).unwrap();
            assert_eq!(list.len(), self.sessions.iter().filter(live).count());
        }
    }
}
