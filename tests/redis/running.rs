//! What is changed on a server that runs, and what was changed back.

use std::{net::TcpListener, thread};

use epochkey::{
    Authority, BuildError, Grant, MasterSecret, RedisOptions, RedisStore, Scope,
    testing::store_contract,
};

use crate::{
    Redis,
    faults::{
        fleet::{Fleet, Replica, assert_log_ins_work, restarts, soon_stale, until},
        forwarder::Forwarder,
        known::Known,
    },
    server::{self, RedisServer, Server},
};

fn set(server: &RedisServer, name: &str, value: &str) {
    server.command(&["CONFIG", "SET", name, value]).unwrap();
}

fn break_connections(server: &RedisServer) {
    for kind in ["normal", "pubsub"] {
        let kill = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
        server.command(&kill).unwrap();
    }
}

/// Looked at with each connection, so a server that has become weak is not used any more.
#[test]
fn a_setting_changed_at_run_time_makes_all_stale_until_it_is_changed_back() {
    thread::scope(|scope| {
        for (name, weak, strong) in [
            ("appendfsync", "everysec", "always"),
            ("no-appendfsync-on-rewrite", "yes", "no"),
            ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ] {
            scope.spawn(move || change_and_change_back(name, weak, strong));
        }
    });
}

fn change_and_change_back(name: &str, weak: &str, strong: &str) {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    set(&server, name, weak);
    break_connections(&server);
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    for replica in &replicas {
        let why = format!("`{name} {strong}` (it is `{weak}`)");
        until(&why, || {
            let failed = replica.told.failed();
            failed.is_some_and(|failed| failed.contains(&why))
        });
    }
    set(&server, name, strong);
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

/// Between two times, everybody has asked for something: each is taught once.
#[test]
fn a_server_that_forgets_its_scripts_is_taught_them_again() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let forget = || {
        for replica in &replicas {
            replica.authority.catch_up().wait().unwrap();
        }
        server.command(&["SCRIPT", "FLUSH"]).unwrap();
    };
    for turn in 0..20 {
        let here = &replicas[turn % 2];
        let (authority, token) = (&here.authority, here.issue("u"));
        forget();
        authority.bump(Scope::user("u")).wait().unwrap();
        here.assert_dead(&token);
        forget();
        let sessions = authority.sessions();
        let pair = sessions.start(Grant::user("v"), "").wait().unwrap();
        forget();
        sessions.refresh(&pair.refresh).wait().unwrap();
    }
    for replica in &replicas {
        assert_eq!(replica.told.failed(), None);
    }
}

/// News is not given either, for it keeps receipts: so all are stale.
#[test]
fn without_memory_nothing_is_half_made_and_all_are_stale() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let (token, pair) = (replicas[0].issue("full"), replicas[0].start("full"));
    set(&server, "maxmemory", "1");
    let refused = replicas[0].authority.bump(Scope::user("full")).wait();
    assert_eq!(refused.unwrap_err().label(), "store");
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    let failed = replicas[0].told.failed().unwrap();
    assert!(failed.contains("OOM"), "{failed}");
    set(&server, "maxmemory", "0");
    known.until_in_force(&replicas);
    // The bump, and the end of the sessions with it, were not made.
    for replica in &replicas {
        replica.until_good(&token);
        replica.until_good(&pair.access);
    }
    assert_eq!(replicas[1].refreshed(&pair), "good");
    replicas[0].bump("full");
    replicas[0].assert_dead(&token);
    assert_eq!(restarts(&replicas), 0);
}

/// A primary that was cut off from its replicas takes nothing any more.
#[test]
fn a_primary_that_lacks_its_replicas_is_of_no_use() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    set(&server, "min-replicas-to-write", "1");
    until("all are stale", || replicas.iter().all(Replica::is_stale));
    known.assert_all_refused(&replicas);
    let failed = replicas[0].told.failed().unwrap();
    assert!(failed.contains("NOREPLICAS"), "{failed}");
    let standby = server.replica().unwrap();
    known.until_in_force(&replicas);
    drop(standby);
    until("all are stale again", || {
        replicas.iter().all(Replica::is_stale)
    });
    set(&server, "min-replicas-to-write", "0");
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

/// It may lag, and what it shows would look fresh.
#[test]
fn a_replica_of_the_server_is_not_believed() {
    let Some(mut primary) = server::redis() else {
        return;
    };
    let mut standby = primary.replica().unwrap();
    let name = Forwarder::to(primary.address());
    let fleet = Fleet::<Redis>::new(primary.url_at(name.address()), soon_stale());
    let replicas = fleet.replicas(2);
    let known = Known::of(&replicas);
    let all_are_stale = || {
        until("all are stale", || replicas.iter().all(Replica::is_stale));
        known.assert_all_refused(&replicas);
        until("they say why", || {
            let failed = replicas[0].told.failed();
            failed.is_some_and(|failed| failed.contains("is a replica"))
        });
    };
    // Connected to already: it follows somebody who never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let demote = ["REPLICAOF", "127.0.0.1", &port];
    primary.command(&demote).unwrap();
    all_are_stale();
    primary.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    known.until_in_force(&replicas);

    standby.rejoin(&primary).unwrap();
    standby.cut_off().unwrap();
    primary.kill().unwrap();
    name.lead_to(Some(standby.address()));
    all_are_stale();
    standby.promote().unwrap();
    known.until_in_force(&replicas);
    assert_eq!(restarts(&replicas), 0);
}

#[test]
fn stores_with_different_prefixes_do_not_see_each_other() {
    let Some(server) = server::redis() else {
        return;
    };
    let secret = MasterSecret::generate().unwrap();
    let open = |prefix: &str| {
        let options = RedisOptions::new().prefix(prefix);
        let store = RedisStore::connect(&server.url(), options).unwrap();
        let builder = Authority::builder("https://issuer.test", "api");
        Replica::open(builder.master_secret(secret.clone()), store)
    };
    let (one, other) = (open("one"), open("other"));
    let (token, token_there) = (one.issue("u"), other.issue("u"));
    let pair = other.start("u");
    assert_eq!(one.outcome(&token_there), "unknown_key");
    assert_eq!(one.refreshed(&pair), "bad_tag");
    one.bump("u");
    one.assert_dead(&token);
    other.authority.catch_up().wait().unwrap();
    assert_eq!(other.outcome(&token_there), "good");
    assert_eq!(other.refreshed(&pair), "good");
    assert_eq!(one.authority.stats().position, 2);
    assert_eq!(other.authority.stats().position, 1);
}

/// It is no damage, and nobody should throw it away.
#[test]
fn a_store_of_a_newer_version_is_not_called_damaged() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let running = fleet.replica();
    let newer = ["HSET", "{epochkey}:head", "schema", "2"];
    server.command(&newer).unwrap();
    let store = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    let Err(BuildError::Store(error)) = fleet.builder().open(store) else {
        panic!("what is newer is read");
    };
    assert_eq!(error.label(), "unreadable");
    until("it is stale", || running.is_stale());
}

/// A bump that ended nothing would be one that was not made.
#[test]
fn without_its_index_of_sessions_nobody_is_told_that_they_ended() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let replica = fleet.replica();
    replica.start("u");
    let gone = ["DEL", "{epochkey}:sessions-by-user"];
    server.command(&gone).unwrap();
    replica.authority.bump(Scope::user("u")).wait().unwrap_err();
    replica.authority.sessions().list("u").wait().unwrap_err();
}

/// Nobody can tell any more what was revoked.
#[test]
fn without_its_epochs_a_fresh_replica_does_not_start() {
    let Some(server) = server::redis() else {
        return;
    };
    let fleet = Fleet::<Redis>::new(server.url(), soon_stale());
    let running = fleet.replica();
    let token = running.issue("u");
    running.bump("u");
    let gone = ["DEL", "{epochkey}:epochs"];
    assert_eq!(server.command(&gone).unwrap(), redis::Value::Int(1));
    let error = fleet.builder().open(fleet.store()).unwrap_err();
    let epochkey::BuildError::Store(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.label(), "damaged");
    running.assert_dead(&token);
    // Without the rest, too, it is a loss like any other.
    server.command(&["FLUSHALL"]).unwrap();
    running.until_refused(&token, "unknown_key");
    let replicas = [running, fleet.replica()];
    replicas[1].until_refused(&token, "unknown_key");
    assert_log_ins_work(&replicas);
    assert_eq!(restarts(&replicas), 1);
}

/// A cluster of one node, where all keys of a script must be on it.
#[test]
fn a_server_of_a_cluster_keeps_the_contract() {
    let settings = [("cluster-enabled", "yes")];
    let Some(server) = server::start::<RedisServer>(&settings) else {
        return;
    };
    let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    server.command(&slots).unwrap();
    until("the cluster is up", || {
        let state = server.command(&["CLUSTER", "INFO"]).unwrap();
        let state: String = redis::from_redis_value(state).unwrap();
        state.contains("cluster_state:ok")
    });
    let clauses = std::sync::atomic::AtomicUsize::new(0);
    store_contract(|| {
        let clause = clauses.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (prefix, url) = (format!("clause-{clause}"), server.url());
        move || RedisStore::connect(&url, RedisOptions::new().prefix(&prefix)).unwrap()
    });
}
