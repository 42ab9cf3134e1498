//! What an authority says holds, whatever it was told.

use epochkey::{Authority, Grant, MasterSecret, Policy, RedisStore, Scope, Token, TokenPair};

use super::*;
use crate::{
    network::{LIES, Lie},
    random::Random,
};

/// Two replicas: one that is lied to, and one that is not.
struct World {
    hostile: Hostile,
    deceived: Authority,
    honest: Authority,
    users: usize,
    _server: RedisServer,
}

impl World {
    fn start() -> Option<Self> {
        let (server, hostile) = super::start()?;
        let secret = MasterSecret::generate().unwrap();
        let open = |store: RedisStore| {
            let builder = Authority::builder("https://issuer.test", "api");
            let builder = builder.master_secret(secret.clone());
            let policy = Policy::default().max_sessions(1000, epochkey::WhenFull::Refuse);
            builder.policy(policy).open(store)
        };
        let honest = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
        let honest = open(honest).unwrap();
        let deceived = persist(|| open(connect(&hostile)));
        Some(Self {
            hostile,
            deceived,
            honest,
            users: 0,
            _server: server,
        })
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
    fn bump(&mut self, name: &str, lie: Lie) {
        let user = self.user();
        let token = self.token(&user);
        self.hostile.replace("$5\r\nepoch\r\n", lie);
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
    fn end(&mut self, name: &str, lie: Lie) {
        let user = self.user();
        let pair = self.session(&user);
        self.hostile.replace("$3\r\nend\r\n", lie.clone());
        let ended = self.deceived.sessions().end(pair.session.id()).wait();
        self.hostile.reform();
        if ended.is_err() {
            persist(|| self.deceived.sessions().end(pair.session.id()).wait());
        }
        self.hostile.replace("$2\r\nid\r\n", lie);
        for authority in [&self.deceived, &self.honest] {
            let refreshed = authority.sessions().refresh(&pair.refresh).wait();
            assert!(refreshed.is_err(), "{name}");
            self.hostile.reform();
        }
        self.catch_up();
        self.assert_refused(&pair.access, name);
    }

    /// Somebody lies about the commit of a refresh: the client comes again, and is no thief.
    fn refresh(&mut self, name: &str, lie: Lie) {
        let user = self.user();
        let pair = self.session(&user);
        self.hostile.replace("$7\r\nreplace\r\n", lie);
        let refresh = || self.deceived.sessions().refresh(&pair.refresh).wait();
        let first = refresh();
        self.hostile.reform();
        let next = first.unwrap_or_else(|_| persist(refresh));
        assert_ne!(next.refresh.as_str(), pair.refresh.as_str(), "{name}");
        persist(|| self.deceived.verify(&next.access));
        persist(|| self.deceived.sessions().refresh(&next.refresh).wait());
    }
}

fn lies() -> Vec<(String, Lie)> {
    let named = |&(name, bytes): &(&str, &[u8])| (name.to_owned(), Lie::Bytes(bytes.to_vec()));
    let mut lies: Vec<_> = LIES.iter().map(named).collect();
    let others = [
        Lie::Late,
        Lie::Bytewise,
        Lie::Truncated(3),
        Lie::Last(b"+OK\r\n".to_vec()),
    ];
    lies.extend(others.into_iter().map(|lie| (format!("{lie:?}"), lie)));
    lies
}

#[test]
fn a_bump_that_returned_is_in_the_log_and_in_force() {
    let Some(mut world) = World::start() else {
        return;
    };
    for (name, lie) in lies() {
        world.bump(&name, lie);
    }
}

#[test]
fn a_session_that_ended_is_not_refreshed() {
    let Some(mut world) = World::start() else {
        return;
    };
    for (name, lie) in lies() {
        world.end(&name, lie);
    }
}

#[test]
fn an_honest_client_outlasts_the_lies() {
    let Some(mut world) = World::start() else {
        return;
    };
    for (name, lie) in lies() {
        world.refresh(&name, lie);
    }
}

/// What is only to wake who waits: without it news comes late, and never not.
#[test]
fn news_comes_though_the_waking_is_lied_about() {
    let Some(mut world) = World::start() else {
        return;
    };
    for (name, lie) in lies().into_iter().step_by(4) {
        world.hostile.replace_all("XREAD", lie);
        let user = world.user();
        let token = world.token(&user);
        let epoch = world.honest.bump(Scope::user(&user)).wait().unwrap();
        persist(|| world.deceived.wait_for(epoch).wait());
        world.assert_refused(&token, &name);
        world.hostile.reform();
    }
}

/// Among these are answers of the right shape, by which whoever is the store can do much: what
/// is told afterwards is true all the same.
#[test]
fn after_lies_by_chance_everything_recovers() {
    for seed in 0..4 {
        let Some(mut world) = World::start() else {
            return;
        };
        world.hostile.lie_by_chance(3, seed);
        let mut random = Random::new(seed);
        let mut pairs = Vec::new();
        for _ in 0..40 {
            let user = format!("u-{}", random.below(4));
            match random.below(5) {
                0 => drop(world.deceived.bump(Scope::user(&user)).wait()),
                1 => {
                    let sessions = world.deceived.sessions();
                    pairs.extend(sessions.start(Grant::user(&user), "device").wait());
                }
                2 if !pairs.is_empty() => {
                    let pair: &TokenPair = random.pick(&pairs);
                    drop(world.deceived.sessions().end(pair.session.id()).wait());
                }
                3 if !pairs.is_empty() => {
                    let pair: &TokenPair = random.pick(&pairs);
                    let _ = world.deceived.sessions().refresh(&pair.refresh).wait();
                }
                _ => drop(world.deceived.issue(Grant::user(&user))),
            }
        }
        world.hostile.reform();
        world.bump("after the lies", Lie::Bytewise);
        let user = world.user();
        let token = world.token(&user);
        world.catch_up();
        persist(|| world.deceived.verify(&token));
        persist(|| world.honest.verify(&token));
    }
}
