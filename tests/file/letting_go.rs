//! Dropping, and what others do while they are told.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
};

use epochkey::{Authority, RedbStore, Scope};

use crate::support::Site;

fn authority(site: &Site) -> Authority {
    let builder = Authority::builder("i", "a").master_secret(site.secret.clone());
    builder.open(site.store()).unwrap()
}

/// As when a service starts its parts anew: whoever has the result of the last operation and
/// drops the authority opens the file at once.
#[test]
fn it_can_be_opened_again_at_once() {
    let site = Site::new();
    for turn in 0..200 {
        let authority = authority(&site);
        for user in 0..turn % 4 + 1 {
            let scope = Scope::user(format!("user-{user}"));
            authority.bump(scope).wait().unwrap();
        }
        drop(authority);
    }
}

/// A task of an executor that is gone: what it was to run goes with the last waker.
struct Abandoned {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    gone: mpsc::Sender<()>,
}

impl Wake for Abandoned {
    fn wake(self: Arc<Self>) {
        let future = self.future.lock().unwrap().take();
        drop(future);
        let _ = self.gone.send(());
    }
}

#[test]
fn a_waker_may_drop_the_last_authority() {
    for _ in 0..50 {
        let site = Site::new();
        let authority = authority(&site);
        let (told, gone) = mpsc::channel();
        let bump = authority.bump(Scope::user("u"));
        let task = Arc::new(Abandoned {
            future: Mutex::new(None),
            gone: told,
        });
        let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            bump.await.unwrap();
            drop(authority);
        });
        let waker = Waker::from(Arc::clone(&task));
        let mut kept = task.future.lock().unwrap();
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        *kept = Some(future);
        drop(kept);
        drop(waker);
        drop(task);
        if poll == Poll::Pending {
            gone.recv().unwrap();
        }
    }
}

/// It is his own: the store goes on for the others.
#[test]
fn one_who_is_told_may_panic() {
    let site = Site::new();
    drop(site.authority());
    let store = site.store();
    for _ in 0..3 {
        let (told, tell) = mpsc::channel::<()>();
        let commit = crate::waiting::empty_commit(crate::waiting::snapshot(&store).head);
        let done = move |_| {
            let _told = told;
            panic!("his own");
        };
        epochkey::Store::commit(&store, commit, Box::new(done));
        assert!(tell.recv().is_err());
    }
    drop(store);
    assert!(RedbStore::open(site.path()).is_ok());
}
