//! Many replicas that revoke at the same time, and what each promises of what it knows.

use std::{
    sync::{
        RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use epochkey::{Epoch, Scope, Token};

use super::{
    Kind,
    fleet::{Fleet, PAUSE, Replica, restarts, until},
};
use crate::server::{self, Server};

const REPLICAS: usize = 8;
const ROUNDS: usize = 50;
/// In each round of each replica: users that nobody else bumps, and users that all do.
const OWN: usize = 20;
const SHARED: usize = 5;

/// A bump that has returned, and a token that was sealed before.
struct Entry {
    epoch: Epoch,
    sealed_before: Token,
}

struct Ledger {
    replicas: Vec<Replica>,
    entries: RwLock<Vec<Entry>>,
    /// Of users that nobody bumps.
    bystanders: Vec<Token>,
    working: AtomicUsize,
}

pub(crate) fn ten_thousand_bumps_from_eight_replicas<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::patient(server.url());
    let replicas = fleet.replicas(REPLICAS);
    let bystanders = replicas.iter().enumerate();
    let ledger = Ledger {
        bystanders: bystanders
            .map(|(number, replica)| replica.issue(&format!("bystander {number}")))
            .collect(),
        replicas,
        entries: RwLock::default(),
        working: AtomicUsize::new(REPLICAS),
    };
    let newest: Vec<Vec<Token>> = thread::scope(|scope| {
        for replica in &ledger.replicas {
            scope.spawn(|| check(&ledger, replica));
        }
        let work = |number| {
            let ledger = &ledger;
            scope.spawn(move || {
                let _finished = Finished(&ledger.working);
                work(ledger, number)
            })
        };
        let workers: Vec<_> = (0..REPLICAS).map(work).collect();
        let newest = workers.into_iter().map(|worker| worker.join().unwrap());
        newest.collect()
    });
    assert_agreed(&ledger, &newest.concat());
}

/// Counts down, after a panic too.
struct Finished<'a>(&'a AtomicUsize);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bumps users at one replica, round by round. Gives a token of each user of its own, issued
/// after the last bump.
fn work(ledger: &Ledger, number: usize) -> Vec<Token> {
    let here = &ledger.replicas[number];
    let own = (0..OWN).map(|user| format!("user {user} of {number}"));
    let users: Vec<String> = own
        .chain((0..SHARED).map(|user| format!("user {user} of all")))
        .collect();
    let mut tokens: Vec<_> = users.iter().map(|user| here.issue(user)).collect();
    for round in 0..ROUNDS {
        let there = &ledger.replicas[(number + round) % REPLICAS];
        let bumps: Vec<_> = users
            .iter()
            .map(|user| here.authority.bump(Scope::user(user.as_str())))
            .collect();
        let mut last = None;
        for (index, bump) in bumps.into_iter().enumerate() {
            let epoch = bump.wait().unwrap();
            here.assert_dead(&tokens[index]);
            let fresh = here.issue(&users[index]);
            if index < OWN {
                assert_eq!(here.outcome(&fresh), "good");
                let outcome = there.outcome(&fresh);
                assert!(matches!(outcome, "good" | "stale_epochs"), "{outcome}");
            }
            let sealed_before = std::mem::replace(&mut tokens[index], fresh);
            last = Some((epoch, sealed_before.clone()));
            ledger.entries.write().unwrap().push(Entry {
                epoch,
                sealed_before,
            });
        }
        if let Some((epoch, sealed_before)) = last {
            assert_eq!(there.authority.wait_for(epoch).wait().unwrap(), epoch);
            there.assert_dead(&sealed_before);
        }
    }
    tokens.truncate(OWN);
    tokens
}

/// Looks at one replica while all work: what it has applied is in force, each of all bumps once,
/// and nobody else is logged out.
fn check(ledger: &Ledger, replica: &Replica) {
    let (mut looked_at, mut not_applied) = (0, Vec::new());
    loop {
        let is_over = ledger.working.load(Ordering::SeqCst) == 0;
        let position = replica.authority.stats().position;
        let entries = ledger.entries.read().unwrap();
        not_applied.extend(looked_at..entries.len());
        looked_at = entries.len();
        not_applied.retain(|index: &usize| {
            let entry = &entries[*index];
            let is_applied = entry.epoch.position() <= position;
            if is_applied {
                replica.assert_dead(&entry.sealed_before);
            }
            !is_applied
        });
        drop(entries);
        for token in &ledger.bystanders {
            assert_eq!(replica.outcome(token), "good");
        }
        if is_over && not_applied.is_empty() {
            return;
        }
        thread::sleep(PAUSE);
    }
}

fn assert_agreed(ledger: &Ledger, newest: &[Token]) {
    let entries = ledger.entries.read().unwrap();
    assert_eq!(entries.len(), REPLICAS * ROUNDS * (OWN + SHARED));
    let last = entries.iter().max_by_key(|entry| entry.epoch.position());
    let last = last.unwrap().epoch;
    let scopes = REPLICAS * OWN + SHARED;
    for replica in &ledger.replicas {
        until("the last bump is in force", || {
            replica.authority.wait_for(last).wait().is_ok()
        });
        let stats = replica.authority.stats();
        assert_eq!((stats.position, stats.epochs), (last.position(), scopes));
        for token in newest.iter().chain(&ledger.bystanders) {
            assert_eq!(replica.outcome(token), "good");
        }
    }
    assert_eq!(restarts(&ledger.replicas), 0);
}
