//! Many requests that wait at the same time, and many rows of one user.

use std::time::Duration;

use epochkey::{
    Authority, Grant, Policy, PostgresOptions, PostgresStore, Scope, Store, WhenFull,
    store::{Beginning, Effect, RowId, Rows, SessionChange, SessionQuery, StoreTime},
};

use crate::{
    faults::fleet::{result, until},
    hand::builder,
    raw::{begin, bytes, commit_all, event, far, start},
    server::{self, PostgresServer, Server},
};

fn open(server: &PostgresServer, options: PostgresOptions) -> Authority {
    let policy = Policy::default().max_staleness(Duration::from_secs(60));
    let store = PostgresStore::connect(&server.url(), options).unwrap();
    let policy = policy.max_sessions(100, WhenFull::Refuse);
    builder().policy(policy).open(store).unwrap()
}

/// However much they are together, and whatever else is asked for meanwhile.
#[test]
fn long_lists_are_given() {
    let Some(server) = server::postgres() else {
        return;
    };
    let authority = open(&server, PostgresOptions::new());
    let sessions = authority.sessions();
    let group = |number| format!("{number}{}", "g".repeat(200));
    let grant = || (0..8).fold(Grant::user("u"), |grant, number| grant.group(group(number)));
    for _ in 0..100 {
        sessions.start(grant(), "x".repeat(255)).wait().unwrap();
    }
    let mut bumps = Vec::new();
    let mut lists = Vec::new();
    for number in 0..400 {
        lists.push(sessions.list("u"));
        if number % 20 == 0 {
            bumps.push(authority.bump(Scope::user(format!("user-{number}"))));
        }
    }
    for list in lists {
        assert_eq!(list.wait().unwrap().len(), 100);
    }
    for bump in bumps {
        bump.wait().unwrap();
    }
}

/// Each has waited as long as those in front of it.
#[test]
fn all_that_wait_for_a_silent_server_are_answered_together() {
    let Some(server) = server::postgres() else {
        return;
    };
    let timeout = Duration::from_secs(1);
    let options = PostgresOptions::new().connect_timeout(timeout);
    let authority = open(&server, options.response_timeout(timeout));
    authority.bump(Scope::user("u")).wait().unwrap();
    server.freeze().unwrap();
    let bumps: Vec<_> = (0..20_000)
        .map(|number| authority.bump(Scope::user(format!("user-{number}"))))
        .collect();
    until("all are answered", || {
        bumps
            .iter()
            .all(|bump| format!("{bump:?}") != "Op(running)")
    });
    assert!(bumps.into_iter().all(|bump| bump.wait().is_err()));
    server.thaw().unwrap();
    until("it bumps", || {
        authority.bump(Scope::user("u")).wait().is_ok()
    });
}

#[test]
fn all_sessions_of_a_user_are_found_and_ended_however_many() {
    const MANY: u64 = 10_000;
    let Some(server) = server::postgres() else {
        return;
    };
    let store = PostgresStore::connect(&server.url(), PostgresOptions::new()).unwrap();
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
    let authority = open(
        &server,
        PostgresOptions::new().response_timeout(Duration::from_secs(60)),
    );
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
        crate::hand::count(&server, "wait_event_type = 'Lock'") == 1
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
