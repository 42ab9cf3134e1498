//! Transactions of others that stay open.

use std::{thread, time::Duration};

use epochkey::{
    PostgresOptions, Scope,
    store::{Beginning, Effect},
};
use postgres::Client;

use crate::{
    Postgres,
    faults::{
        Kind,
        fleet::{
            Fleet, LONG, Replica, is_running, restarts, result, soon_stale, until, until_some,
        },
    },
    hand::{self, count, patient},
    network::{Proxy, Way},
    raw,
    server::{self, Server},
};

/// As a process does that stops between having written and having committed: the next event is
/// there for nobody.
fn append(client: &mut Client) {
    client
        .batch_execute(
            "BEGIN;
             SELECT FROM epochkey.head FOR UPDATE;
             INSERT INTO epochkey.log
                 SELECT history, position + 1, 'an event''s id!!!', time, body FROM epochkey.log
                 WHERE position = (SELECT position FROM epochkey.head);
             UPDATE epochkey.head SET position = position + 1, event = 'an event''s id!!!';",
        )
        .unwrap();
}

/// Where a sequence gave the positions, others would go past it, and it would come out of order.
#[test]
fn nothing_gets_past_a_transaction_that_is_held_open() {
    let Some(server) = server::postgres() else {
        return;
    };
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(3);
    let token = replicas[0].issue("u");
    let mut held = server.connection().unwrap();
    append(&mut held);
    let position = |replica: &Replica| replica.authority.stats().position;
    let before = position(&replicas[0]);
    for replica in replicas.iter().cycle().take(6) {
        // In time, and to be tried again.
        let error = result(replica.authority.bump(Scope::user("u"))).unwrap_err();
        assert_eq!((error.label(), error.is_transient()), ("store", true));
    }
    for replica in &replicas {
        result(replica.authority.catch_up()).unwrap();
        assert!(!replica.is_stale());
        assert_eq!(position(replica), before);
        assert_eq!(replica.outcome(&token), "good");
    }
    held.batch_execute("ROLLBACK").unwrap();
    let epoch = replicas[1].bump("u");
    assert_eq!(epoch.position(), before + 1, "what failed was made");
    for replica in &replicas {
        result(replica.authority.wait_for(epoch)).unwrap();
        replica.assert_dead(&token);
    }
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn who_waits_behind_a_transaction_comes_after_it() {
    let Some(server) = server::postgres() else {
        return;
    };
    let connect = || Postgres::connect(&server.url(), LONG);
    let (one, other) = (connect(), connect());
    let head = raw::begin(&one, 1, Beginning::Empty);
    let mut held = server.connection().unwrap();
    append(&mut held);
    thread::scope(|scope| {
        let commits = [(&one, 11), (&other, 12)].map(|(store, number)| {
            let (tag, secret) = (raw::bytes(7), raw::bytes(number));
            let bump = raw::event(number, Effect::Epoch { tag, secret });
            scope.spawn(move || raw::commit(store, head, vec![bump]))
        });
        until("both wait", || {
            count(&server, "wait_event_type = 'Lock'") == 2
        });
        held.batch_execute("COMMIT").unwrap();
        let mut positions = commits.map(|commit| commit.join().unwrap().position);
        positions.sort_unstable();
        assert_eq!(positions, [head.position + 2, head.position + 3]);
    });
}

/// Between having locked and having written: the server lets go of it by itself, though nobody
/// tells it that the other end is gone.
#[test]
fn who_stops_in_the_middle_holds_up_the_others_for_a_while_only() {
    let Some(server) = server::postgres() else {
        return;
    };
    let proxy = Proxy::to_server(server.address()).unwrap();
    let fleet = Fleet::<Postgres>::new(server.url(), soon_stale());
    let replicas = [
        fleet.replica(),
        fleet.replica_at(&server.url_at(proxy.address())),
    ];
    let token = replicas[0].issue("u");
    let holds_the_head = "state = 'idle in transaction' AND pid IN (SELECT pid FROM pg_locks \
        WHERE relation = 'epochkey.head'::regclass AND mode = 'RowShareLock')";
    // On a slow machine it may have given up before anybody looks.
    let (position, stopped) = until_some("it holds the head", || {
        proxy.release();
        // So that its connection is there.
        let position = replicas[1].bump("v").position();
        proxy.hold(Way::ToClient);
        let stopped = replicas[1].authority.bump(Scope::user("u"));
        let mut holds = false;
        until("it holds the head, or gives up", || {
            holds = count(&server, holds_the_head) == 1;
            holds || !is_running(&stopped)
        });
        holds.then_some((position, stopped))
    });
    proxy.hold(Way::ToServer);
    let epoch = replicas[0].bump("u");
    assert_eq!(epoch.position(), position + 1);
    replicas[0].assert_dead(&token);
    result(stopped).unwrap_err();
    proxy.release();
    until("it follows again", || {
        replicas[1].authority.wait_for(epoch).wait().is_ok()
    });
    assert_eq!(restarts(&replicas), 0);
}

/// Or else whoever tries to connect again and again takes all connections that the server has.
#[test]
fn who_gave_up_connecting_has_nobody_wait_for_him() {
    let Some(server) = server::postgres() else {
        return;
    };
    let options = || PostgresOptions::new().response_timeout(Duration::from_millis(200));
    hand::connect(&server, patient()).unwrap();
    let held = [
        ("epochkey", "LOCK TABLE epochkey.schema_version"),
        ("epochkey", "LOCK TABLE epochkey.epochs"),
        (
            "made_later",
            "SELECT pg_advisory_xact_lock(hashtextextended('epochkey made_later', 0))",
        ),
    ];
    for (schema, lock) in held {
        let mut other = server.connection().unwrap();
        other.batch_execute(&format!("BEGIN; {lock}")).unwrap();
        let connected = hand::connect(&server, options().schema(schema));
        assert!(connected.is_err(), "{lock}");
        until(lock, || count(&server, "wait_event_type = 'Lock'") == 0);
    }
}
