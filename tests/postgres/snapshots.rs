//! Snapshots that do not come through.

use std::collections::HashSet;

use epochkey::{Scope, Store, store::StoreTime};

use crate::{
    Postgres,
    faults::{
        Kind,
        fleet::{Fleet, seconds},
    },
    network::Proxy,
    server::{self, Server},
};

/// More than are handed on at once.
const EPOCHS: usize = 5000;
/// How many bytes of an answer an epoch has.
const ROW: usize = 59;
/// In the question for them.
const MARKER: &str = "SELECT epochs.tag";

/// Those that were given already would be of another state than what another attempt finds.
#[test]
fn a_snapshot_that_is_cut_gives_no_epoch_twice() {
    let Some(server) = server::postgres() else {
        return;
    };
    let replica = Fleet::<Postgres>::patient(server.url()).replica();
    let users = (0..EPOCHS).map(|user| Scope::user(user.to_string()));
    replica.authority.bump_many(users).wait().unwrap();
    let proxy = Proxy::to_server(server.address()).unwrap();
    let store = Postgres::connect(&server.url_at(proxy.address()), seconds(60));
    let snapshot = || {
        let mut tags = Vec::new();
        let given = store.snapshot(StoreTime::default(), &mut |epoch| tags.push(epoch.tag));
        let distinct: HashSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
        (given.is_ok(), tags.len())
    };
    let mut most = 0;
    for bytes in (0..8).map(|part| part * ROW * EPOCHS / 8) {
        assert_eq!(snapshot(), (true, EPOCHS));
        proxy.cut_answer(MARKER, u64::try_from(bytes).unwrap());
        let (is_given, epochs) = snapshot();
        assert!(!proxy.cuts_pend(), "no more than {bytes} bytes");
        assert!(!is_given || epochs == EPOCHS);
        most = most.max(epochs);
    }
    assert!(0 < most && most < EPOCHS, "{most}");
}

/// All has been given by then: what another attempt finds may be of another state.
#[test]
fn a_snapshot_whose_end_is_cut_is_none() {
    let Some(server) = server::postgres() else {
        return;
    };
    let replica = Fleet::<Postgres>::patient(server.url()).replica();
    replica.bump("u");
    let proxy = Proxy::to_server(server.address()).unwrap();
    let store = Postgres::connect(&server.url_at(proxy.address()), seconds(60));
    let mut epochs = 0;
    proxy.cut_request("ROLLBACK", 0);
    let given = store.snapshot(StoreTime::default(), &mut |_| epochs += 1);
    assert!(!proxy.cuts_pend(), "it ends in another way");
    assert_eq!((given.is_err(), epochs), (true, 1));
}

#[test]
fn a_snapshot_that_is_refused_leaves_no_transaction_open() {
    let Some(server) = server::postgres() else {
        return;
    };
    let replica = Fleet::<Postgres>::patient(server.url()).replica();
    server
        .execute(
            "CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA epochkey TO app;
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA epochkey TO app",
        )
        .unwrap();
    let url = format!("postgres://app@{}/postgres", server.address());
    let store = Postgres::connect(&url, seconds(60));
    let snapshot = || store.snapshot(StoreTime::default(), &mut |_| {});
    for _ in 0..2 {
        snapshot().unwrap();
        server
            .execute("REVOKE SELECT ON epochkey.ring_keys FROM app")
            .unwrap();
        snapshot().unwrap_err();
        server
            .execute("GRANT SELECT ON epochkey.ring_keys TO app")
            .unwrap();
    }
    snapshot().unwrap();
    drop(replica);
}
