//! How large the file of a busy service gets: a month of bumps, session starts and ends, with
//! a rotation every day. Prints the size after each day.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench month`

use std::{error::Error, fs, path::Path, sync::Arc, sync::mpsc, time::Duration};

use epochkey::{
    Authority, MasterSecret, RedbStore, Scope, SessionId,
    store::{Commit, NewRow, Outcome, Place, RowId, RowVersion, SessionChange, Store, StoreTime},
    testing::{self, ManualClock},
};

const DAYS: u64 = 30;
const BUMPS_A_DAY: u64 = 50_000;
const SESSIONS_A_DAY: u64 = 50_000;
/// Each step a minute or so of a day.
const STEPS_A_DAY: u64 = 500;
/// Sessions live this long, in days.
const SESSION_LIFETIME: u64 = 7;
const DAY: u64 = 24 * 3600;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("auth.redb");
    let clock = ManualClock::at_unix_seconds(1_700_000_000);
    let store = Arc::new(RedbStore::open(&path)?);
    let builder = Authority::builder("https://issuer.example", "api");
    let builder = builder
        .master_secret(MasterSecret::generate()?)
        .clock(clock.clone());
    let authority = testing::by_hand(builder).open(Arc::clone(&store))?;
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {})?.value;
    let known = snapshot.ok_or("the store is empty")?.head;
    let mut sessions = 0;
    println!("{BUMPS_A_DAY} bumps and {SESSIONS_A_DAY} sessions a day");
    for day in 1..=DAYS {
        for _ in 0..STEPS_A_DAY {
            step(&authority, &store, known, &clock, &mut sessions)?;
        }
        println!(
            "day {day:2}: {:6.1} MB, {} epochs in the table",
            size(&path)?,
            authority.stats().epochs
        );
    }
    drop((authority, store));
    println!("closed: {:6.1} MB", size(&path)?);
    drop(RedbStore::open(&path)?);
    println!("opened again: {:6.1} MB", size(&path)?);
    Ok(())
}

fn size(path: &Path) -> Result<f64, Box<dyn Error>> {
    Ok(fs::metadata(path)?.len() as f64 / 1e6)
}

fn step(
    authority: &Authority,
    store: &RedbStore,
    known: Place,
    clock: &ManualClock,
    sessions: &mut u128,
) -> Result<(), Box<dyn Error>> {
    clock.advance(Duration::from_secs(DAY / STEPS_A_DAY));
    testing::follow(authority)?;
    testing::maintain(authority)?;
    let scopes: Result<Vec<_>, _> = (0..BUMPS_A_DAY / STEPS_A_DAY)
        .map(|_| Ok::<_, Box<dyn Error>>(Scope::session(&SessionId::generate()?)))
        .collect();
    testing::finish(authority, authority.bump_many(scopes?))?;
    let now = StoreTime::from_system_time(epochkey::Clock::now(clock));
    let changes = (0..SESSIONS_A_DAY / STEPS_A_DAY).map(|number| {
        *sessions += 1;
        let id = RowId::from_bytes(spread(*sessions));
        match number % 3 {
            // Half of them are ended long before they expire.
            0 => SessionChange::End {
                row: RowId::from_bytes(spread(sessions.saturating_sub(4_999))),
                expected: None,
            },
            _ => SessionChange::Start(row(id, now)),
        }
    });
    let commit = Commit {
        known,
        newest_key: None,
        events: Vec::new(),
        sessions: changes.collect(),
        now,
    };
    let (answered, answer) = mpsc::channel();
    store.commit(commit, Box::new(move |answer| drop(answered.send(answer))));
    match answer.recv()??.value {
        Outcome::Done { .. } => Ok(()),
        refused => Err(format!("{refused:?}").into()),
    }
}

fn spread(number: u128) -> [u8; 16] {
    number
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        .to_be_bytes()
}

fn row(id: RowId, now: StoreTime) -> NewRow {
    let expires_at = now.as_unix_millis() + SESSION_LIFETIME * DAY * 1000;
    NewRow {
        id,
        user: *id.as_bytes(),
        version: RowVersion::from_bytes([7; 16]),
        expires_at: StoreTime::from_unix_millis(expires_at),
        body: vec![1; 200],
    }
}
