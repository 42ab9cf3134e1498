//! What an application is told as it happens, and what it can ask for.

use std::sync::{Arc, Mutex};

use epochkey::{Authority, Epoch, Grant, MemoryStore, Observer, Scope};

use crate::support::*;

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Log {
    fn refused(&self, label: &'static str) {
        self.add(label.to_owned());
    }

    fn bumped(&self, epoch: Epoch) {
        self.add(format!("bumped {}", epoch.position()));
    }

    fn rotated(&self, epoch: Epoch) {
        self.add(format!("rotated {}", epoch.position()));
    }

    fn swapped(&self, epoch: Epoch) {
        self.add(format!("swapped {}", epoch.position()));
    }
}

fn observed() -> (Authority, Arc<Log>) {
    let log = Arc::new(Log::default());
    let builder = Authority::builder(ISSUER, AUDIENCE).observer(Arc::clone(&log));
    (builder.open(MemoryStore::new()).unwrap(), log)
}

#[test]
fn an_observer_is_told_what_happens_before_the_result_is_there() {
    let (authority, log) = observed();
    let token = authority.issue(Grant::user("u")).unwrap();
    let verified = authority.verify(&token).unwrap();
    assert_eq!(log.take(), [""; 0], "nothing about good tokens");
    let bump = authority.bump(Scope::user("u")).wait().unwrap();
    assert_eq!(log.take(), [format!("bumped {}", bump.position())]);
    authority.rotate_key().wait().unwrap();
    authority.swap_key().wait().unwrap();
    assert_eq!(log.take(), ["rotated 3", "swapped 4"]);
    let _ = authority.verify(&token);
    let _ = authority.recheck(&verified);
    let _ = authority.verify("garbage");
    assert_eq!(log.take(), ["unknown_key", "unknown_key", "malformed"]);
    let _ = authority.explain("garbage");
    assert_eq!(log.take(), [""; 0], "to explain is not to refuse");
}

#[test]
fn stats_count() {
    let (authority, _) = observed();
    let token = authority.issue(Grant::user("u")).unwrap();
    for _ in 0..3 {
        authority.verify(&token).unwrap();
    }
    authority.bump(Scope::user("u")).wait().unwrap();
    let _ = authority.verify(&token);
    let _ = authority.verify("garbage");
    let _ = authority.verify("garbage");
    let _ = authority.issue(Grant::user(""));
    let stats = authority.stats();
    assert_eq!(
        (stats.verified, stats.issued, stats.refused.total()),
        (3, 1, 3)
    );
    let refused: Vec<_> = stats
        .refused
        .by_label()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(refused, [("malformed", 2), ("revoked", 1)]);
    assert_eq!((stats.position, stats.floor), (2, 1));
    assert_eq!((stats.ring_keys, stats.epochs, stats.stale), (1, 1, false));
}
