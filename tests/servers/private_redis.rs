//! A private server does what is asked of it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use redis::{RedisResult, Value};

use crate::server::{self, RedisServer, Server};

fn set(server: &RedisServer, key: &str, value: &str) {
    let answer = server.command(&["SET", key, value]).unwrap();
    assert_eq!(answer, Value::Okay);
}

fn get(server: &RedisServer, key: &str) -> Option<String> {
    redis::from_redis_value(server.command(&["GET", key]).unwrap()).unwrap()
}

fn setting(server: &RedisServer, name: &str) -> String {
    let answer = server.command(&["CONFIG", "GET", name]).unwrap();
    let [_, value]: [String; 2] = redis::from_redis_value(answer).unwrap();
    value
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[test]
fn servers_are_private_and_keep_what_they_acknowledge() {
    let Some(one) = server::redis() else { return };
    let Some(other) = server::redis() else { return };
    assert_ne!(one.address(), other.address());
    assert!(one.address().ip().is_loopback());
    assert_eq!(one.url(), format!("redis://127.0.0.1:{}/", one.port()));
    set(&one, "of", "one");
    assert_eq!(get(&other, "of"), None);
    let settings = [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
    ];
    for (name, value) in settings {
        assert_eq!(setting(&one, name), value, "{name}");
    }
    let pid: u64 = one.number("server", "process_id").unwrap();
    assert_eq!(pid, u64::from(one.pid()));
}

#[test]
fn settings_win_and_stay_over_restarts() {
    let settings = [("appendfsync", "everysec"), ("maxmemory", "8388608")];
    let Some(mut server) = server::start::<RedisServer>(&settings) else {
        return;
    };
    for _ in 0..2 {
        for (name, value) in settings {
            assert_eq!(setting(&server, name), value);
        }
        server.restart().unwrap();
    }
    let replica = server.replica().unwrap();
    assert_eq!(setting(&replica, "maxmemory"), "8388608");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    if server::redis().is_none() {
        return;
    }
    let error = RedisServer::with(&[("no-such-setting", "1")]).unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[test]
fn data_survives_kill_and_restart() {
    let Some(mut server) = server::redis() else {
        return;
    };
    let (address, pid) = (server.address(), server.pid());
    set(&server, "key", "kept");
    server.kill().unwrap();
    assert!(!runs(pid));
    assert!(server.command(&["PING"]).is_err());
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(server.address(), address);
    assert_ne!(server.pid(), pid);
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));

    server.restart().unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
    let pid = server.pid();
    server.terminate().unwrap();
    assert!(!runs(pid));
    server.terminate().unwrap();
    server.restart().unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
}

#[test]
fn data_can_be_lost() {
    let Some(mut server) = server::redis() else {
        return;
    };
    let address = server.address();
    set(&server, "key", "lost");
    server.restart_empty().unwrap();
    assert_eq!(server.address(), address);
    assert_eq!(get(&server, "key"), None);
    set(&server, "key", "lost");
    server.wipe().unwrap();
    assert_eq!(get(&server, "key"), None);
}

#[test]
fn a_frozen_server_is_silent_until_the_thaw() {
    let Some(server) = server::redis() else {
        return;
    };
    let mut connection = server.connection().unwrap();
    let short = Some(Duration::from_millis(50));
    connection.set_read_timeout(short).unwrap();
    server.freeze().unwrap();
    let answer: RedisResult<Value> = redis::cmd("INCR").arg("n").query(&mut connection);
    assert!(answer.unwrap_err().is_timeout());
    server.thaw().unwrap();
    let answer = server.command(&["INCR", "n"]).unwrap();
    assert_eq!(answer, Value::Int(2), "what came while frozen counts");
}

#[test]
fn nothing_is_left_behind() {
    let Some(server) = server::redis() else {
        return;
    };
    let pid = server.pid();
    server.freeze().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _server = server;
        panic!("as a test that fails");
    }));
    assert!(panicked.is_err());
    assert!(!runs(pid));
}

#[test]
fn a_replica_follows_and_keeps() {
    let Some(mut primary) = server::redis() else {
        return;
    };
    set(&primary, "before", "1");
    let mut replica = primary.replica().unwrap();
    assert_eq!(get(&replica, "before").as_deref(), Some("1"));
    let refused = replica.command(&["SET", "key", "value"]).unwrap_err();
    assert_eq!(refused.code(), Some("READONLY"));

    set(&primary, "after", "2");
    replica.cut_off().unwrap();
    assert_eq!(get(&replica, "after").as_deref(), Some("2"));
    primary.kill().unwrap();
    replica.promote().unwrap();
    replica.restart().unwrap();
    set(&replica, "last", "3");
    for key in ["before", "after", "last"] {
        assert!(get(&replica, key).is_some(), "{key}");
    }
}

/// A replica that has just got everything from its primary has it in memory first.
#[test]
fn a_replica_keeps_what_it_got_from_the_start() {
    let Some(mut primary) = server::redis() else {
        return;
    };
    set(&primary, "key", "kept");
    let mut replica = primary.replica().unwrap();
    primary.kill().unwrap();
    replica.promote().unwrap();
    replica.restart().unwrap();
    assert_eq!(get(&replica, "key").as_deref(), Some("kept"));
}

#[test]
fn promotion_loses_what_was_written_after_the_cut() {
    let Some(mut primary) = server::redis() else {
        return;
    };
    let mut replica = primary.replica().unwrap();
    set(&primary, "before", "kept");
    replica.cut_off().unwrap();
    set(&primary, "after", "lost");
    primary.kill().unwrap();
    replica.promote().unwrap();
    assert_eq!(get(&replica, "before").as_deref(), Some("kept"));
    assert_eq!(get(&replica, "after"), None);

    // The old primary comes back as a replica, and forgets what nobody else knows.
    primary.restart().unwrap();
    assert_eq!(get(&primary, "after").as_deref(), Some("lost"));
    set(&replica, "after", "found");
    primary.rejoin(&replica).unwrap();
    assert_eq!(get(&primary, "after").as_deref(), Some("found"));
}

#[test]
fn a_replica_that_was_cut_off_stays_so_over_a_restart() -> io::Result<()> {
    let Some(primary) = server::redis() else {
        return Ok(());
    };
    let mut replica = primary.replica()?;
    replica.cut_off()?;
    set(&primary, "key", "value");
    replica.restart()?;
    assert_eq!(get(&replica, "key"), None);
    replica.rejoin(&primary)?;
    assert_eq!(get(&replica, "key").as_deref(), Some("value"));
    Ok(())
}
