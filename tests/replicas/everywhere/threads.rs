//! With the system's clock and the threads of the authorities.

use std::thread;

use epochkey::{Grant, MasterSecret, Scope, SystemClock, testing::FaultyStore};

use super::*;

/// Bumps a user, and looks for its token everywhere as soon as that must be in force.
fn bump_everywhere(replicas: &[Authority], me: usize) {
    for round in 0..10 {
        let user = format!("u-{me}-{round}");
        let mark = replicas[me].catch_up().wait().unwrap();
        let grant = Grant::user(&user).as_of(mark);
        let token = replicas[me].issue(grant).unwrap();
        let epoch = replicas[me].bump(Scope::user(&user)).wait().unwrap();
        let asked = &replicas[(me + round) % replicas.len()];
        assert_eq!(asked.applied_everywhere(epoch).wait().unwrap(), []);
        for (number, replica) in replicas.iter().enumerate() {
            assert!(replica.verify(&token).is_err(), "{user} at {number}");
        }
        assert_eq!(asked.replicas_behind(epoch).wait().unwrap(), []);
    }
}

#[test]
fn replicas_that_follow_confirm() {
    let server = FaultyStore::new(SystemClock);
    let secret = MasterSecret::generate().unwrap();
    let open = |_| {
        let builder = Authority::builder("i", "a").master_secret(secret.clone());
        builder.open(server.connect()).unwrap()
    };
    let replicas: Vec<_> = (0..4).map(open).collect();
    thread::scope(|scope| {
        for me in 0..replicas.len() {
            let replicas = &replicas;
            scope.spawn(move || bump_everywhere(replicas, me));
        }
    });
}
