//! Answers without an end: neither time nor memory goes with them.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener},
};

use epochkey::{Authority, Grant, MasterSecret, RedisStore, Scope};

use super::*;
use crate::{
    deceived::{Memory, is_alone},
    network::Lie,
};

fn streams() -> Vec<(&'static str, Vec<u8>)> {
    let many = |first: &str, then: &str| [first.to_owned(), then.repeat(1 << 20)].concat();
    let streams = vec![
        ("pushes", many("", ">0\r\n")),
        ("a text", many("$9223372036854775807\r\n", "xxxx")),
        ("a line", many("+", "xxxx")),
        ("numbers", many("*1000000000\r\n", ":1\r\n")),
        ("nothing", many("*1000000000\r\n", "_\r\n")),
        ("arrays", many("*1000000000\r\n", "*1\r\n_\r\n")),
        ("errors", many("*1000000000\r\n", "-a b\r\n")),
        ("maps", many("%1000000000\r\n", "%1\r\n_\r\n_\r\n")),
        ("attributes", many("", "|1\r\n_\r\n_\r\n")),
        ("arrays in arrays", many("", "*1\r\n")),
    ];
    let bytes = |(name, text): (_, String)| (name, text.into_bytes());
    streams.into_iter().map(bytes).collect()
}

#[test]
fn an_endless_answer_is_an_error_in_bounded_memory() {
    if !is_alone("hostile::endless::an_endless_answer_is_an_error_in_bounded_memory") {
        return;
    }
    let Some((_server, hostile)) = start() else {
        return;
    };
    let patient = RedisOptions::new().response_timeout(Duration::from_secs(5));
    let store = RedisStore::connect(&url(&hostile), patient).unwrap();
    let authority = Authority::builder("https://issuer.test", "api")
        .master_secret(MasterSecret::generate().unwrap())
        .open(store)
        .unwrap();
    let before = Memory::now();
    for (name, stream) in streams() {
        let user = format!("u-{name}");
        let token = persist(|| authority.issue(Grant::user(&user)));
        hostile.replace("$5\r\nepoch\r\n", Lie::Endless(stream));
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
    assert_eq!(hostile.told(), streams().len() as u64);
}

/// What comes byte by byte keeps no read waiting for long.
#[test]
fn a_trickle_is_given_up_in_the_end() {
    for first in [&b""[..], b"+", b"*1000\r\n", b"$1000000000\r\n"] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let trickler = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.write_all(first);
            while client.write_all(b"1").is_ok() {
                thread::sleep(Duration::from_millis(2));
            }
        });
        let connected = RedisStore::connect(&url, impatient());
        assert_eq!(connected.err().unwrap().label(), "unreachable");
        trickler.join().unwrap();
    }
}
