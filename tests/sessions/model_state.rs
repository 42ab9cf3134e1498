//! What sessions are, without a store, tokens or threads. Times are in milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

use epochkey::{Session, SessionId, Token, TokenPair};

pub(crate) const START: u64 = 1_700_000_000_000;
pub(crate) const MOST_SESSIONS: usize = 4;
const GRACE: u64 = 10_000;
const IDLE: u64 = 14 * 86_400_000;
const LIFETIME: u64 = 90 * 86_400_000;
const TOKEN_LIFETIME: u64 = 900;
const MOST_REPLAYS: u32 = 100;

pub(crate) struct Modelled {
    pub(crate) id: SessionId,
    pub(crate) user: &'static str,
    pub(crate) counter: u64,
    pub(crate) groups: Vec<String>,
    /// By their counters.
    pub(crate) tokens: Vec<String>,
    created_at: u64,
    used_at: u64,
    rotated_at: u64,
    expires_at: u64,
    authenticated_at: u64,
    replays: u32,
    has_ended: bool,
}

/// An access token.
pub(crate) struct Held {
    pub(crate) text: String,
    pub(crate) groups: Vec<String>,
    pub(crate) is_good: bool,
    session: usize,
    expires_at: u64,
}

pub(crate) struct Model {
    pub(crate) sessions: Vec<Modelled>,
    pub(crate) held: Vec<Held>,
    pub(crate) now: u64,
    /// The latest that it ever was: tokens know no earlier time.
    pub(crate) latest: u64,
}

/// What is shown of a session: id, groups, and its times.
pub(crate) type Shown = (String, Vec<String>, [u64; 5]);

impl Default for Model {
    fn default() -> Self {
        Self {
            sessions: Vec::new(),
            held: Vec::new(),
            now: START,
            latest: START,
        }
    }
}

impl Modelled {
    pub(crate) fn shown(session: &Session) -> Shown {
        let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let times = [
            session.created_at(),
            session.last_used_at(),
            session.expires_at(),
            session.ends_at(),
            session.authenticated_at(),
        ];
        let groups = session.groups().map(str::to_owned).collect();
        (session.id().as_str().to_owned(), groups, times.map(millis))
    }

    pub(crate) fn as_shown(&self) -> Shown {
        let times = [
            self.created_at,
            self.used_at,
            self.expires_at,
            self.ends_at(),
            self.authenticated_at * 1000,
        ];
        (self.id.as_str().to_owned(), self.groups.clone(), times)
    }

    fn ends_at(&self) -> u64 {
        self.created_at + LIFETIME
    }
}

impl Model {
    pub(crate) fn advance(&mut self, millis: u64) {
        self.now += millis;
        self.latest = self.latest.max(self.now);
    }

    /// By no more than clocks may differ.
    pub(crate) fn set_back(&mut self, millis: u64) -> bool {
        let may = self.now - millis + 2_000 >= self.latest;
        self.now -= if may { millis } else { 0 };
        may
    }

    fn seconds(&self) -> u64 {
        self.latest / 1000
    }

    pub(crate) fn is_live(&self, index: usize) -> bool {
        let session = &self.sessions[index];
        !session.has_ended && self.now < session.expires_at
    }

    pub(crate) fn start(&mut self, user: &'static str, groups: Vec<String>, pair: &TokenPair) {
        let live = (0..self.sessions.len())
            .filter(|index| self.sessions[*index].user == user && self.is_live(*index));
        let mut live: Vec<_> = live.collect();
        live.sort_by_key(|index| self.sessions[*index].created_at);
        let too_many = (live.len() + 1).saturating_sub(MOST_SESSIONS);
        for index in &live[..too_many] {
            self.end(*index);
        }
        self.sessions.push(Modelled {
            id: pair.session.id().clone(),
            user,
            counter: 0,
            groups,
            tokens: vec![pair.refresh.as_str().to_owned()],
            created_at: self.now,
            used_at: self.now,
            rotated_at: self.now,
            expires_at: self.now + IDLE,
            authenticated_at: self.now / 1000,
            replays: 0,
            has_ended: false,
        });
        let groups = self.sessions[self.sessions.len() - 1].groups.clone();
        self.hold(self.sessions.len() - 1, &pair.access, groups);
    }

    /// What comes of it: `good`, or the label of why not.
    pub(crate) fn refresh(
        &mut self,
        index: usize,
        counter: u64,
        asked: Option<Vec<String>>,
    ) -> &'static str {
        let (now, seconds) = (self.now, self.seconds());
        let session = &mut self.sessions[index];
        if session.has_ended {
            return "ended";
        }
        if now >= session.expires_at {
            return match now >= session.ends_at() {
                true => "expired",
                false => "expired idle",
            };
        }
        let since = now.saturating_sub(session.rotated_at);
        if counter == session.counter {
            let expires_at = session.ends_at().min(now + IDLE);
            if expires_at / 1000 <= seconds {
                return "expired";
            }
            session.counter += 1;
            session.rotated_at = now;
            session.used_at = now;
            session.expires_at = expires_at;
            session.replays = 0;
            session.groups = asked.unwrap_or_else(|| session.groups.clone());
            "good"
        } else if counter + 1 == session.counter && since < GRACE {
            session.replays += 1;
            match session.replays > MOST_REPLAYS {
                true => "too_many_replays",
                false => "good",
            }
        } else {
            self.end(index);
            "reused"
        }
    }

    /// Keeps the refresh token of a pair, or finds that it is the one of before.
    pub(crate) fn keep(&mut self, index: usize, pair: &TokenPair) {
        let session = &mut self.sessions[index];
        if session.tokens.len() as u64 == session.counter {
            session.tokens.push(pair.refresh.as_str().to_owned());
        }
    }

    pub(crate) fn hold(&mut self, index: usize, token: &Token, groups: Vec<String>) {
        let session = &self.sessions[index];
        let remaining = session.expires_at / 1000 - self.seconds();
        assert_eq!(token.expires_in().as_secs(), remaining.min(TOKEN_LIFETIME));
        self.held.push(Held {
            text: token.as_str().to_owned(),
            groups,
            is_good: true,
            session: index,
            expires_at: self.seconds() + token.expires_in().as_secs(),
        });
    }

    pub(crate) fn reauthenticate(&mut self, index: usize) -> bool {
        let (is_live, seconds) = (self.is_live(index), self.now / 1000);
        let session = &mut self.sessions[index];
        if is_live {
            session.authenticated_at = seconds;
            session.replays = 0;
        }
        is_live
    }

    pub(crate) fn end(&mut self, index: usize) {
        self.sessions[index].has_ended = true;
        self.revoke(|held| held.session == index);
    }

    pub(crate) fn end_where(&mut self, is_meant: impl Fn(&Modelled) -> bool) {
        for index in 0..self.sessions.len() {
            if is_meant(&self.sessions[index]) {
                self.end(index);
            }
        }
    }

    pub(crate) fn revoke(&mut self, is_meant: impl Fn(&Held) -> bool) {
        let meant = self.held.iter_mut().filter(|held| is_meant(held));
        meant.for_each(|held| held.is_good = false);
    }

    /// Keeps the revoked ones a while, to see them refused.
    pub(crate) fn forget_expired(&mut self) {
        let seconds = self.seconds();
        self.held.retain(|held| seconds < held.expires_at);
        let too_many = self.held.len().saturating_sub(200);
        self.held.drain(..too_many);
    }

    pub(crate) fn forget_replays(&mut self) {
        self.sessions
            .iter_mut()
            .for_each(|session| session.replays = 0);
    }

    pub(crate) fn list(&self, user: &str) -> Vec<Shown> {
        let of_user = (0..self.sessions.len())
            .filter(|index| self.sessions[*index].user == user && self.is_live(*index));
        let mut live: Vec<_> = of_user.map(|index| &self.sessions[index]).collect();
        live.sort_by_key(|session| session.created_at);
        live.into_iter().map(Modelled::as_shown).collect()
    }
}
