//! Refreshes and starts race what ends their sessions, on real threads. When the end has
//! returned, whatever they gave or will give is dead, and no row is left to be refreshed.

use std::{
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use epochkey::{Grant, RefreshError, Scope, StartError, TokenPair};

use crate::support::{DAY, Service};

const ROUNDS: usize = 25;
const THREADS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum End {
    Each,
    All,
    Bump,
}

impl End {
    fn make(self, service: &Service, pairs: &[TokenPair]) {
        let sessions = service.authority.sessions();
        match self {
            Self::Each => {
                let ends: Vec<_> = pairs
                    .iter()
                    .map(|it| sessions.end(it.session.id()))
                    .collect();
                ends.into_iter().for_each(|end| assert!(end.wait().is_ok()));
            }
            Self::All => assert!(sessions.end_all("u").wait().is_ok()),
            Self::Bump => assert!(service.authority.bump(Scope::user("u")).wait().is_ok()),
        }
    }
}

fn services() -> [Service; 2] {
    [Service::new(), Service::on_redb()]
}

/// One refresh after the other, the pairs of all of them.
fn refresh_until_ended(
    service: &Service,
    first: &TokenPair,
    has_ended: &AtomicBool,
    given_to_all: &Barrier,
) -> Vec<TokenPair> {
    let mut given = vec![first.clone()];
    while let Some(current) = given.last() {
        let had_ended = has_ended.load(Ordering::SeqCst);
        match service.refresh(current) {
            Ok(_) if had_ended => panic!("refreshed after the end had returned"),
            Ok(next) => {
                given.push(next);
                if given.len() == 2 {
                    given_to_all.wait();
                }
            }
            Err(RefreshError::TryAgain) => {}
            Err(RefreshError::Ended) => break,
            Err(error) => panic!("{error}"),
        }
    }
    given
}

fn assert_dead(service: &Service, given: &[TokenPair]) {
    for pair in given {
        assert_ne!(service.outcome(pair), "good");
        assert_eq!(service.refused(pair), "ended");
    }
}

fn refreshes_race(end: End) {
    for service in services() {
        for _ in 0..ROUNDS {
            let (pairs, barrier) = (
                [(); THREADS].map(|()| service.start("u")),
                Barrier::new(THREADS + 1),
            );
            let has_ended = AtomicBool::new(false);
            let given: Vec<_> = thread::scope(|threads| {
                let refreshing: Vec<_> = pairs
                    .iter()
                    .map(|pair| {
                        threads.spawn(|| refresh_until_ended(&service, pair, &has_ended, &barrier))
                    })
                    .collect();
                barrier.wait();
                end.make(&service, &pairs);
                has_ended.store(true, Ordering::SeqCst);
                assert!(service.labels("u").is_empty(), "{end:?}");
                let given = refreshing.into_iter().map(|thread| thread.join().unwrap());
                given.flatten().collect()
            });
            assert_dead(&service, &given);
        }
    }
}

#[test]
fn refreshes_race_the_end_of_a_session() {
    refreshes_race(End::Each);
}

#[test]
fn refreshes_race_the_end_of_all_sessions() {
    refreshes_race(End::All);
}

#[test]
fn refreshes_race_a_bump_of_the_user() {
    refreshes_race(End::Bump);
}

/// A log-in whose facts are older than the bump: it says so with a mark, as any does that checks
/// a password first.
fn starts_race(end: End) {
    for service in services() {
        for _ in 0..ROUNDS {
            let mark = service.authority.mark();
            let (given, barrier) = (Mutex::new(Vec::new()), Barrier::new(THREADS + 1));
            let anchor = service.start("u");
            let is_over = AtomicBool::new(false);
            thread::scope(|threads| {
                for _ in 0..THREADS {
                    threads.spawn(|| {
                        let mut is_first = true;
                        while !is_over.load(Ordering::SeqCst) {
                            let grant = Grant::user("u").as_of(mark);
                            match service.authority.sessions().start(grant, "").wait() {
                                Ok(pair) => {
                                    given.lock().unwrap().push(pair);
                                    if std::mem::take(&mut is_first) {
                                        barrier.wait();
                                    }
                                }
                                Err(StartError::BumpedMeanwhile) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    });
                }
                barrier.wait();
                end.make(&service, &[]);
                is_over.store(true, Ordering::SeqCst);
            });
            let given = given.into_inner().unwrap();
            assert_dead(&service, &given);
            assert_dead(&service, &[anchor]);
        }
    }
}

#[test]
fn starts_race_the_end_of_all_sessions() {
    starts_race(End::All);
}

#[test]
fn starts_race_a_bump_of_the_user() {
    starts_race(End::Bump);
}

/// All but one end, while all of them are refreshed: that one goes on, and no other.
#[test]
fn refreshes_race_the_end_of_the_others() {
    for service in services() {
        for _ in 0..ROUNDS {
            let (kept, others) = (
                service.start("u"),
                [(); THREADS].map(|()| service.start("u")),
            );
            let barrier = Barrier::new(THREADS + 2);
            let has_ended = AtomicBool::new(false);
            let (last, given) = thread::scope(|threads| {
                let refreshing = others.each_ref().map(|other| {
                    threads.spawn(|| refresh_until_ended(&service, other, &has_ended, &barrier))
                });
                let kept_one = threads.spawn(|| {
                    barrier.wait();
                    (0..10).fold(kept.clone(), |pair, _| service.refresh(&pair).unwrap())
                });
                barrier.wait();
                let sessions = service.authority.sessions();
                sessions.end_others(kept.session.id()).wait().unwrap();
                has_ended.store(true, Ordering::SeqCst);
                let given = refreshing.map(|thread| thread.join().unwrap());
                (kept_one.join().unwrap(), given)
            });
            given.iter().for_each(|given| assert_dead(&service, given));
            assert_eq!(service.outcome(&last), "good");
            End::All.make(&service, &[]);
        }
    }
}

/// That a session has ended is a fact of its row, not of the epoch table, which is pruned.
#[test]
fn rotation_and_pruning_long_after_an_end_leave_it_ended() {
    for service in services() {
        for end in [End::Each, End::All, End::Bump] {
            let pair = service.start("u");
            let next = service.refresh(&pair).unwrap();
            end.make(&service, std::slice::from_ref(&next));
            for _ in 0..3 {
                service.authority.rotate_key().wait().unwrap();
                service.clock.advance(DAY / 24);
                // An operation of its own after what was due was done.
                service.authority.catch_up().wait().unwrap();
            }
            service.authority.swap_key().wait().unwrap();
            assert_eq!(service.authority.stats().epochs, 0, "pruned");
            assert_dead(&service, &[pair, next]);
            assert!(service.labels("u").is_empty());
        }
    }
}
