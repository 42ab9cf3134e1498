//! Many requests that wait at the same time, and many rows of one user.

use std::time::Duration;

use epochkey::{
    Authority, Grant, Policy, PostgresOptions, PostgresStore, Store, WhenFull,
    store::{Beginning, Effect, RowId, Rows, SessionChange, SessionQuery, StoreTime},
};

use crate::{
    faults::fleet::{result, until},
    hand::{builder, count, patient},
    raw::{begin, bytes, commit_all, event, far, start},
    server::{self, PostgresServer, Server},
};

fn open(server: &PostgresServer, options: PostgresOptions) -> Authority {
    let policy = Policy::default().max_staleness(Duration::from_secs(60));
    let store = PostgresStore::connect(&server.url(), options).unwrap();
    let policy = policy.max_sessions(100, WhenFull::Refuse);
    builder().policy(policy).open(store).unwrap()
}

#[test]
fn all_sessions_of_a_user_are_found_and_ended_however_many() {
    const MANY: u64 = 10_000;
    let Some(server) = server::postgres() else {
        return;
    };
    let store = PostgresStore::connect(&server.url(), patient()).unwrap();
    let known = begin(&store, 1 << 60, Beginning::Empty);
    for from in (0..MANY).step_by(1000) {
        let mut rows: Vec<_> = (from..from + 1000)
            .map(|number| start(number, 7, far()))
            .collect();
        rows.push(start(MANY + from, 8, far()));
        commit_all(&store, known, Vec::new(), rows);
    }
    let of_user = |user| {
        let (told, answer) = std::sync::mpsc::channel();
        let query = SessionQuery {
            known,
            rows: Rows::OfUser(bytes(user)),
            now: StoreTime::default(),
        };
        store.sessions(query, Box::new(move |rows| drop(told.send(rows))));
        let mut rows: Vec<_> = answer.recv().unwrap().unwrap().value.unwrap();
        rows.sort_by_key(|row| row.row.id);
        rows.into_iter().map(|row| row.row.id)
    };
    assert!(of_user(7).eq((0..MANY).map(|number| RowId::from_bytes(bytes(number)))));
    let bump = Effect::Epoch {
        tag: bytes(7),
        secret: bytes(1),
    };
    let except = Some(RowId::from_bytes(bytes(77)));
    let end = SessionChange::EndOfUser {
        user: bytes(7),
        except,
    };
    commit_all(&store, known, vec![event(1, bump)], vec![end]);
    assert!(of_user(7).eq(except));
    assert_eq!(of_user(8).count(), 10);
}

/// What waits at the same time shares transactions.
#[test]
fn what_waits_together_is_made_together() {
    let Some(server) = server::postgres() else {
        return;
    };
    let authority = open(&server, patient());
    let transactions = || {
        // The server counts them with a delay, so it is asked by another way: each has an id.
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        server.value(sql).unwrap().parse::<u64>().unwrap()
    };
    let mut held = server.connection().unwrap();
    held.batch_execute("BEGIN; SELECT FROM epochkey.head FOR UPDATE")
        .unwrap();
    let before = transactions();
    let sessions = authority.sessions();
    let starts: Vec<_> = (0..640)
        .map(|user| sessions.start(Grant::user(format!("user-{user}")), ""))
        .collect();
    until("somebody waits", || {
        count(&server, "wait_event_type = 'Lock'") == 1
    });
    held.batch_execute("COMMIT").unwrap();
    let pairs: Vec<_> = starts
        .into_iter()
        .map(|start| result(start).unwrap())
        .collect();
    let refreshes: Vec<_> = pairs
        .iter()
        .map(|pair| sessions.refresh(&pair.refresh))
        .collect();
    let pairs: Vec<_> = refreshes
        .into_iter()
        .map(|refresh| result(refresh).unwrap())
        .collect();
    for pair in &pairs {
        assert!(authority.verify(&pair.access).is_ok());
    }
    let made = transactions() - before;
    assert!(made < 400, "{made} transactions for 1280 changes");
}
