//! Many requests that wait at the same time.

use std::time::Duration;

use epochkey::{Authority, Grant, MasterSecret, Policy, Scope, WhenFull};

use super::{Kind, fleet::until};
use crate::server::{self, Server};

fn open<K: Kind>(server: &K::Server, timeout: Duration) -> Authority {
    let policy = Policy::default().max_staleness(Duration::from_secs(60));
    Authority::builder("https://issuer.test", "api")
        .master_secret(MasterSecret::generate().unwrap())
        .policy(policy.max_sessions(100, WhenFull::Refuse))
        .open(K::connect(&server.url(), timeout))
        .unwrap()
}

/// However much they are together, and whatever else is asked for meanwhile.
pub(crate) fn long_lists_are_given<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let authority = open::<K>(&server, Duration::from_secs(10));
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
pub(crate) fn all_that_wait_for_a_silent_server_are_answered_together<K: Kind>() {
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let authority = open::<K>(&server, Duration::from_secs(1));
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
