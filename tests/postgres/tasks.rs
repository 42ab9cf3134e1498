//! From inside async runtimes, where the synchronous client panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use epochkey::{Grant, PostgresOptions, PostgresStore, Scope};
use tokio::{
    runtime::{Builder, Runtime},
    task,
};

use crate::{
    hand::{builder, patient},
    server::{self, Server},
};

fn runtimes() -> [Runtime; 2] {
    let build = |builder: &mut Builder| builder.enable_all().build().unwrap();
    [
        build(&mut Builder::new_current_thread()),
        build(Builder::new_multi_thread().worker_threads(2)),
    ]
}

/// Why the store has threads of its own.
#[test]
fn the_synchronous_client_panics_in_a_runtime() {
    let Some(server) = server::postgres() else {
        return;
    };
    for runtime in runtimes() {
        let connected = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { server.connection().map(drop) })
        }));
        let panic = connected.expect_err("it panics");
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .unwrap_or_else(|| (*panic.downcast_ref::<&str>().expect("a text")).to_owned());
        assert!(
            text.contains("Cannot start a runtime from within a runtime"),
            "{text}"
        );
    }
}

/// Also connecting and opening, which wait for the server.
#[test]
fn all_of_it_is_done_from_inside_a_runtime() {
    let Some(server) = server::postgres() else {
        return;
    };
    for runtime in runtimes() {
        runtime.block_on(async {
            let store = PostgresStore::connect(&server.url(), patient()).unwrap();
            let authority = builder().open(store).unwrap();
            let sessions = authority.sessions();
            let pair = sessions.start(Grant::user("u"), "").await.unwrap();
            let pair = sessions.refresh(&pair.refresh).await.unwrap();
            assert_eq!(sessions.list("u").await.unwrap().len(), 1);
            let epoch = authority.bump(Scope::user("u")).await.unwrap();
            authority.applied_everywhere(epoch).await.unwrap();
            authority.verify(&pair.access).unwrap_err();
            authority.rotate_key().wait().unwrap();
            authority.bump(Scope::user("u")).wait().unwrap();
            let refused =
                PostgresStore::connect(&(server.url() + "?user=no"), PostgresOptions::new());
            drop(refused);
            let inner = authority.clone();
            let spawned = task::spawn(async move { inner.bump(Scope::user("u")).await });
            spawned.await.unwrap().unwrap();
            drop(authority);
        });
    }
}

/// The runtime's threads go on while the server says nothing.
#[test]
fn a_frozen_server_holds_up_no_task() {
    let Some(server) = server::postgres() else {
        return;
    };
    let options = PostgresOptions::new().response_timeout(std::time::Duration::from_secs(60));
    for runtime in runtimes() {
        runtime.block_on(async {
            let store = PostgresStore::connect(&server.url(), options.clone()).unwrap();
            let authority = builder().open(store).unwrap();
            let turns = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&turns);
            let counter = task::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::SeqCst);
                    task::yield_now().await;
                }
            });
            server.freeze().unwrap();
            let bump = authority.bump(Scope::user("u"));
            let start = authority.sessions().start(Grant::user("v"), "");
            let list = authority.sessions().list("v");
            let asked = turns.load(Ordering::SeqCst);
            let tasks = (task::spawn(bump), task::spawn(start), task::spawn(list));
            while turns.load(Ordering::SeqCst) < asked + 1000 {
                task::yield_now().await;
            }
            let (bump, start, list) = tasks;
            assert!(!bump.is_finished() && !start.is_finished() && !list.is_finished());
            server.thaw().unwrap();
            bump.await.unwrap().unwrap();
            start.await.unwrap().unwrap();
            list.await.unwrap().unwrap();
            counter.abort();
        });
    }
}
