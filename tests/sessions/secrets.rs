//! Whoever has every byte of the store, but not the master secret.

use std::{fs, sync::Arc};

use epochkey::{
    Authority, BuildError, Grant, MasterSecret, MemoryStore, RedbStore, TokenPair,
    store::{SessionChange, SessionRow},
};

use crate::watched::Watched;

const USER: &str = "marie.curie@radium.example";
const LABEL: &str = "Firefox on the laboratory's Linux";
const GROUP: &str = "org:institut-du-radium";
const CLAIM: &str = "an application's own secret";

fn builder(secret: &MasterSecret) -> epochkey::AuthorityBuilder {
    Authority::builder("https://issuer.test", "api").master_secret(secret.clone())
}

fn start(authority: &Authority) -> TokenPair {
    let claims = std::collections::BTreeMap::from([("note", CLAIM)]);
    let grant = Grant::user(USER).group(GROUP).claims(&claims);
    authority.sessions().start(grant, LABEL).wait().unwrap()
}

/// Nothing of it is in the clear, as it is or as any part of a token shows it.
fn assert_shows_nothing(bytes: &[u8], pairs: &[TokenPair]) {
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|at| at == needle);
    for text in [USER, LABEL, GROUP, CLAIM, "curie", "Firefox", "institut"] {
        assert!(!shows(text.as_bytes()), "{text}");
    }
    for pair in pairs {
        for token in [pair.refresh.as_str(), pair.access.as_str()] {
            let tag = token.rsplit_once('.').unwrap().1;
            let raw = base64_of(tag);
            assert!(!shows(tag.as_bytes()) && !shows(&raw), "a tag of {token}");
        }
    }
}

fn base64_of(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = |byte| alphabet.iter().position(|it| *it == byte).unwrap() as u32;
    let chunks = text.as_bytes().chunks_exact(4);
    let whole = chunks.map(|four| four.iter().fold(0, |sum, byte| sum << 6 | value(*byte)));
    whole
        .flat_map(|bits| bits.to_be_bytes()[1..].to_vec())
        .collect()
}

/// The file of a service that is running, and of one that has ended.
#[test]
fn the_file_shows_no_user_and_refreshes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (path, secret) = (
        directory.path().join("auth.redb"),
        MasterSecret::generate().unwrap(),
    );
    let authority = builder(&secret)
        .open(RedbStore::open(&path).unwrap())
        .unwrap();
    let first = start(&authority);
    let mut pairs = vec![first.clone()];
    for _ in 0..5 {
        let last = pairs.last().unwrap();
        pairs.push(authority.sessions().refresh(&last.refresh).wait().unwrap());
    }
    authority
        .sessions()
        .reauthenticated(first.session.id())
        .wait()
        .unwrap();
    start(&authority);
    authority
        .sessions()
        .end_others(first.session.id())
        .wait()
        .unwrap();
    let copy = directory.path().join("stolen.redb");
    fs::copy(&path, &copy).unwrap();
    drop(authority);
    for path in [&path, &copy] {
        assert_shows_nothing(&fs::read(path).unwrap(), &pairs);
    }

    // What is found in the file is no master secret, and without it nobody opens the file.
    let other = MasterSecret::generate().unwrap();
    let refused = builder(&other).open(RedbStore::open(&path).unwrap());
    assert!(matches!(refused, Err(BuildError::WrongMasterSecret)));
    let own = Authority::builder("https://issuer.test", "api")
        .open(MemoryStore::new())
        .unwrap();
    let last = pairs.last().unwrap();
    assert_eq!(
        own.sessions()
            .refresh(&last.refresh)
            .wait()
            .unwrap_err()
            .label(),
        "bad_tag"
    );
    // The one who has it goes on.
    let authority = builder(&secret)
        .open(RedbStore::open(&path).unwrap())
        .unwrap();
    authority.sessions().refresh(&last.refresh).wait().unwrap();
}

/// Every row that the store is given.
#[test]
fn rows_show_no_user_and_bring_nobody_back() {
    let store = Arc::new(Watched::new(MemoryStore::new()));
    let secret = MasterSecret::generate().unwrap();
    let authority = builder(&secret).open(Arc::clone(&store)).unwrap();
    let pair = start(&authority);
    let next = authority.sessions().refresh(&pair.refresh).wait().unwrap();
    let committed = format!("{:?}", store.commits.lock().unwrap());
    assert!(
        committed.contains("Start") && committed.contains("Replace"),
        "{committed}"
    );
    for commit in store.commits.lock().unwrap().iter() {
        for change in &commit.sessions {
            if let SessionChange::Start(row) | SessionChange::Replace { row, .. } = change {
                assert_shows_nothing(&row.body, &[pair.clone(), next.clone()]);
                assert_shows_nothing(&row.user, &[]);
            }
        }
    }
}

/// Neither under the id of another session nor under its own is a row read that was not asked
/// for: whoever writes the store, or answers for it, cannot make one user's session another's.
#[test]
fn a_row_of_another_session_is_not_taken_for_ones_own() {
    let store = Arc::new(Watched::new(MemoryStore::new()));
    let secret = MasterSecret::generate().unwrap();
    let authority = builder(&secret).open(Arc::clone(&store)).unwrap();
    let sessions = authority.sessions();
    let start = |user: &str| {
        let pair = sessions.start(Grant::user(user), "").wait().unwrap();
        (pair, store.last_started())
    };
    let ((victim, victims), (mallory, mallorys)) = (start("victim"), start("mallory"));
    let answer_with = |row: &dyn Fn() -> Vec<SessionRow>| {
        store.forged.lock().unwrap().replace(row());
    };
    let under_her_id = || {
        let mut rows = store.rows_of(&victims);
        rows[0].row.id = mallorys;
        rows
    };
    let both = || [store.rows_of(&mallorys), store.rows_of(&victims)].concat();
    let as_it_is = || store.rows_of(&victims);
    let answers: [&dyn Fn() -> Vec<SessionRow>; 3] = [&under_her_id, &both, &as_it_is];
    for rows in answers {
        answer_with(rows);
        let refused = sessions.refresh(&mallory.refresh).wait().unwrap_err();
        assert_eq!(refused.label(), "store");
        answer_with(rows);
        let id = mallory.session.id();
        assert_eq!(sessions.get(id).wait().unwrap_err().label(), "store");
        answer_with(rows);
        assert_eq!(
            sessions.reauthenticated(id).wait().unwrap_err().label(),
            "store"
        );
        answer_with(rows);
        assert_eq!(sessions.end_others(id).wait().unwrap_err().label(), "store");
        answer_with(rows);
        assert_eq!(
            sessions.list("mallory").wait().unwrap_err().label(),
            "store"
        );
        answer_with(rows);
        let start = sessions.start(Grant::user("mallory"), "").wait();
        assert_eq!(start.unwrap_err().label(), "store");
    }
    let next = sessions.refresh(&mallory.refresh).wait().unwrap();
    assert_eq!(authority.verify(&next.access).unwrap().user(), "mallory");
    let next = sessions.refresh(&victim.refresh).wait().unwrap();
    assert_eq!(authority.verify(&next.access).unwrap().user(), "victim");
}

/// A forged token costs an HMAC, and nothing of the store.
#[test]
fn forged_tokens_cause_no_read() {
    let store = Arc::new(Watched::new(MemoryStore::new()));
    let secret = MasterSecret::generate().unwrap();
    let authority = builder(&secret).open(Arc::clone(&store)).unwrap();
    let (one, two) = (start(&authority), start(&authority));
    let text = one.refresh.as_str();
    let (head, tag) = text.rsplit_once('.').unwrap();
    let foreign_tag = two.refresh.as_str().rsplit_once('.').unwrap().1;
    let mut forged: Vec<String> = vec![
        String::new(),
        "ekr1...".to_owned(),
        format!("{head}.{foreign_tag}"),
        format!("{head}."),
        format!("{text}.{tag}"),
        text.replacen("ekr1", "ekr2", 1),
        one.access.as_str().to_owned(),
        "x".repeat(1_000_000),
    ];
    for counter in [
        "1",
        "007",
        "+7",
        "00",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        forged.push(text.replacen(".0.", &format!(".{counter}."), 1));
    }
    for at in 0..text.len() {
        let flipped = if &text[at..=at] == "A" { "B" } else { "A" };
        let mut token = text.to_owned();
        token.replace_range(at..=at, flipped);
        forged.push(token);
    }
    let (reads, commits) = (store.reads(), store.commits.lock().unwrap().len());
    for token in &forged {
        let sessions = authority.sessions();
        let label = sessions.refresh(token).wait().unwrap_err().label();
        assert!(
            ["malformed", "bad_tag"].contains(&label),
            "{token}: {label}"
        );
        let refused =
            sessions.refresh_with(token, |_| -> Grant { panic!("asked for a forged token") });
        assert!(refused.wait().is_err());
    }
    assert_eq!(store.reads(), reads);
    assert_eq!(store.commits.lock().unwrap().len(), commits);
    authority.sessions().refresh(&one.refresh).wait().unwrap();
    assert!(store.reads() > reads, "reads are counted");
}
