//! From inside an async runtime of one thread.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epochkey::{Grant, Op, Scope};
use tokio::task;

use super::{
    Kind,
    fleet::{Fleet, Replica, until},
};
use crate::server::{self, Server};

/// Of a server that is frozen for as long as the test wants.
const PATIENT: Duration = Duration::from_secs(60);
const TURNS: usize = 1000;

/// Whoever had waited for the server would find it finished.
#[track_caller]
fn assert_runs<T, E>(op: &Op<T, E>)
where
    Op<T, E>: Debug,
{
    assert_eq!(format!("{op:?}"), "Op(running)");
}

pub(crate) fn a_frozen_server_does_not_hold_up_an_async_runtime<K: Kind>()
where
    K::Store: Send,
{
    let Some(server) = server::start::<K::Server>(&[]) else {
        return;
    };
    let fleet = Fleet::<K>::patient(server.url());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let told = runtime.unwrap().block_on(async {
        let open = || {
            let (builder, url) = (fleet.builder(), server.url());
            task::spawn_blocking(move || Replica::open(builder, K::connect(&url, PATIENT)))
        };
        let (here, other) = (open().await.unwrap(), open().await.unwrap());
        let Replica { authority, told } = open().await.unwrap();
        let token = here.authority.issue(Grant::user("u")).unwrap();

        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let counter = task::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::SeqCst);
                task::yield_now().await;
            }
        });
        server.freeze().unwrap();
        let bump = here.authority.bump(Scope::user("u"));
        assert_runs(&bump);
        let start = here.authority.sessions().start(Grant::user("v"), "");
        assert_runs(&start);
        let bump_there = other.authority.bump(Scope::user("w"));
        // With an operation under way, and without.
        drop(other);
        drop(authority);
        assert_runs(&bump_there);
        let (bump, start) = (task::spawn(bump), task::spawn(start));
        let before = turns.load(Ordering::SeqCst);
        while turns.load(Ordering::SeqCst) < before + TURNS {
            task::yield_now().await;
        }
        assert!(!bump.is_finished() && !start.is_finished());
        server.thaw().unwrap();
        bump.await.unwrap().unwrap();
        here.assert_dead(&token);
        let pair = start.await.unwrap().unwrap();
        assert_eq!(here.outcome(&pair.access), "good");
        // Kept and in force, though nobody has the authority any more.
        let epoch = bump_there.await.unwrap();
        here.authority.wait_for(epoch).await.unwrap();
        counter.abort();
        told
    });
    until("the thread of the dropped authority has ended", || {
        Arc::strong_count(&told) == 1
    });
}
