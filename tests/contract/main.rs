//! The contract suite: the crate's own stores pass it, and none of the broken ones does.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod broken;
mod flaws;

use std::sync::Arc;

use epochkey::{
    MemoryStore, RedbStore, Store, SystemClock,
    testing::{FaultyStore, ManualClock, store_contract},
};

#[test]
fn the_store_in_memory_keeps_its_contract() {
    store_contract(|| MemoryStore::new);
}

#[test]
fn a_store_behind_a_pointer_keeps_its_contract() {
    store_contract(|| || Arc::new(MemoryStore::new()));
    store_contract(|| {
        let server = FaultyStore::new(SystemClock);
        move || Box::new(server.connect()) as Box<dyn Store>
    });
}

#[test]
fn one_that_nobody_else_reaches_keeps_its_contract() {
    store_contract(|| {
        let store = FaultyStore::embedded();
        move || store.connect()
    });
}

#[test]
fn a_shared_one_keeps_its_contract() {
    store_contract(|| {
        let server = FaultyStore::new(SystemClock);
        move || server.connect()
    });
}

#[test]
fn the_store_in_one_file_keeps_its_contract() {
    store_contract(|| {
        let directory = tempfile::tempdir().unwrap();
        move || RedbStore::open(directory.path().join("auth.redb")).unwrap()
    });
}

/// No clause waits for a clock to go on.
#[test]
fn a_shared_one_whose_clock_stands_still_keeps_its_contract() {
    store_contract(|| {
        let server = FaultyStore::new(ManualClock::at_unix_seconds(1_700_000_000));
        move || server.connect()
    });
}
