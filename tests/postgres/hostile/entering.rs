//! What is said before the first question, and what a server is asked before it is believed.

use std::error::Error;

use epochkey::PostgresConnectError;

use super::*;
use crate::network::{
    Lie,
    wire::{error, message, welcome},
};

/// What an error says, with all that led to it.
fn said(error: &PostgresConnectError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(": {error}");
        source = error.source();
    }
    said
}

#[test]
fn no_lie_lets_a_server_pass_for_a_good_one() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let lies = hostile.lies();
    for marker in ["application_name", "server_version_num"] {
        for (name, bytes) in lies.clone() {
            // The truth about who may enter.
            if marker == "application_name" && name == "let in" {
                continue;
            }
            hostile.reform();
            hostile.replace_all(marker, Lie::Bytes(bytes));
            let connected = PostgresStore::connect(&url(&hostile), impatient());
            assert!(connected.is_err(), "{name} for {marker}");
        }
        for length in [0, 1, 10, 40] {
            hostile.reform();
            hostile.replace_all(marker, Lie::Truncated(length));
            let connected = PostgresStore::connect(&url(&hostile), impatient());
            assert!(connected.is_err(), "cut after {length} for {marker}");
        }
        for seed in 0..40 {
            hostile.reform();
            hostile.replace_all(marker, Lie::Altered(seed));
            // It may be one that does not matter.
            let _ = PostgresStore::connect(&url(&hostile), impatient());
        }
    }
    hostile.reform();
    connect(&hostile);
}

#[test]
fn a_server_that_is_too_old_is_refused_with_its_version() {
    let Some((server, hostile)) = start() else {
        return;
    };
    let number: i32 = server
        .value("SHOW server_version_num")
        .unwrap()
        .parse()
        .unwrap();
    let version = server.value("SHOW server_version").unwrap();
    let lie = Lie::Replaced(
        number.to_be_bytes().to_vec(),
        139_999_i32.to_be_bytes().to_vec(),
    );
    hostile.replace_all("server_version_num", lie);
    let error = PostgresStore::connect(&url(&hostile), impatient())
        .err()
        .unwrap();
    assert_eq!(error.label(), "old_version", "{error:?}");
    assert!(error.to_string().contains(&version), "{error}");
}

#[test]
fn who_refuses_is_listened_to() {
    let (url, talking) = talking("sslmode=disable", |client| {
        hear_first(client);
        let _ = client.write_all(&error("FATAL", "28P01", "no such friend"));
    });
    let error = PostgresStore::connect(&url, impatient()).err().unwrap();
    talking.join().unwrap();
    assert_eq!(error.label(), "refused");
    assert!(said(&error).contains("no such friend"), "{}", said(&error));
}

/// A word of the server, of the kind that takes part in logging in.
fn word(kind: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes()[..], body].concat())
}

/// The nonce of a client that begins to prove that it knows the password.
fn nonce(heard: &[u8]) -> String {
    let text = String::from_utf8_lossy(heard);
    let (_, nonce) = text.rsplit_once("r=").unwrap();
    nonce.to_owned()
}

/// The first word of a server that is to prove that it knows the password too.
fn challenge(client: &mut TcpStream, rest: &str) {
    hear_first(client);
    let _ = client.write_all(&word(10, b"SCRAM-SHA-256\0\0"));
    let nonce = nonce(&hear(client).unwrap());
    let first = format!("r={nonce}{rest}");
    let _ = client.write_all(&word(11, first.as_bytes()));
}

/// Or anybody could be taken for the server.
#[test]
fn who_does_not_know_the_password_is_not_let_in_as_the_server() {
    let salt = "salt,s=c2FsdA==,i=10";
    let words: [(&'static str, Vec<u8>); 6] = [
        (
            "a false proof",
            word(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ),
        ("an empty proof", word(12, b"v=")),
        ("no proof", word(12, b"")),
        ("no word of it", Vec::new()),
        ("an error for a proof", word(12, b"e=other-error")),
        ("again", word(11, b"r=x,s=c2FsdA==,i=1")),
    ];
    for (name, proof) in words {
        let (url, talking) = talking("sslmode=disable", move |client| {
            challenge(client, salt);
            let heard = hear(client).unwrap();
            let _ = client.write_all(&[proof, welcome()].concat());
            heard
        });
        let error = PostgresStore::connect(&url, impatient()).err().unwrap();
        assert_eq!(error.label(), "unreachable", "{name}");
        let heard = talking.join().unwrap();
        assert!(!String::from_utf8_lossy(&heard).contains("secret-word"));
    }
}

/// Nor does it take a day to find out.
#[test]
fn a_challenge_that_is_too_hard_is_refused() {
    let rest = [
        "salt,s=c2FsdA==,i=4294967295",
        "salt,s=c2FsdA==,i=100000000",
        "salt,s=c2FsdA==,i=-1",
        "salt,s=c2FsdA==,i=99999999999999999999",
        "salt,s=?,i=1",
        "salt",
        ",",
        "",
    ];
    for rest in rest {
        let (url, talking) = talking("sslmode=disable", move |client| {
            challenge(client, rest);
            hear(client).is_some()
        });
        let error = PostgresStore::connect(&url, impatient()).err().unwrap();
        assert_eq!(error.label(), "unreachable", "{rest}");
        assert!(!talking.join().unwrap(), "answered: {rest}");
    }
}

/// With `sslmode=require` nothing is said to one who cannot prove who it is.
#[test]
fn the_password_is_for_the_server_only() {
    let answers: [&'static [u8]; 5] = [
        b"N",
        b"E",
        // Asks for it at once, before and instead of proving anything.
        b"NR\0\0\0\x08\0\0\0\x03",
        b"SR\0\0\0\x08\0\0\0\x03",
        b"\x16\x03\x03\0\x02\x02\x28",
    ];
    for answer in answers {
        let (url, talking) = talking("sslmode=require", move |client| {
            let mut heard = hear_first(client);
            let _ = client.write_all(answer);
            let _ = client.read_to_end(&mut heard);
            heard
        });
        let error = PostgresStore::connect(&url, impatient()).err().unwrap();
        assert_eq!(error.label(), "unreachable", "{answer:?}");
        let heard = talking.join().unwrap();
        let heard = String::from_utf8_lossy(&heard);
        assert!(!heard.contains("secret-word"), "{answer:?}");
        assert!(!heard.contains("user"), "{answer:?}");
    }
}

/// As where a password has to be proven to the certificate's owner.
#[test]
fn where_binding_is_required_no_other_way_in_is_taken() {
    for kind in [0, 3, 5, 10] {
        let parameters = "sslmode=disable&channel_binding=require";
        let (url, talking) = talking(parameters, move |client| {
            hear_first(client);
            let body = if kind == 10 {
                &b"SCRAM-SHA-256\0\0"[..]
            } else {
                &[0; 4]
            };
            let body = if kind == 0 || kind == 3 { &[] } else { body };
            let _ = client.write_all(&word(kind, body));
            hear(client).is_some()
        });
        let error = PostgresStore::connect(&url, impatient()).err().unwrap();
        assert_eq!(error.label(), "unreachable", "{kind}");
        assert!(!talking.join().unwrap(), "answered: {kind}");
    }
}
