//! What the library under the store would do for a server that is not one.

use epochkey::{Authority, Grant, MasterSecret, Scope, StoreError};

use super::*;
use crate::{
    deceived::Asker,
    network::{
        Lie,
        wire::{columns, described, done, message, ready},
    },
};

/// A type that is nobody's.
const UNKNOWN: u32 = 4_000_000_000;

/// It asks what an unknown type is. That one consists of another one, which consists of another
/// one: each is asked for by a deeper call, and the stack has an end.
#[test]
fn types_that_consist_of_others_without_an_end_are_not_followed() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let store = PostgresStore::connect(&url(&hostile), PostgresOptions::new()).unwrap();
    let mut asker = Asker::begun(&store);
    let unknown = [described(&[UNKNOWN]), done("SELECT 0")].concat();
    hostile.replace_all("_standing (", Lie::Bytes(unknown));
    // Of names, a letter, and ids.
    let kinds = columns(&[19, 18, 26, 26, 26, 19, 26]);
    let parameter = message(b't', &[0, 1, 0, 0, 0, 26]);
    let prepared = [message(b'1', b""), parameter, kinds, ready()].concat();
    hostile.replace_all("pg_catalog.pg_type", Lie::Bytes(prepared));
    let mut row = 7_u16.to_be_bytes().to_vec();
    let id = |id: u32| Some(id.to_be_bytes().to_vec());
    let name = || Some(b"x".to_vec());
    for value in [
        name(),
        Some(b"b".to_vec()),
        id(UNKNOWN),
        None,
        id(0),
        name(),
        id(0),
    ] {
        match value {
            Some(value) => {
                row.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                row.extend(value);
            }
            None => row.extend([0xff; 4]),
        }
    }
    let found = [message(b'2', b""), message(b'D', &row), done("SELECT 1")].concat();
    hostile.replace_all("\0s0\0", Lie::Bytes(found));
    let told = hostile.told();
    asker.ask(&store, "standing").unwrap_err();
    let told = hostile.told() - told;
    assert!((2..20).contains(&told), "asked {told} times");
    hostile.reform();
    persist(|| asker.ask(&store, "standing"));
}

/// Each is kept by the library for the life of the connection.
#[test]
fn a_connection_that_has_told_of_many_settings_is_replaced() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    // What is read so much of takes its time.
    let patient = PostgresOptions::new().response_timeout(Duration::from_secs(60));
    let store = PostgresStore::connect(&url(&hostile), patient).unwrap();
    let mut asker = Asker::begun(&store);
    let value = "x".repeat(1000);
    let setting = |number: u32| message(b'S', format!("{number}\0{value}\0").as_bytes());
    let settings: Vec<u8> = (0..9_000).flat_map(setting).collect();
    // Honest in all else.
    let committed = [settings, done("COMMIT")].concat();
    for _ in 0..5 {
        hostile.replace_behind("_move_head (", Lie::Bytes(committed.clone()));
        asker.commit(&store, 1).unwrap();
    }
}

/// A commit of which the server says so much besides.
fn commit_with(rows: usize, kinds: &[u32]) -> Result<(), StoreError> {
    let Some((_server, hostile)) = start() else {
        return Err(StoreError::unavailable("there is none"));
    };
    let patient = PostgresOptions::new().response_timeout(Duration::from_secs(60));
    let store = PostgresStore::connect(&url(&hostile), patient).unwrap();
    let mut asker = Asker::begun(&store);
    let count = u16::try_from(kinds.len()).unwrap().to_be_bytes().to_vec();
    let row = message(b'D', &[count, [0xff; 4].repeat(kinds.len())].concat());
    let answer = [described(kinds), row.repeat(rows), done("INSERT 0 1")].concat();
    hostile.replace("_put_epochs (", Lie::Bytes(answer));
    asker.commit(&store, 1).map(drop)
}

/// What is small on its way is large where it is kept.
#[test]
fn many_small_things_are_too_much() {
    if server::installed::<PostgresServer>().is_none() {
        return;
    }
    commit_with(1000, &[]).unwrap();
    commit_with(300_000, &[]).unwrap_err();
    commit_with(10, &[17; 1000]).unwrap();
    commit_with(1500, &[17; 1000]).unwrap_err();
}

/// A panic in one of its threads would end the store for good.
#[test]
fn bytes_by_chance_end_no_thread() {
    for seed in 0..3 {
        let Some((_server, hostile)) = start() else {
            return;
        };
        let authority = persist(|| {
            let builder = Authority::builder("https://issuer.test", "api");
            let builder = builder.master_secret(MasterSecret::generate().unwrap());
            builder.open(connect(&hostile))
        });
        hostile.garble_by_chance(10, seed);
        for number in 0..8 {
            let user = format!("u-{}", number % 5);
            drop(authority.bump(Scope::user(&user)).wait());
            drop(
                authority
                    .sessions()
                    .start(Grant::user(&user), "device")
                    .wait(),
            );
            drop(authority.sessions().list(&user).wait());
        }
        hostile.reform();
        let token = persist(|| authority.issue(Grant::user("last")));
        persist(|| authority.bump(Scope::user("last")).wait());
        authority.verify(&token).unwrap_err();
    }
}
