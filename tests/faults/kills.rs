//! A server that is killed and restarted while everybody works: what it has acknowledged
//! is kept.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use epochkey::{Grant, Scope, Token, TokenPair};

use super::{
    Kind,
    fleet::{Fleet, Replica, restarts, soon_stale, until},
};
use crate::server::{self, Server};

const REPLICAS: usize = 4;
const KILLS: usize = 6;
/// What is done between the kills, at least.
const ACKNOWLEDGED: usize = 100;

/// What was acknowledged at one replica.
#[derive(Default)]
struct Acknowledged {
    /// Sealed before a bump that returned.
    revoked: Vec<Token>,
    ended: Vec<TokenPair>,
    live: Vec<TokenPair>,
}

#[derive(Default)]
struct Progress {
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
    stop: AtomicBool,
}

impl Progress {
    /// Counts a result.
    fn count<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        let counter = match &result {
            Ok(_) => &self.acknowledged,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::SeqCst);
        result
    }

    fn until_more(&self, what: &str, counter: &AtomicUsize, number: usize) {
        let before = counter.load(Ordering::SeqCst);
        until(what, || {
            counter.load(Ordering::SeqCst) >= before + number || self.is_stopped()
        });
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Stops all, after a panic too.
struct Stop<'a>(&'a Progress);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn what_was_acknowledged_survives_kills_under_load<K: Kind>() {
    let Some(mut server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::new(server.url(), soon_stale());
    let mut replicas = fleet.replicas(REPLICAS);
    let bystander = replicas[0].issue("bystander");
    let progress = Progress::default();
    let acknowledged: Vec<Acknowledged> = thread::scope(|scope| {
        let workers: Vec<_> = (0..REPLICAS)
            .map(|number| {
                let (replica, progress) = (&replicas[number], &progress);
                scope.spawn(move || {
                    let _stop = Stop(progress);
                    work(replica, number, progress)
                })
            })
            .collect();
        let stop = Stop(&progress);
        for _ in 0..KILLS {
            progress.until_more("progress", &progress.acknowledged, ACKNOWLEDGED);
            server.kill().unwrap();
            progress.until_more("failures", &progress.failed, REPLICAS);
            server.restart().unwrap();
        }
        progress.until_more("progress", &progress.acknowledged, ACKNOWLEDGED);
        drop(stop);
        let finished = workers.into_iter().map(|worker| worker.join().unwrap());
        finished.collect()
    });

    replicas.push(fleet.replica());
    for replica in &replicas {
        until("it has caught up", || {
            replica.authority.catch_up().wait().is_ok()
        });
        replica.until_good(&bystander);
        for kept in &acknowledged {
            assert_kept(replica, kept);
        }
    }
    assert_eq!(restarts(&replicas), 0);
}

fn work(replica: &Replica, number: usize, progress: &Progress) -> Acknowledged {
    let mut kept = Acknowledged::default();
    let (authority, sessions) = (&replica.authority, replica.authority.sessions());
    for turn in 0.. {
        if progress.is_stopped() {
            break;
        }
        let user = format!("{turn} of {number}");
        if let Ok(token) = authority.issue(Grant::user(user.as_str())) {
            let bump = authority.bump(Scope::user(user.as_str())).wait();
            if progress.count(bump).is_ok() {
                replica.assert_dead(&token);
                kept.revoked.push(token);
            }
        }
        let start = sessions.start(Grant::user(user.as_str()), "").wait();
        let Ok(mut pair) = progress.count(start) else {
            continue;
        };
        for _ in 0..2 {
            match progress.count(sessions.refresh(&pair.refresh).wait()) {
                Ok(next) => pair = next,
                Err(error) => assert!(!error.needs_log_in(), "{error:?}"),
            }
        }
        if turn % 2 == 0 {
            kept.live.push(pair);
        } else if progress
            .count(sessions.end(pair.session.id()).wait())
            .is_ok()
        {
            kept.ended.push(pair);
        }
    }
    kept
}

fn assert_kept(replica: &Replica, kept: &Acknowledged) {
    for token in &kept.revoked {
        replica.assert_dead(token);
    }
    for pair in &kept.ended {
        replica.assert_dead(&pair.access);
        until("an ended session is refused", || {
            match replica.refreshed(pair) {
                "ended" => true,
                "store" | "stale_epochs" => false,
                outcome => panic!("an ended session is {outcome}"),
            }
        });
    }
    for pair in &kept.live {
        replica.until_good(&pair.access);
        until("a session is refreshed", || match replica.refreshed(pair) {
            "good" => true,
            "store" | "stale_epochs" | "try_again" | "too_many_replays" => false,
            outcome => panic!("a session is {outcome}"),
        });
    }
}
