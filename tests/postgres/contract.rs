//! The contract of stores, and what this one has to say beyond it.

use std::sync::atomic::{AtomicUsize, Ordering};

use epochkey::{Authority, BumpError, MasterSecret, PostgresStore, Scope, testing::store_contract};

use crate::{
    hand::patient,
    server::{self, Server},
};

#[test]
fn the_store_on_postgresql_keeps_its_contract() {
    let Some(server) = server::postgres() else {
        return;
    };
    let clauses = AtomicUsize::new(0);
    store_contract(|| {
        // A name that has to be quoted.
        let schema = format!("the \"clause\" {}", clauses.fetch_add(1, Ordering::SeqCst));
        let url = server.url();
        move || PostgresStore::connect(&url, patient().schema(&schema)).unwrap()
    });
}

#[test]
fn a_commit_too_large_is_refused_whole() {
    let Some(server) = server::postgres() else {
        return;
    };
    let store = PostgresStore::connect(&server.url(), patient()).unwrap();
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    let authority = builder.open(store).unwrap();
    let users = |count: u32| (0..count).map(|user| Scope::user(format!("user-{user}")));
    let refused = authority.bump_many(users(20_001)).wait().unwrap_err();
    let BumpError::Store(cause) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((cause.label(), cause.is_transient()), ("too_large", false));
    assert!(refused.to_string().contains("none was bumped"), "{refused}");
    authority.bump_many(users(20_000)).wait().unwrap();
    assert_eq!(authority.stats().epochs, 20_000);
    assert_eq!(authority.stats().position, 20_001);
}
