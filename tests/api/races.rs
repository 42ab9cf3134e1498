//! Real threads. What must hold whatever the interleaving.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use epochkey::{Authority, Grant, Scope, VerifyError};

use crate::support::*;

/// Tokens issued before a bump began are dead when it has returned, tokens issued
/// after it returned are good, and those in between are one or the other and stay so.
#[test]
fn issue_against_bump() {
    let (authority, _) = authority();
    let (begun, returned, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let deaths = AtomicU64::new(0);
    let issue = || authority.issue(Grant::user("u")).unwrap();
    let dead_after = || {
        let token = issue();
        let seen = begun.load(Ordering::SeqCst);
        while returned.load(Ordering::SeqCst) <= seen {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            thread::yield_now();
        }
        assert!(authority.verify(&token).is_err(), "issued by {seen}, alive");
        deaths.fetch_add(1, Ordering::SeqCst);
    };
    let alive_after = || {
        let before = returned.load(Ordering::SeqCst);
        let token = issue();
        let outcome = authority.verify(&token);
        if begun.load(Ordering::SeqCst) == before {
            assert!(outcome.is_ok(), "issued after {before}, born dead");
        }
        if let Err(error) = outcome {
            assert_eq!(error.label(), "revoked");
            assert!(authority.verify(&token).is_err(), "dead stays dead");
        }
    };
    let until_stopped = |action: &dyn Fn()| {
        while !stop.load(Ordering::SeqCst) {
            action();
        }
    };
    thread::scope(|scope| {
        let watchers = [
            scope.spawn(|| until_stopped(&dead_after)),
            scope.spawn(|| until_stopped(&dead_after)),
            scope.spawn(|| until_stopped(&alive_after)),
        ];
        for round in 1.. {
            // At least this many, and until enough tokens were seen to die.
            let seen_enough = round > 2_000 && deaths.load(Ordering::SeqCst) >= 50;
            if seen_enough || watchers.iter().any(|watcher| watcher.is_finished()) {
                break;
            }
            begun.store(round, Ordering::SeqCst);
            bump(&authority, Scope::user("u"));
            returned.store(round, Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

/// Counts the beginnings and ends of swaps, and the rounds worked between them.
#[derive(Default)]
struct Swaps {
    edges: AtomicU64,
    rounds: AtomicU64,
}

impl Swaps {
    fn swap(&self, authority: &Authority) {
        self.edges.fetch_add(1, Ordering::SeqCst);
        authority.swap_key().wait().unwrap();
        self.edges.fetch_add(1, Ordering::SeqCst);
    }

    /// What `action` gave, if no swap ran meanwhile.
    fn undisturbed<T>(&self, action: impl FnOnce() -> T) -> Option<T> {
        let before = self.edges.load(Ordering::SeqCst);
        let result = action();
        let after = self.edges.load(Ordering::SeqCst);
        (before == after && before.is_multiple_of(2)).then_some(result)
    }
}

/// One thread swaps; the others issue, verify, recheck, explain and bump, each for
/// a user of its own and a group they share. Answers how often it saw its own
/// user's token live through the bumps of all the others.
fn work(authority: &Authority, swaps: &Swaps, user: &str) -> u64 {
    let mut undisturbed = 0;
    for round in 0..300 {
        let grant = Grant::user(user).group("shared").as_of(authority.mark());
        if let Ok(token) = authority.issue(grant) {
            if let Ok(verified) = authority.verify(&token)
                && let Err(error) = authority.recheck(&verified)
            {
                assert!(
                    matches!(error.label(), "revoked" | "unknown_key"),
                    "{error}"
                );
                assert!(authority.verify(&token).is_err(), "dead stays dead");
            }
            match round % 3 {
                0 => bump(authority, Scope::user(user)),
                1 => bump(authority, Scope::group("shared")),
                _ => {
                    let scopes = [Scope::group("other"), Scope::user(user)];
                    authority.bump_many(scopes).wait().unwrap();
                }
            }
            assert!(authority.verify(&token).is_err(), "bumped in round {round}");
            assert!(authority.explain(&token).failure().is_some());
        }
        let outcome = swaps.undisturbed(|| {
            let token = authority.issue(Grant::user(user)).unwrap();
            authority.verify(&token)
        });
        if let Some(outcome) = outcome {
            assert_eq!(outcome.unwrap().user(), user);
            undisturbed += 1;
        }
        swaps.rounds.fetch_add(1, Ordering::SeqCst);
    }
    undisturbed
}

#[test]
fn eight_threads_of_everything() {
    let (authority, _) = authority();
    let (swaps, stop) = (Swaps::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let token = authority.issue(Grant::user("swapper")).unwrap();
                swaps.swap(&authority);
                assert_eq!(
                    authority.verify(&token).unwrap_err(),
                    VerifyError::UnknownKey
                );
                let rounds = swaps.rounds.load(Ordering::SeqCst);
                while swaps.rounds.load(Ordering::SeqCst) < rounds + 50
                    && !stop.load(Ordering::SeqCst)
                {
                    thread::yield_now();
                }
            }
        });
        let workers = [1, 2, 3, 4, 5, 6, 7].map(|worker| {
            let (authority, swaps) = (authority.clone(), &swaps);
            scope.spawn(move || work(&authority, swaps, &format!("u-{worker}")))
        });
        let undisturbed = workers.map(|worker| worker.join());
        stop.store(true, Ordering::SeqCst);
        let undisturbed: u64 = undisturbed.map(|count| count.unwrap()).iter().sum();
        assert!(undisturbed > 0, "the swaps left no room to look");
    });
}

/// A bump that returned on one thread is seen by a `verify` that begins on another
/// one afterwards, whatever that thread did before.
#[test]
fn a_bump_is_seen_by_every_thread() {
    let (authority, _) = authority();
    for round in 0..500 {
        let user = format!("u-{round}");
        let token = authority.issue(Grant::user(&user)).unwrap();
        let returned = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let returned = returned.load(Ordering::SeqCst);
                        let outcome = authority.verify(&token);
                        if returned {
                            assert_eq!(outcome.unwrap_err().label(), "revoked");
                            break;
                        }
                    }
                });
            }
            bump(&authority, Scope::user(&user));
            returned.store(true, Ordering::SeqCst);
        });
    }
}
