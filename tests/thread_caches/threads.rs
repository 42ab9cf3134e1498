//! Many threads, each with what it remembers.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use epochkey::{Authority, Grant, MemoryStore, Policy, Scope};

const USERS: usize = 64;

/// Each thread verifies everybody's tokens, while all users are bumped in turn and log in
/// again: nobody gets another one's claims, and what a bump that has returned revoked is dead.
#[test]
fn nobody_gets_what_is_not_theirs_or_revoked() {
    let authority = Authority::builder("https://issuer.test", "api")
        .policy(Policy::default().thread_caches(true))
        .open(MemoryStore::new())
        .unwrap();
    let log_in = |user: usize| authority.issue(Grant::user(user.to_string())).unwrap();
    // Below which of each user's generations a bump has returned, and has begun; and tokens by
    // generation.
    let [dead, begun] =
        [(); 2].map(|()| -> Vec<AtomicU64> { (0..USERS).map(|_| AtomicU64::new(0)).collect() });
    let tokens: Vec<_> = (0..USERS)
        .map(|user| parking_lot::RwLock::new(vec![log_in(user)]))
        .collect();
    let done = AtomicBool::new(false);
    let verified = AtomicU64::new(0);
    thread::scope(|scope| {
        for start in 0..4_usize {
            let (authority, tokens, dead, begun, done, verified) =
                (&authority, &tokens, &dead, &begun, &done, &verified);
            scope.spawn(move || {
                let mut user = start * 7;
                while !done.load(Ordering::SeqCst) {
                    user = (user + 5) % USERS;
                    let last: Vec<_> = {
                        let all = tokens[user].read();
                        let from = all.len().saturating_sub(2);
                        all.iter().cloned().enumerate().skip(from).collect()
                    };
                    for (generation, token) in last {
                        // Before the call: it is dead from here on.
                        let dead_below = dead[user].load(Ordering::SeqCst);
                        let outcome = [(); 3].map(|()| authority.verify(&token));
                        let begun = begun[user].load(Ordering::SeqCst);
                        for outcome in outcome {
                            match outcome {
                                Ok(good) => {
                                    assert_eq!(good.user(), user.to_string());
                                    assert!(generation as u64 >= dead_below, "it is revoked");
                                    verified.fetch_add(1, Ordering::SeqCst);
                                }
                                Err(error) => {
                                    assert_eq!(error.label(), "revoked");
                                    assert!((generation as u64) < begun, "nobody revoked it");
                                }
                            }
                        }
                    }
                }
            });
        }
        for turn in 0..2000 {
            let user = turn * 3 % USERS;
            begun[user].store(tokens[user].read().len() as u64, Ordering::SeqCst);
            authority
                .bump(Scope::user(user.to_string()))
                .wait()
                .unwrap();
            let generations = tokens[user].read().len() as u64;
            dead[user].store(generations, Ordering::SeqCst);
            let token = log_in(user);
            assert_eq!(authority.verify(&token).unwrap().user(), user.to_string());
            tokens[user].write().push(token);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(verified.load(Ordering::SeqCst) > 0);
}

/// What a thread remembers may outlive the authority, and what it gave may outlive both.
#[test]
fn threads_end_in_any_order() {
    let authority = epochkey::testing::authority().unwrap();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = thread::scope(|scope| {
        let knows = || {
            (0..3).for_each(|_| assert!(authority.verify(&token).is_ok()));
            authority.verify(&token).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(knows)).collect();
        let verified = threads.into_iter().map(|thread| thread.join().unwrap());
        verified.collect::<Vec<_>>()
    });
    drop(authority);
    for verified in verified {
        assert_eq!(verified.user(), "u");
    }
    let other = epochkey::testing::authority().unwrap();
    assert_eq!(other.verify(&token).unwrap_err().label(), "unknown_key");
}
