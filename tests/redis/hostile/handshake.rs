//! What is looked at when the server is connected to. All who connect are lied to: a store that
//! was taken for good goes on connecting by itself.

use epochkey::RedisStore;

use super::*;
use crate::network::{LIES, Lie, deep};

/// Questions of the handshake, by what is in them alone.
const ASKED: [&str; 5] = ["HELLO", "appendonly", "maxmemory-policy", "TYPE", "LOAD"];

#[test]
fn no_lie_lets_a_server_pass_for_a_good_one() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    for marker in ASKED {
        for (name, bytes) in LIES {
            hostile.reform();
            hostile.replace_all(marker, Lie::Bytes(bytes.to_vec()));
            let connected = RedisStore::connect(&url(&hostile), impatient());
            // Who may not see one setting may see it elsewhere.
            let is_error = matches!(bytes[0], b'-' | b'!');
            if !(marker == "maxmemory-policy" && is_error) {
                assert!(connected.is_err(), "{name} for {marker}");
            }
        }
    }
    hostile.reform();
    connect(&hostile);
}

#[test]
fn neither_does_an_answer_that_is_late_or_cut_or_altered() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    for marker in ASKED {
        let mut lies = vec![Lie::Last(b"+OK\r\n".to_vec()), Lie::Bytes(deep(98))];
        lies.extend([Lie::Bytes(deep(99)), Lie::Bytes(deep(100_000))]);
        lies.extend([0, 1, 10].map(Lie::Truncated));
        // What was answered before is of another kind, or a script that there is already.
        if marker != "maxmemory-policy" && marker != "TYPE" {
            lies.push(Lie::Late);
        }
        for lie in lies {
            hostile.reform();
            let shown = format!("{lie:.40?} for {marker}");
            hostile.replace_all(marker, lie);
            assert!(
                RedisStore::connect(&url(&hostile), impatient()).is_err(),
                "{shown}"
            );
        }
        for seed in 0..20 {
            hostile.reform();
            hostile.replace_all(marker, Lie::Altered(seed));
            // It may be one that does not matter.
            let _ = RedisStore::connect(&url(&hostile), impatient());
        }
        hostile.reform();
        hostile.replace_all(marker, Lie::Bytewise);
        connect(&hostile);
    }
}

/// An answer that comes twice, in two pieces far apart, would be taken for the next one.
#[test]
fn scripts_are_not_taken_for_each_other() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    hostile.replace_all(
        "LOAD",
        Lie::Bytes(format!("$40\r\n{}\r\n", "0".repeat(40)).into_bytes()),
    );
    let connected = RedisStore::connect(&url(&hostile), impatient());
    assert_eq!(connected.err().unwrap().label(), "not_understood");
}
