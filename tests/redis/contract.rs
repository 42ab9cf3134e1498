//! The contract of stores, on one server for all clauses.

use std::sync::atomic::{AtomicUsize, Ordering};

use epochkey::{RedisOptions, RedisStore, testing::store_contract};

use crate::server::{self, Server};

#[test]
fn the_store_on_redis_keeps_its_contract() {
    let Some(server) = server::redis() else {
        return;
    };
    let clauses = AtomicUsize::new(0);
    store_contract(|| {
        let prefix = format!("clause-{}", clauses.fetch_add(1, Ordering::SeqCst));
        let url = server.url();
        move || RedisStore::connect(&url, RedisOptions::new().prefix(&prefix)).unwrap()
    });
}
