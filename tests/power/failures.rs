//! A disk that is full, or fails, while the store is in use.
//!
//! Who asked is told; what is in force is never more than the file holds; and when the disk
//! works again, so does the same authority.

use std::iter::repeat;

use epochkey::{
    Authority, BumpError, Grant, MasterSecret, Scope, StoreError, Token, VerifyError,
    testing::ManualClock,
};

use crate::{
    check,
    crash::{self, Unsynced},
    disk::{Disk, Fault, Kind},
    random::Random,
    workload::{builder, is_accepted},
};

const START: u64 = 1_700_000_000;

/// A store that was closed, with a past of some length.
pub(crate) struct Past(Vec<u8>);

impl Past {
    pub(crate) fn new() -> Self {
        let disk = Disk::default();
        let authority = Self::open(&disk);
        for number in 0..50 {
            let bump = authority.bump(Scope::user(format!("u-{number}")));
            bump.wait().unwrap();
        }
        drop(authority);
        Self(crash::image(&disk, disk.moment(), Unsynced::Kept))
    }

    pub(crate) fn disk(&self) -> Disk {
        Disk::of(self.0.clone())
    }

    pub(crate) fn open(disk: &Disk) -> Authority {
        let secret = MasterSecret::from_bytes(b"of no other use than these tests").unwrap();
        let clock = ManualClock::at_unix_seconds(START);
        builder(&secret, &clock).open(check::open(disk)).unwrap()
    }
}

/// The disk is mended. An exchange that has begun before may fail yet, and another one may
/// have, but there is an end to it.
pub(crate) fn catch_up(authority: &Authority) {
    let mut attempts = (0..20).map(|_| authority.catch_up().wait());
    assert!(attempts.any(|caught_up| caught_up.is_ok()));
}

/// A change, and the tokens that it revokes.
struct Change {
    make: fn(&Authority) -> Result<(), StoreError>,
    revokes: Vec<Token>,
    is_acknowledged: bool,
}

fn bump(authority: &Authority, scopes: &[Scope]) -> Result<(), StoreError> {
    match authority.bump_many(scopes.to_vec()).wait() {
        Ok(_) => Ok(()),
        Err(BumpError::Store(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn changes(authority: &Authority) -> Vec<Change> {
    let change = |make, revokes: &[Grant]| Change {
        make,
        revokes: revokes
            .iter()
            .map(|grant| authority.issue(grant.clone()).unwrap())
            .collect(),
        is_acknowledged: false,
    };
    let group = || Grant::user("somebody").group("group");
    vec![
        change(
            |authority| bump(authority, &[Scope::user("one")]),
            &[Grant::user("one")],
        ),
        change(
            |authority| {
                // Many, so that the file grows.
                let users = (0..1500).map(|user| Scope::user(format!("u-{user}")));
                let scopes = users.chain([Scope::user("two"), Scope::group("group")]);
                bump(authority, &scopes.collect::<Vec<_>>())
            },
            &[Grant::user("two"), group()],
        ),
        change(
            |authority| match authority.rotate_key().wait() {
                Ok(_) => Ok(()),
                Err(epochkey::RotateError::Store(error)) => Err(error),
                Err(error) => panic!("{error}"),
            },
            &[],
        ),
        change(|authority| authority.rewrap_secrets().wait(), &[]),
        change(
            |authority| bump(authority, &[Scope::user("three")]),
            &[Grant::user("three")],
        ),
    ]
}

/// The same authority and disk while it fails, is mended, and loses its power.
struct Failing {
    /// The fault to begin each change with.
    faults: Vec<Option<Fault>>,
    disk: Disk,
    authority: Authority,
    bystander: Token,
    changes: Vec<Change>,
}

impl Failing {
    fn new(past: &Past, faults: impl IntoIterator<Item = Fault>) -> Self {
        let disk = past.disk();
        let authority = Past::open(&disk);
        let changes = changes(&authority);
        let faults = faults.into_iter().map(Some).chain(repeat(None));
        Self {
            faults: faults.take(changes.len()).collect(),
            bystander: authority.issue(Grant::user("bystander")).unwrap(),
            changes,
            disk,
            authority,
        }
    }

    /// Gives whether the disk has failed at all.
    fn run(mut self) -> bool {
        for number in 0..self.changes.len() {
            if let Some(fault) = self.faults[number] {
                self.disk.fail(fault);
            }
            let failures = self.disk.failures();
            let made = (self.changes[number].make)(&self.authority);
            self.changes[number].is_acknowledged = made.is_ok();
            if let Err(error) = made {
                assert!(self.disk.failures() > 0 && error.is_transient(), "{error}");
                let labels = ["unavailable", "not_in_force", "stale"];
                assert!(labels.contains(&error.label()), "{error}");
            }
            if self.disk.failures() > failures {
                self.check_while_it_fails();
            }
        }
        let has_failed = self.disk.failures() > 0;
        self.disk.mend();
        self.check_when_it_works_again();
        has_failed
    }

    /// Only an event that is known to be kept and cannot be read stops an authority. Without
    /// a read that fails it takes two failures: of a commit that is kept all the same, and
    /// of opening the file once more, which writes.
    fn may_be_stale(&self) -> bool {
        let faults: Vec<_> = self.faults.iter().flatten().collect();
        faults.len() > 1 || faults.iter().any(|fault| fault.kind == Kind::Read)
    }

    /// Whether the token is revoked here. A replica that cannot read its store says so.
    fn is_revoked(&self, token: &Token) -> bool {
        match self.authority.verify(token) {
            Ok(_) => false,
            Err(VerifyError::Revoked { .. }) => true,
            Err(VerifyError::StaleEpochs) if self.may_be_stale() => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The authority that a loss of power at this moment would leave behind.
    fn after_power_loss(&self) -> Authority {
        let image = crash::image(&self.disk, self.disk.moment(), Unsynced::Lost);
        Past::open(&Disk::of(image))
    }

    fn check_while_it_fails(&self) {
        let revoked = |change: &Change| -> Vec<bool> {
            let tokens = change.revokes.iter();
            tokens.map(|token| self.is_revoked(token)).collect()
        };
        // Before the file is looked at: that may only get ahead.
        let in_force: Vec<_> = self.changes.iter().map(revoked).collect();
        let position = self.authority.stats().position;
        assert!(!self.is_revoked(&self.bystander));
        let kept = self.after_power_loss();
        assert!(
            position <= kept.stats().position,
            "the table is ahead of the file"
        );
        for (change, in_force) in self.changes.iter().zip(in_force) {
            for (token, revoked) in change.revokes.iter().zip(in_force) {
                assert!(!revoked || !is_accepted(&kept, token), "ahead of the file");
            }
            self.check_acknowledged(&kept, change);
        }
        assert!(is_accepted(&kept, &self.bystander));
    }

    fn check_acknowledged(&self, authority: &Authority, change: &Change) {
        for token in &change.revokes {
            let is_accepted = is_accepted(authority, token);
            assert!(
                !change.is_acknowledged || !is_accepted,
                "it was acknowledged"
            );
        }
    }

    fn check_when_it_works_again(&self) {
        if self.may_be_stale() {
            catch_up(&self.authority);
        }
        let late = self.authority.issue(Grant::user("late")).unwrap();
        let again = &self.changes[4].revokes[0];
        bump(
            &self.authority,
            &[Scope::user("late"), Scope::user("three")],
        )
        .unwrap();
        let kept = self.after_power_loss();
        for authority in [&self.authority, &kept] {
            assert!(!is_accepted(authority, &late) && !is_accepted(authority, again));
            assert!(is_accepted(authority, &self.bystander));
            for change in &self.changes {
                self.check_acknowledged(authority, change);
            }
        }
        for token in self.changes.iter().flat_map(|change| &change.revokes) {
            assert_eq!(
                is_accepted(&self.authority, token),
                is_accepted(&kept, token)
            );
        }
        assert_eq!(self.authority.stats().position, kept.stats().position);
        let fresh = self.authority.issue(Grant::user("late")).unwrap();
        assert!(is_accepted(&self.authority, &fresh) && is_accepted(&kept, &fresh));
    }
}

/// Fails after each number of operations until all goes well; gives how often it failed.
fn fail_everywhere(kind: Kind, lasts: bool) -> usize {
    let past = Past::new();
    let has_failed = |after: &usize| {
        let after = *after;
        let fault = Fault { kind, after, lasts };
        eprintln!("{fault:?}");
        Failing::new(&past, [fault]).run()
    };
    (0..1000).take_while(has_failed).count()
}

#[test]
fn a_disk_that_is_full_once() {
    assert!(fail_everywhere(Kind::Write, false) > 20);
}

#[test]
fn a_disk_that_is_full() {
    assert!(fail_everywhere(Kind::Write, true) > 20);
}

#[test]
fn a_sync_that_fails_once() {
    assert!(fail_everywhere(Kind::Sync, false) > 8);
}

#[test]
fn syncs_that_fail() {
    assert!(fail_everywhere(Kind::Sync, true) > 8);
}

#[test]
fn a_file_that_cannot_grow() {
    assert!(fail_everywhere(Kind::SetLen, false) + fail_everywhere(Kind::SetLen, true) > 0);
}

#[test]
fn a_read_that_fails() {
    assert!(fail_everywhere(Kind::Read, false) + fail_everywhere(Kind::Read, true) > 4);
}

/// Another failure while the store recovers from the one before.
#[test]
fn one_failure_after_the_other() {
    let past = Past::new();
    for seed in 0..100 {
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let faults = (0..5).map(|_| Fault {
            kind: *random.pick(&[Kind::Read, Kind::Write, Kind::SetLen, Kind::Sync]),
            after: random.below(12),
            lasts: random.chance(30),
        });
        Failing::new(&past, faults).run();
    }
}
