//! What is not a bump, on a disk that fails: a swap, a new beginning, session rows.

use std::sync::Arc;

use epochkey::{
    Authority, Grant, RedbStore, StoreError, SwapError, VerifyError,
    store::{Commit, NewRow, Outcome, RowVersion, SessionChange, StoreTime},
};

use crate::{
    check,
    crash::{self, Unsynced},
    disk::{Disk, Fault, Kind},
    failures::{Past, catch_up},
    recorder::{self, Kept, USERS, row_id},
    workload::is_accepted,
};

/// Tries it with every failure of writing that can meet it; gives how many there were.
fn with_every_fault(attempt: impl Fn(Fault, &Disk)) -> usize {
    let past = Past::new();
    let mut failed = 0;
    for kind in [Kind::Write, Kind::Sync, Kind::SetLen] {
        for lasts in [false, true] {
            let has_failed = |after: &usize| {
                let fault = Fault {
                    kind,
                    after: *after,
                    lasts,
                };
                eprintln!("{fault:?}");
                let disk = past.disk();
                attempt(fault, &disk);
                disk.failures() > 0
            };
            failed += (0..1000).take_while(has_failed).count();
        }
    }
    failed
}

fn after_power_loss(disk: &Disk) -> Disk {
    Disk::of(crash::image(disk, disk.moment(), Unsynced::Lost))
}

/// What ends all tokens is in force no sooner than it is in the file, and can be said again.
fn end_all(fault: Fault, disk: &Disk, end: fn(&Authority) -> Result<(), StoreError>) {
    let authority = Past::open(disk);
    let token = authority.issue(Grant::user("u")).unwrap();
    disk.fail(fault);
    let ended = end(&authority);
    let is_ended = matches!(authority.verify(&token), Err(VerifyError::UnknownKey));
    let position = authority.stats().position;
    let kept = Past::open(&after_power_loss(disk));
    assert!(position <= kept.stats().position);
    if is_ended || ended.is_ok() {
        assert!(!is_accepted(&kept, &token));
    }
    if let Err(error) = ended {
        assert!(disk.failures() > 0 && error.is_transient(), "{error}");
    }
    disk.mend();
    catch_up(&authority);
    if let Err(error) = end(&authority) {
        // What was reported as failed was kept after all.
        assert_eq!(error.label(), "refused");
        end(&authority).unwrap();
    }
    let fresh = authority.issue(Grant::user("u")).unwrap();
    for authority in [&authority, &Past::open(&after_power_loss(disk))] {
        assert!(!is_accepted(authority, &token) && is_accepted(authority, &fresh));
    }
}

#[test]
fn a_swap_on_a_disk_that_fails() {
    let swap = |authority: &Authority| match authority.swap_key().wait() {
        Ok(_) => Ok(()),
        Err(SwapError::Store(error)) => Err(error),
        Err(error) => panic!("{error}"),
    };
    assert!(with_every_fault(|fault, disk| end_all(fault, disk, swap)) > 10);
}

#[test]
fn a_new_beginning_on_a_disk_that_fails() {
    let start_over = |authority: &Authority| authority.start_over().wait().map(drop);
    assert!(with_every_fault(|fault, disk| end_all(fault, disk, start_over)) > 10);
}

fn row(number: u8) -> NewRow {
    NewRow {
        id: row_id(number),
        user: USERS[0],
        version: RowVersion::from_bytes([number; 16]),
        expires_at: StoreTime::from_unix_millis(u64::MAX >> 1),
        body: vec![number; 2000],
    }
}

/// Changes rows on a disk that fails: `rows` are there if that was acknowledged, and else
/// these or none of the changes.
fn change_rows(disk: &Disk, store: &RedbStore, fault: Fault, changes: &[SessionChange], rows: u8) {
    let look = |disk: &Disk| Kept::of(&check::open(&after_power_loss(disk)), &[]).unwrap();
    let before = look(disk);
    let commit = || {
        let commit = Commit {
            known: before.head().unwrap(),
            newest_key: None,
            events: Vec::new(),
            sessions: changes.to_vec(),
            now: StoreTime::default(),
        };
        recorder::commit(store, commit, disk)
            .0
            .map(|done| done.value)
    };
    disk.fail(fault);
    let failures = disk.failures();
    let changed = commit();
    let kept = look(disk);
    disk.mend();
    let is_made = |kept: &Kept| kept.rows[1].len() == usize::from(rows);
    match &changed {
        Ok(outcome) => assert!(is_made(&kept) && matches!(outcome, Outcome::Done { .. })),
        Err(error) => assert!(
            disk.failures() > failures && error.is_transient(),
            "{error}"
        ),
    }
    assert!(is_made(&kept) || kept == before, "in part");
    // To look at it opens the file again, and what is seen then stays.
    let seen = Kept::of(store, &[]).unwrap();
    assert!(is_made(&seen) || seen == before, "in part");
    assert_eq!(seen, look(disk));
    if !is_made(&seen) {
        assert!(matches!(commit().unwrap(), Outcome::Done { .. }));
    }
    assert!(is_made(&look(disk)));
}

#[test]
fn session_rows_on_a_disk_that_fails() {
    let failed = with_every_fault(|fault, disk| {
        let store = Arc::new(check::open(disk));
        let start: Vec<_> = (0..5).map(|n| SessionChange::Start(row(n))).collect();
        change_rows(disk, &store, fault, &start, 5);
        let (row, user) = (row_id(1), USERS[0]);
        let end = SessionChange::End {
            row,
            expected: None,
        };
        change_rows(disk, &store, fault, &[end], 4);
        let except = Some(row_id(2));
        let end = SessionChange::EndOfUser { user, except };
        change_rows(disk, &store, fault, &[end], 1);
    });
    assert!(failed > 10);
}
