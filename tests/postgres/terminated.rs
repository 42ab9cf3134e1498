//! Connections that the server ends.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use epochkey::{Grant, Scope};

use crate::{
    Postgres,
    faults::{
        fleet::{Fleet, restarts, result, soon_stale, until},
        known::Known,
    },
    hand::{count, signal},
    server::{self, Server},
};

/// It looks now and then whether the server is there still.
const LISTENS: &str = "query LIKE 'LISTEN%' OR query = 'SELECT 1'";

#[test]
fn without_the_listener_news_arrives_and_it_listens_again() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(3);
    let known = Known::of(&replicas);
    let pids = || {
        let sql = "SELECT coalesce(string_agg(pid::text, ',' ORDER BY pid), '') \
            FROM pg_stat_activity WHERE application_name = 'epochkey' AND ";
        server.value(&format!("{sql} ({LISTENS})")).unwrap()
    };
    for turn in 0..3 {
        until("all listen", || count(&server, LISTENS) == 3);
        let before = pids();
        assert_eq!(signal(&server, "pg_terminate_backend", LISTENS), 3);
        let user = format!("user-{turn}");
        let token = replicas[0].issue(&user);
        let epoch = replicas[1].bump(&user);
        for replica in &replicas {
            until("it is told", || {
                replica.authority.wait_for(epoch).wait().is_ok()
            });
            replica.assert_dead(&token);
        }
        until("all listen again", || {
            let now = pids();
            let is_new = now
                .split(',')
                .all(|pid| !before.split(',').any(|old| old == pid));
            is_new && count(&server, LISTENS) == 3
        });
    }
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn nonsense_on_the_channel_does_no_harm() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let long = "x".repeat(7000);
    let zeros = format!("{} 18446744073709551615", "A".repeat(22));
    let history =
        "SELECT rtrim(translate(encode(history, 'base64'), '+/', '-_'), '=') FROM epochkey.head";
    let history = server.value(history).unwrap();
    let far = format!("{history} 18446744073709551615");
    let negative = format!("{history} -1");
    let huge = format!("{history} 99999999999999999999999");
    let mut client = server.connection().unwrap();
    for _ in 0..200 {
        for word in [
            "", " ", "  ", "\n", &long, &zeros, &far, &negative, &huge, &history,
        ] {
            client
                .query("SELECT pg_notify('epochkey', $1)", &[&word])
                .unwrap();
        }
    }
    for turn in 0..20 {
        let user = format!("user-{turn}");
        let token = replicas[0].issue(&user);
        let epoch = replicas[1].bump(&user);
        result(replicas[0].authority.wait_for(epoch)).unwrap();
        replicas[0].assert_dead(&token);
    }
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

const USERS: usize = 300;

/// What is under way when its connection ends fails, and may have been made.
#[test]
fn ended_connections_lose_nothing_that_was_acknowledged() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(3);
    let known = Known::of(&replicas);
    let (made, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_over = AtomicBool::new(false);
    let bumped: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::SeqCst) {
                let now = made.load(Ordering::SeqCst);
                if now >= seen + 15 {
                    signal(&server, "pg_terminate_backend", "true");
                    seen = now;
                }
                thread::yield_now();
            }
        });
        let bumps = replicas.iter().enumerate().map(|(number, replica)| {
            let (made, failed) = (&made, &failed);
            scope.spawn(move || {
                let mut bumped = Vec::new();
                for user in 0..USERS / 3 {
                    let user = format!("user-{number}-{user}");
                    let token = replica.issue(&user);
                    match result(replica.authority.bump(Scope::user(&user))) {
                        Ok(epoch) => {
                            made.fetch_add(1, Ordering::SeqCst);
                            bumped.push((token, epoch));
                        }
                        Err(error) => {
                            assert!(error.is_transient(), "{error:?}");
                            failed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
                bumped
            })
        });
        let bumps: Vec<_> = bumps.collect();
        let bumped = bumps
            .into_iter()
            .flat_map(|bump| bump.join().unwrap())
            .collect();
        is_over.store(true, Ordering::SeqCst);
        bumped
    });
    let (made, failed) = (made.into_inner(), failed.into_inner());
    assert!(made > 2 * failed, "{made} were made, {failed} failed");
    let mut positions: Vec<_> = bumped.iter().map(|(_, epoch)| epoch.position()).collect();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), made, "a position was given twice");
    for replica in &replicas {
        for (token, epoch) in &bumped {
            until("it knows the bump", || {
                replica.authority.wait_for(*epoch).wait().is_ok()
            });
            replica.assert_dead(token);
        }
        assert!(replica.authority.issue(Grant::user("u")).is_ok());
    }
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}
