//! Random operations, checked against a model that is small enough to be seen to be right.
//!
//! To run a seed again, or others: `EPOCHKEY_SESSIONS=17 cargo test --test sessions model`.

#[path = "model_state.rs"]
mod state;

use std::{env, thread};

use epochkey::{
    Authority, Grant, MasterSecret, MemoryStore, Op, Policy, RedbStore, RefreshError, Scope,
    TokenPair, WhenFull,
    testing::{self, ManualClock},
};
use tempfile::TempDir;

use self::state::{Held, Model, Modelled, START};
use crate::{random::Random, support::GRACE};

const USERS: [&str; 3] = ["u", "v", "w"];
/// In milliseconds: around the window, and around the lives of tokens and sessions.
const PASSES: [u64; 9] = [
    1,
    999,
    5_000,
    9_999,
    10_000,
    60_000,
    900_000,
    86_400_000,
    600_000_000,
];

struct Run {
    seed: u64,
    operations: usize,
    random: Random,
    clock: ManualClock,
    secret: MasterSecret,
    file: Option<TempDir>,
    authority: Option<Authority>,
    model: Model,
}

impl Drop for Run {
    fn drop(&mut self) {
        if thread::panicking() {
            let (seed, done) = (self.seed, self.operations);
            eprintln!(
                "after {done} operations; again: EPOCHKEY_SESSIONS={seed} cargo test --test sessions model"
            );
        }
    }
}

impl Run {
    fn new(seed: u64, file: Option<TempDir>) -> Self {
        let mut run = Self {
            seed,
            operations: 0,
            random: Random::new(seed),
            clock: ManualClock::at_unix_seconds(START / 1000),
            secret: MasterSecret::generate().unwrap(),
            file,
            authority: None,
            model: Model::default(),
        };
        run.open();
        run
    }

    fn open(&mut self) {
        self.authority = None;
        let policy = Policy::default().max_sessions(state::MOST_SESSIONS, WhenFull::EndOldest);
        let builder = Authority::builder("https://issuer.test", "api")
            .policy(policy.refresh_grace(GRACE))
            .master_secret(self.secret.clone())
            .clock(self.clock.clone());
        let builder = testing::by_hand(builder);
        let opened = match &self.file {
            Some(directory) => {
                builder.open(RedbStore::open(directory.path().join("auth.redb")).unwrap())
            }
            None => builder.open(MemoryStore::new()),
        };
        self.authority = Some(opened.unwrap());
    }

    fn authority(&self) -> &Authority {
        self.authority.as_ref().unwrap()
    }

    fn finish<T, E>(&self, op: Op<T, E>) -> Result<T, E> {
        testing::finish(self.authority(), op)
    }

    fn done<T, E: std::fmt::Debug>(&self, op: Op<T, E>) {
        self.finish(op).unwrap();
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..10 => self.start(),
            10..40 => self.refresh(),
            40..44 => self.forge(),
            44..49 => self.end(),
            49..51 => self.end_user(),
            51..54 => self.end_others(),
            54..57 => self.bump_group(),
            57..62 => self.reauthenticate(),
            62..70 => self.look(),
            70..72 => self.change_keys(),
            72..92 => self.pass(),
            92..98 => self.set_back(),
            _ => self.reopen(),
        }
        self.operations += 1;
        self.check_some_tokens();
    }

    /// Of the last few sessions, ended or not.
    fn any(&mut self) -> Option<usize> {
        let (sessions, recent) = (self.model.sessions.len(), 10);
        let back = self.random.below(recent.min(sessions).max(1)) + 1;
        sessions.checked_sub(back)
    }

    fn groups(&mut self) -> Vec<String> {
        let chosen = self.random.below(8);
        let names = ["admin", "staff", "org:acme"].iter().enumerate();
        let chosen = names.filter(|(bit, _)| chosen & (1 << bit) != 0);
        chosen.map(|(_, name)| (*name).to_owned()).collect()
    }

    fn start(&mut self) {
        // No two at one time, so that it is clear which is the oldest.
        self.advance(1);
        let (user, groups) = (*self.random.pick(&USERS), self.groups());
        let grant = Grant::user(user).groups(groups.clone());
        let start = self.authority().sessions().start(grant, "a device");
        let pair = self.finish(start).unwrap();
        self.model.start(user, groups.clone(), &pair);
        self.check_pair(self.model.sessions.len() - 1, &pair, &groups);
    }

    fn refresh(&mut self) {
        let Some(index) = self.any() else { return };
        let counter = self.model.sessions[index].counter;
        let back = *self.random.pick(&[0, 0, 0, 0, 1, 1, 1, 2, 7]);
        let counter = counter.saturating_sub(back);
        let token = self.model.sessions[index].tokens[counter as usize].clone();
        let asked = self.random.chance(30).then(|| self.groups());
        let sessions = self.authority().sessions();
        let refresh = match asked.clone() {
            Some(groups) => {
                sessions.refresh_with(&token, |_| Grant::user("anybody").groups(groups))
            }
            None => sessions.refresh(&token),
        };
        let expected = self.model.refresh(index, counter, asked.clone());
        match self.finish(refresh) {
            Ok(pair) => {
                assert_eq!("good", expected);
                // What is asked for in a replay is for its token alone.
                let groups = asked.unwrap_or_else(|| self.model.sessions[index].groups.clone());
                self.check_pair(index, &pair, &groups);
                self.model.hold(index, &pair.access, groups);
            }
            // It may have been tidied away.
            Err(RefreshError::Ended) if expected.starts_with("expired") => {}
            Err(RefreshError::Expired { idle: true }) => assert_eq!("expired idle", expected),
            Err(error) => assert_eq!(error.label(), expected),
        }
    }

    /// Foreign ones, and of a future that there is no tag for.
    fn forge(&mut self) {
        let (Some(one), Some(two)) = (self.any(), self.any()) else {
            return;
        };
        let sessions = &self.model.sessions;
        let parts = |index: usize| {
            sessions[index]
                .tokens
                .last()
                .unwrap()
                .split('.')
                .collect::<Vec<_>>()
        };
        let (mine, foreign) = (parts(one), parts(two));
        let next = (sessions[one].counter + 1).to_string();
        let forged = [
            (
                [mine[0], foreign[1], mine[2], mine[3]].join("."),
                one != two,
            ),
            ([mine[0], mine[1], &next, mine[3]].join("."), true),
            ([mine[0], mine[1], mine[2], &mine[3][1..]].join("."), true),
        ];
        for (token, _) in forged.iter().filter(|(_, is_forged)| *is_forged) {
            let error = self
                .finish(self.authority().sessions().refresh(token))
                .unwrap_err();
            assert!(["bad_tag", "malformed"].contains(&error.label()), "{error}");
        }
    }

    fn end(&mut self) {
        let Some(index) = self.any() else { return };
        let id = self.model.sessions[index].id.clone();
        match self.random.chance(50) {
            true => self.done(self.authority().sessions().end(&id)),
            false => self.done(self.authority().bump(Scope::session(&id))),
        }
        self.model.end(index);
    }

    fn end_user(&mut self) {
        let user = *self.random.pick(&USERS);
        match self.random.chance(50) {
            true => self.done(self.authority().sessions().end_all(user)),
            false => self.done(self.authority().bump(Scope::user(user))),
        }
        self.model.end_where(|session| session.user == user);
    }

    fn end_others(&mut self) {
        let Some(index) = self.any() else { return };
        let (id, user) = (
            self.model.sessions[index].id.clone(),
            self.model.sessions[index].user,
        );
        let ended = self.finish(self.authority().sessions().end_others(&id));
        assert_eq!(ended.is_ok(), self.model.is_live(index));
        if ended.is_ok() {
            self.model
                .end_where(|session| session.user == user && session.id != id);
        }
    }

    fn bump_group(&mut self) {
        let group = *self.random.pick(&["admin", "staff", "org:acme"]);
        self.done(self.authority().bump(Scope::group(group)));
        self.model
            .revoke(|held| held.groups.iter().any(|name| name == group));
    }

    fn reauthenticate(&mut self) {
        let Some(index) = self.any() else { return };
        let id = self.model.sessions[index].id.clone();
        let done = self.finish(self.authority().sessions().reauthenticated(&id));
        assert_eq!(done.is_ok(), self.model.reauthenticate(index));
    }

    fn look(&mut self) {
        let user = *self.random.pick(&USERS);
        let list = self.finish(self.authority().sessions().list(user)).unwrap();
        let shown: Vec<_> = list.iter().map(Modelled::shown).collect();
        assert_eq!(shown, self.model.list(user));
        let Some(index) = self.any() else { return };
        let id = self.model.sessions[index].id.clone();
        let got = self.finish(self.authority().sessions().get(&id)).unwrap();
        assert_eq!(got.is_some(), self.model.is_live(index));
    }

    fn change_keys(&mut self) {
        if self.random.chance(30) {
            self.done(self.authority().swap_key());
            self.model.revoke(|_| true);
        } else {
            // There may be as many as there can be.
            let _ = self.finish(self.authority().rotate_key());
        }
    }

    fn advance(&mut self, millis: u64) {
        self.clock.advance(std::time::Duration::from_millis(millis));
        self.model.advance(millis);
        testing::maintain(self.authority()).unwrap();
        testing::follow(self.authority()).unwrap();
    }

    fn pass(&mut self) {
        let most = match self.random.chance(10) {
            true => PASSES.len(),
            false => 6,
        };
        let millis = PASSES[self.random.below(most)];
        self.advance(millis);
    }

    fn set_back(&mut self) {
        let millis = self.random.between(1, 2_000);
        if self.model.set_back(millis) {
            self.clock.rewind(std::time::Duration::from_millis(millis));
        }
    }

    fn reopen(&mut self) {
        if self.file.is_none() {
            return;
        }
        // A process that begins knows no time but the clock's.
        let behind = self.model.latest - self.model.now;
        self.advance(behind);
        self.open();
        self.model.forget_replays();
    }

    fn check_pair(&mut self, index: usize, pair: &TokenPair, groups: &[String]) {
        self.model.keep(index, pair);
        let session = &self.model.sessions[index];
        assert_eq!(Modelled::shown(&pair.session), session.as_shown());
        let refresh = pair.refresh.as_str();
        assert_eq!(refresh, session.tokens[session.counter as usize], "forked");
        assert!(refresh.contains(&format!(".{}.", session.counter)));
        let verified = self.authority().verify(&pair.access).unwrap();
        assert_eq!(verified.user(), session.user);
        assert_eq!(verified.session().unwrap().as_str(), session.id.as_str());
        assert!(verified.groups().eq(groups));
    }

    fn check_some_tokens(&mut self) {
        self.model.forget_expired();
        for _ in 0..6.min(self.model.held.len()) {
            let held: &Held = self.random.pick(&self.model.held);
            let outcome = self.authority().verify(&held.text);
            assert_eq!(outcome.is_ok(), held.is_good, "{outcome:?}");
        }
    }
}

fn run(seeds: std::ops::Range<u64>, operations: usize, file: impl Fn() -> Option<TempDir>) {
    let asked = env::var("EPOCHKEY_SESSIONS").ok();
    let asked = asked.map(|seed| seed.parse().expect("a seed is a number"));
    let seeds = asked.map_or(seeds, |seed| seed..seed + 1);
    for seed in seeds {
        let mut run = Run::new(seed, file());
        for _ in 0..operations {
            run.step();
        }
        assert!(
            run.model.sessions.len() > operations / 20,
            "it did something"
        );
    }
}

#[test]
fn forty_eight_thousand_operations_on_the_store_in_memory() {
    run(0..48, 1_000, || None);
}

#[test]
fn two_thousand_operations_on_the_store_in_one_file() {
    run(100..104, 500, || Some(tempfile::tempdir().unwrap()));
}
