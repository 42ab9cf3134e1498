//! A primary whose synchronous standby does not answer: what it has is not safe yet.

use std::time::Duration;

use epochkey::Scope;

use crate::{
    Postgres,
    faults::{
        Kind,
        fleet::{Fleet, Replica, assert_log_ins_work, restarts, result, soon_stale, until},
        known::Known,
    },
    hand::{count, said, set, signal},
    server::{self, Server},
};

const WAITS: &str = "wait_event = 'SyncRep'";

#[test]
fn a_primary_cut_off_from_its_synchronous_standby_is_of_no_use() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    set(&server, "synchronous_standby_names", "nobody");
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    set(&server, "synchronous_standby_names", "");
    known.until_in_force(&replicas);
    assert_log_ins_work(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

/// The server says yes, and warns that it may be lost.
#[test]
fn a_commit_that_may_be_lost_is_not_acknowledged() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::patient(server.url());
    let replica = fleet.replica();
    let pair = replica.start("u");
    let position = replica.authority.stats().position;
    set(&server, "synchronous_standby_names", "nobody");
    let bump = replica.authority.bump(Scope::user("u"));
    until("the commit waits", || {
        signal(&server, "pg_cancel_backend", WAITS);
        format!("{bump:?}") != "Op(running)"
    });
    let error = result(bump).unwrap_err();
    assert_eq!((error.label(), error.is_transient()), ("store", true));
    let text = said(&error);
    assert!(
        text.contains("canceling wait for synchronous replication"),
        "{text}"
    );
    set(&server, "synchronous_standby_names", "");
    // It was made, and the next one is another.
    let epoch = replica.bump("u");
    assert_eq!(epoch.position(), position + 2);
    replica.assert_dead(&pair.access);
}

/// News of what may be lost is none.
#[test]
fn an_exchange_that_may_be_lost_does_not_count() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let patient = Duration::from_secs(60);
    let open = || Replica::open(fleet.builder(), Postgres::connect(&server.url(), patient));
    let replicas = [open(), open()];
    let known = Known::of(&replicas);
    set(&server, "synchronous_standby_names", "nobody");
    until("all are stale", || {
        signal(&server, "pg_cancel_backend", WAITS);
        replicas.iter().all(Replica::is_stale)
    });
    for _ in 0..20 {
        until("another exchange waits", || count(&server, WAITS) > 0);
        signal(&server, "pg_cancel_backend", WAITS);
        assert!(replicas.iter().all(Replica::is_stale));
    }
    set(&server, "synchronous_standby_names", "");
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn with_a_synchronous_standby_a_failover_loses_nothing() {
    let Some(mut primary) = server::postgres() else {
        return;
    };
    let mut standby = primary.replica().unwrap();
    set(&primary, "synchronous_standby_names", "*");
    let url = format!(
        "postgres://postgres@{},{}/postgres",
        primary.address(),
        standby.address()
    );
    let fleet = Fleet::<Postgres>::new(url, soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let last = replicas[0].issue("last");
    for turn in 0..50 {
        replicas[turn % 2].bump(if turn < 49 { "u" } else { "last" });
    }
    // Without a moment to catch up.
    primary.kill().unwrap();
    standby.promote().unwrap();
    known.until_in_force(&replicas);
    for replica in &replicas {
        replica.until_refused(&last, "revoked");
    }
    assert_eq!(restarts(&replicas), 0);
}
