//! What is found at a path, and what is said about it.

use std::{fs, io, path::Path, sync::Barrier, thread};

use epochkey::{Grant, RedbStore, Scope, testing};
use redb::{Database, ReadableTableMetadata, TableDefinition};

use crate::support::{Site, mode_of, set_mode};

#[test]
fn the_file_is_its_owners_alone() {
    let site = Site::new();
    drop(site.store());
    assert_eq!(mode_of(&site.path()), 0o600);
    let others = fs::read_dir(site.directory()).unwrap().count();
    assert_eq!(others, 1, "nothing is left beside it");
}

#[test]
fn a_file_that_others_can_read_is_refused_until_it_is_mended() {
    let site = Site::new();
    let authority = site.authority();
    let token = authority.issue(Grant::user("u")).unwrap();
    drop(authority);
    for mode in [0o644, 0o640, 0o604, 0o660, 0o602, 0o601] {
        set_mode(&site.path(), mode);
        let (label, text) = site.refused();
        assert_eq!(label, "readable_by_others", "mode {mode:o}");
        assert!(text.contains(&format!("{mode:04o}")), "{text}");
        let (_, after) = text.split_once("run `chmod 600 '").unwrap();
        let (path, _) = after.split_once("'`").unwrap();
        set_mode(Path::new(path), 0o600);
        assert!(site.authority().verify(&token).is_ok());
    }
}

#[test]
fn what_is_not_a_store_is_left_as_it_is() {
    let site = Site::new();
    for bytes in [&b"x"[..], b"redb", &[0; 5000], &[0x5a; 100_000]] {
        site.write(bytes);
        assert_eq!(site.refused().0, "damaged", "{} bytes", bytes.len());
    }
    site.write(b"");
    let (label, text) = site.refused();
    assert_eq!(label, "empty");
    assert!(text.contains("logs everybody out"), "{text}");
}

#[test]
fn a_directory_is_not_a_file() {
    let site = Site::new();
    fs::create_dir(site.path()).unwrap();
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "not_a_file");
    assert!(fs::metadata(site.path()).unwrap().is_dir());
}

#[test]
fn without_its_directory_there_is_no_file() {
    let site = Site::new();
    let error = RedbStore::open(site.path().join("auth.redb")).unwrap_err();
    assert_eq!(error.label(), "io");
    assert!(std::error::Error::source(&error).is_some());
    assert!(!site.path().exists());
}

/// A directory's name: it could be made, and not put there.
#[test]
fn a_file_that_cannot_get_its_name_is_not_said_to_be_there() {
    let site = Site::new();
    let error = RedbStore::open(site.directory().join("auth.redb/")).unwrap_err();
    assert_eq!(error.label(), "io");
    let cause = std::error::Error::source(&error).unwrap();
    let cause: &io::Error = cause.downcast_ref().unwrap();
    assert_ne!(cause.kind(), io::ErrorKind::AlreadyExists);
    let left = fs::read_dir(site.directory()).unwrap().count();
    assert_eq!(left, 0);
}

const OTHER: TableDefinition<u64, u64> = TableDefinition::new("other");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

#[test]
fn a_database_of_something_else_is_not_a_store() {
    let site = Site::new();
    let database = Database::create(site.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    set_mode(&site.path(), 0o600);
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "not_a_store");
    assert!(Database::open(site.path()).is_ok(), "it is still theirs");
}

#[test]
fn a_newer_schema_is_refused() {
    let site = Site::new();
    drop(site.authority());
    let set_schema = |version: u32| {
        let database = Database::open(site.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        let bytes = version.to_be_bytes();
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("schema", &bytes[..]).unwrap();
        drop(meta);
        transaction.commit().unwrap();
    };
    set_schema(2);
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "newer");
    assert!(error.to_string().contains("update this process"), "{error}");
    // There is none before the first.
    set_schema(0);
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "not_a_store");
    set_schema(1);
    drop(site.authority());
}

/// Whatever the path is, the command in the message can be copied.
#[test]
fn the_command_that_mends_it_is_quoted() {
    let site = Site::new();
    let path = site.directory().join("o'auth; exit #.redb");
    drop(RedbStore::open(&path).unwrap());
    set_mode(&path, 0o644);
    let text = RedbStore::open(&path).unwrap_err().to_string();
    let (_, command) = text.split_once("run `").unwrap();
    let command = command.strip_suffix('`').unwrap();
    let mut shell = std::process::Command::new("sh");
    let status = shell.arg("-c").arg(command).status().unwrap();
    assert!(status.success(), "{command}");
    assert_eq!(mode_of(&path), 0o600);
}

/// Somebody has moved what it points at, or it is not mounted.
#[test]
fn a_link_to_nothing_is_refused() {
    let site = Site::new();
    let target = site.directory().join("elsewhere.redb");
    std::os::unix::fs::symlink(&target, site.path()).unwrap();
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "not_a_file");
    assert!(!target.exists());
    drop(RedbStore::open(&target).unwrap());
    assert!(RedbStore::open(site.path()).is_ok());
}

/// What `main` prints of an error that it returns.
#[test]
fn debug_says_what_to_do() {
    let site = Site::new();
    drop(site.store());
    set_mode(&site.path(), 0o644);
    let error = RedbStore::open(site.path()).unwrap_err();
    assert!(format!("{error:?}").contains("chmod 600"), "{error:?}");
}

/// Its rows are gone but in one table, and what is left of it is not taken for a new store.
#[test]
fn a_store_without_a_head_is_damaged() {
    type Bytes = &'static [u8; 16];
    type Row = (Bytes, Bytes, u64, u64, &'static [u8]);
    const HEAD: TableDefinition<(), (Bytes, u64, Bytes)> = TableDefinition::new("head");
    const KEYS: TableDefinition<u64, (&[u8; 12], u64, &[u8])> = TableDefinition::new("keys");
    const LOG: TableDefinition<u64, (Bytes, u64, &[u8])> = TableDefinition::new("log");
    const EPOCHS: TableDefinition<Bytes, (u64, Bytes)> = TableDefinition::new("epochs");
    const SESSIONS: TableDefinition<Bytes, Row> = TableDefinition::new("sessions");
    const USERS: TableDefinition<(Bytes, Bytes), ()> = TableDefinition::new("sessions_by_user");
    for left in ["keys", "log", "epochs", "sessions", "users", "secrets"] {
        let site = Site::new();
        let authority = site.authority();
        testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
        let start = authority.sessions().start(Grant::user("u"), "a device");
        testing::finish(&authority, start).unwrap();
        drop(authority);
        let database = Database::open(site.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(HEAD).unwrap().remove(()).unwrap();
        macro_rules! clear {
            ($($name:literal: $table:ident),*) => {
                $(let mut table = transaction.open_table($table).unwrap();
                assert!(!table.is_empty().unwrap());
                table.retain(|_, _| left == $name).unwrap();
                drop(table);)*
            };
        }
        clear!("keys": KEYS, "log": LOG, "epochs": EPOCHS, "sessions": SESSIONS, "users": USERS);
        let mut meta = transaction.open_table(META).unwrap();
        meta.retain(|name, _| name != "secrets" || left == "secrets")
            .unwrap();
        drop(meta);
        transaction.commit().unwrap();
        drop(database);
        let error = RedbStore::open(site.path()).unwrap_err();
        assert_eq!(error.label(), "damaged", "{left}");
    }
}

#[test]
fn a_file_in_use_is_refused_and_the_shared_stores_are_named() {
    let site = Site::new();
    let authority = site.authority();
    let error = RedbStore::open(site.path()).unwrap_err();
    assert_eq!(error.label(), "in_use");
    let text = error.to_string();
    for word in ["in use", "Redis", "PostgreSQL"] {
        assert!(text.contains(word), "{text}");
    }
    testing::finish(&authority, authority.bump(Scope::user("u"))).unwrap();
    drop(authority);
    assert!(RedbStore::open(site.path()).is_ok());
}

/// Whoever comes first makes it; the others find all of it, or that it is in use.
#[test]
fn several_that_open_it_at_once_make_one() {
    for _ in 0..10 {
        let site = Site::new();
        let barrier = Barrier::new(4);
        let open = || {
            barrier.wait();
            RedbStore::open(site.path())
        };
        let opened: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let stores = opened.iter().filter(|opened| opened.is_ok()).count();
        assert_eq!(stores, 1);
        let mut refused = opened.iter().filter_map(|opened| opened.as_ref().err());
        assert!(refused.all(|error| error.label() == "in_use"));
        let left = fs::read_dir(site.directory()).unwrap().count();
        assert_eq!(left, 1, "nothing is left beside it");
    }
}
