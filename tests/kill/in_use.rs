//! Two processes and one file.

use std::path::Path;

use epochkey::RedbStore;

use crate::{
    WORK,
    line::{Assignment, Line, Plan},
    process::Process,
};

/// A process that opens the file and does nothing with it.
fn opening(path: &Path) -> Process {
    let assignment = Assignment {
        path: path.to_owned(),
        seed: 0,
        plan: Plan::Openings,
        clock: 1_700_000_000,
        secrets: vec![1],
        threads: 0,
        operations: 0,
        clients: vec![],
    };
    Process::start(WORK, &assignment)
}

fn assert_says_what_to_use(error: &str) {
    for word in ["in use", "auth.redb", "Redis", "PostgreSQL"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_file_belongs_to_one_process_until_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.redb");
    let store = RedbStore::open(&path).unwrap();
    let mut second = opening(&path);
    assert!(matches!(second.next_line(), Some(Line::Opening)));
    let refused = second.next_line();
    let Some(Line::NotOpened(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_says_what_to_use(&error);
    drop(store);

    let mut holding = opening(&path);
    assert!(matches!(holding.next_line(), Some(Line::Opening)));
    assert!(matches!(holding.next_line(), Some(Line::Opened)));
    let error = RedbStore::open(&path).unwrap_err();
    assert_eq!(error.label(), "in_use");
    assert_says_what_to_use(&error.to_string());
    holding.kill();
    holding.end().unwrap();
    RedbStore::open(&path).unwrap();
}
