//! Answers without an end: neither time nor memory goes with them.

use epochkey::{Authority, Grant, MasterSecret, Scope};

use super::*;
use crate::{
    deceived::{Memory, is_alone},
    network::{Lie, wire},
};

#[test]
fn an_endless_answer_is_an_error_in_bounded_memory() {
    if !is_alone("hostile::endless::an_endless_answer_is_an_error_in_bounded_memory") {
        return;
    }
    let Some((_server, hostile)) = start() else {
        return;
    };
    let patient = PostgresOptions::new().response_timeout(Duration::from_secs(5));
    let store = PostgresStore::connect(&url(&hostile), patient).unwrap();
    let authority = Authority::builder("https://issuer.test", "api")
        .master_secret(MasterSecret::generate().unwrap())
        .open(store)
        .unwrap();
    let before = Memory::now();
    for (name, first, then) in wire::endless() {
        let user = format!("u-{name}");
        let token = persist(|| authority.issue(Grant::user(&user)));
        hostile.replace("_put_epochs (", Lie::EndlessAfter(first, then));
        // It may be asked for again.
        let bumped = authority.bump(Scope::user(&user)).wait();
        hostile.reform();
        if bumped.is_ok() {
            authority.verify(&token).unwrap_err();
        }
        persist(|| authority.bump(Scope::user(&user)).wait());
        authority.verify(&token).unwrap_err();
        before.assert_bounded(name);
    }
    assert_eq!(hostile.told(), wire::endless().len() as u64);
}

/// Before anybody is let in.
#[test]
fn who_talks_without_an_end_is_not_connected_to() {
    if !is_alone("hostile::endless::who_talks_without_an_end_is_not_connected_to") {
        return;
    }
    let before = Memory::now();
    for (name, first, then) in wire::endless() {
        let (url, talking) = talking("sslmode=disable", move |client| {
            hear_first(client);
            let let_in = wire::message(b'R', &[0; 4]);
            let _ = client.write_all(&let_in);
            let _ = client.write_all(&first);
            while client.write_all(&then).is_ok() {}
        });
        let connected = PostgresStore::connect(&url, PostgresOptions::new());
        assert_eq!(connected.err().unwrap().label(), "unreachable", "{name}");
        talking.join().unwrap();
    }
    before.assert_bounded("before anybody is let in");
}

/// What is said before somebody is let in is kept until then.
#[test]
fn who_says_much_before_letting_in_is_not_asked_anything() {
    for (notices, is_asked) in [(10, true), (5000, false)] {
        let (url, talking) = talking("sslmode=disable", move |client| {
            hear_first(client);
            let notice = wire::message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mno\0\0");
            let notices = notice.repeat(notices);
            let let_in = wire::message(b'R', &[0; 4]);
            let _ = client.write_all(&[let_in, notices, wire::ready()].concat());
            hear(client).is_some()
        });
        let connected = PostgresStore::connect(&url, impatient());
        assert_eq!(connected.err().unwrap().label(), "unreachable");
        assert_eq!(talking.join().unwrap(), is_asked, "{notices}");
    }
}

/// What comes byte by byte keeps no read waiting for long.
#[test]
fn a_trickle_is_given_up_in_the_end() {
    for first in [
        &b""[..],
        b"R\0\0\0\x08\0\0\0\0",
        b"E\0\x10\0\0",
        b"N\x7f\xff\xff\xff",
    ] {
        let (url, talking) = talking("sslmode=disable", move |client| {
            let _ = client.write_all(first);
            while client.write_all(b"S").is_ok() {
                thread::sleep(Duration::from_millis(2));
            }
        });
        let connected = PostgresStore::connect(&url, impatient());
        assert_eq!(connected.err().unwrap().label(), "unreachable");
        talking.join().unwrap();
    }
}
