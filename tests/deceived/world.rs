//! What an authority says holds, whatever it was told.

use epochkey::{
    Authority, Grant, MasterSecret, Policy, Scope, Token, TokenPair, WhenFull, store::Store,
};

use super::persist;
use crate::{
    network::{Hostile, Lie},
    random::Random,
    server::Server,
};

/// A request, by what occurs in it or in the one before it.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    In(&'static str),
    Behind(&'static str),
}

impl Mark {
    fn replace(self, hostile: &Hostile, lie: Lie) {
        match self {
            Self::In(marker) => hostile.replace(marker, lie),
            Self::Behind(marker) => hostile.replace_behind(marker, lie),
        }
    }
}

/// The requests that are answered with lies.
pub(crate) struct Markers {
    /// By which a bump is committed, the end of a session, and a refresh.
    pub(crate) bump: &'static [Mark],
    pub(crate) end: &'static [Mark],
    pub(crate) refresh: &'static [Mark],
    /// By which a session is looked for.
    pub(crate) find: Mark,
    /// By which the store hears of news.
    pub(crate) wake: &'static str,
}

/// Two replicas: one that is lied to, and one that is not.
pub(crate) struct World<S> {
    pub(crate) hostile: Hostile,
    deceived: Authority,
    honest: Authority,
    markers: Markers,
    users: usize,
    _server: S,
}

impl<S: Server> World<S> {
    /// `connect` is given the URL of one of the two.
    pub(crate) fn of<T: Store>(
        server: S,
        hostile: Hostile,
        markers: Markers,
        connect: impl Fn(&str) -> Option<T>,
    ) -> Self {
        let secret = MasterSecret::generate().unwrap();
        let open = |url: &str| {
            let builder = Authority::builder("https://issuer.test", "api");
            let builder = builder.master_secret(secret.clone());
            let policy = Policy::default().max_sessions(1000, WhenFull::Refuse);
            let store = connect(url).ok_or("it is not connected to")?;
            builder
                .policy(policy)
                .open(store)
                .map_err(|_| "it does not open")
        };
        Self {
            honest: persist(|| open(&server.url())),
            deceived: persist(|| open(&server.url_at(hostile.address()))),
            hostile,
            markers,
            users: 0,
            _server: server,
        }
    }

    fn user(&mut self) -> String {
        self.users += 1;
        format!("u-{}", self.users)
    }

    fn token(&self, user: &str) -> Token {
        persist(|| self.deceived.issue(Grant::user(user)))
    }

    fn session(&self, user: &str) -> TokenPair {
        let sessions = self.deceived.sessions();
        persist(|| sessions.start(Grant::user(user), "device").wait())
    }

    /// The honest one hears of everything up to now.
    fn catch_up(&self) {
        persist(|| self.honest.catch_up().wait());
    }

    #[track_caller]
    fn assert_refused(&self, token: &Token, because: &str) {
        for authority in [&self.deceived, &self.honest] {
            assert!(authority.verify(token).is_err(), "{because}");
        }
    }

    /// Somebody lies about the commit of a bump.
    fn bump(&mut self, name: &str, lie: Lie, mark: Mark) {
        let user = self.user();
        let token = self.token(&user);
        mark.replace(&self.hostile, lie);
        let bumped = self.deceived.bump(Scope::user(&user)).wait();
        if let Ok(epoch) = bumped {
            assert!(self.deceived.verify(&token).is_err(), "{name}");
            self.honest.wait_for(epoch).wait().unwrap();
            self.assert_refused(&token, name);
        }
        self.hostile.reform();
        persist(|| self.deceived.bump(Scope::user(&user)).wait());
        self.catch_up();
        self.assert_refused(&token, name);
    }

    /// Somebody lies about the end of a session, and then about a refresh of it.
    fn end(&mut self, name: &str, lie: Lie, mark: Mark) {
        let user = self.user();
        let pair = self.session(&user);
        mark.replace(&self.hostile, lie.clone());
        let ended = self.deceived.sessions().end(pair.session.id()).wait();
        self.hostile.reform();
        if ended.is_err() {
            persist(|| self.deceived.sessions().end(pair.session.id()).wait());
        }
        self.markers.find.replace(&self.hostile, lie);
        for authority in [&self.deceived, &self.honest] {
            let refreshed = authority.sessions().refresh(&pair.refresh).wait();
            assert!(refreshed.is_err(), "{name}");
            self.hostile.reform();
        }
        self.catch_up();
        self.assert_refused(&pair.access, name);
    }

    /// Somebody lies about the commit of a refresh: the client comes again, and is no thief.
    fn refresh(&mut self, name: &str, lie: Lie, mark: Mark) {
        let user = self.user();
        let pair = self.session(&user);
        mark.replace(&self.hostile, lie);
        let refresh = || self.deceived.sessions().refresh(&pair.refresh).wait();
        let first = refresh();
        self.hostile.reform();
        let next = first.unwrap_or_else(|_| persist(refresh));
        assert_ne!(next.refresh.as_str(), pair.refresh.as_str(), "{name}");
        persist(|| self.deceived.verify(&next.access));
        persist(|| self.deceived.sessions().refresh(&next.refresh).wait());
    }

    fn lies(&self) -> Vec<(String, Lie)> {
        let lies = self.hostile.lies().into_iter();
        let mut lies: Vec<_> = lies
            .map(|(name, bytes)| (name.to_owned(), Lie::Bytes(bytes)))
            .collect();
        let others = [
            Lie::Late,
            Lie::Bytewise,
            Lie::Truncated(3),
            Lie::Last(self.hostile.done()),
        ];
        lies.extend(others.into_iter().map(|lie| (format!("{lie:?}"), lie)));
        lies
    }

    fn each_lie(
        &mut self,
        marks: &'static [Mark],
        mut told: impl FnMut(&mut Self, &str, Lie, Mark),
    ) {
        for &mark in marks {
            for (name, lie) in self.lies() {
                told(self, &name, lie, mark);
            }
        }
    }

    pub(crate) fn a_bump_that_returned_is_in_the_log_and_in_force(&mut self) {
        self.each_lie(self.markers.bump, Self::bump);
    }

    pub(crate) fn a_session_that_ended_is_not_refreshed(&mut self) {
        self.each_lie(self.markers.end, Self::end);
    }

    pub(crate) fn an_honest_client_outlasts_the_lies(&mut self) {
        self.each_lie(self.markers.refresh, Self::refresh);
    }

    /// What is only to wake who waits: without it news comes late, and never not.
    pub(crate) fn news_comes_though_the_waking_is_lied_about(&mut self) {
        for (name, lie) in self.lies().into_iter().step_by(4) {
            self.hostile.replace_all(self.markers.wake, lie);
            let user = self.user();
            let token = self.token(&user);
            let epoch = self.honest.bump(Scope::user(&user)).wait().unwrap();
            persist(|| self.deceived.wait_for(epoch).wait());
            self.assert_refused(&token, &name);
            self.hostile.reform();
        }
    }

    /// Among these are answers of the right shape, by which whoever is the store can do much:
    /// what is told afterwards is true all the same.
    pub(crate) fn after_lies_by_chance_everything_recovers(&mut self, seed: u64) {
        self.hostile.lie_by_chance(3, seed);
        let mut random = Random::new(seed);
        let mut pairs = Vec::new();
        for _ in 0..40 {
            let user = format!("u-{}", random.below(4));
            match random.below(5) {
                0 => drop(self.deceived.bump(Scope::user(&user)).wait()),
                1 => {
                    let sessions = self.deceived.sessions();
                    pairs.extend(sessions.start(Grant::user(&user), "device").wait());
                }
                2 if !pairs.is_empty() => {
                    let pair: &TokenPair = random.pick(&pairs);
                    drop(self.deceived.sessions().end(pair.session.id()).wait());
                }
                3 if !pairs.is_empty() => {
                    let pair: &TokenPair = random.pick(&pairs);
                    let _ = self.deceived.sessions().refresh(&pair.refresh).wait();
                }
                _ => drop(self.deceived.issue(Grant::user(&user))),
            }
        }
        self.hostile.reform();
        self.bump("after the lies", Lie::Bytewise, self.markers.bump[0]);
        let user = self.user();
        let token = self.token(&user);
        self.catch_up();
        persist(|| self.deceived.verify(&token));
        persist(|| self.honest.verify(&token));
    }
}
