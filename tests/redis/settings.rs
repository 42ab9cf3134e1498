//! What the server must be like: looked at when it is connected to, and whenever that is done
//! again.

use std::{fs, sync::LazyLock};

use epochkey::{
    Authority, Grant, MasterSecret, RedisConnectError, RedisOptions, RedisStore, Scope,
};

use crate::{
    faults::fleet::until,
    server::{self, RedisServer, Server},
};

fn connect(server: &RedisServer, options: RedisOptions) -> Result<RedisStore, RedisConnectError> {
    RedisStore::connect(&server.url(), options)
}

fn accepting_loss() -> RedisOptions {
    RedisOptions::new().danger_accept_lost_revocations()
}

fn accepting_eviction() -> RedisOptions {
    RedisOptions::new().danger_accept_evicted_revocations()
}

fn accepting_all() -> RedisOptions {
    accepting_loss().danger_accept_evicted_revocations()
}

/// Refused with this label, and a text that contains these parts.
#[track_caller]
fn assert_refused(
    result: Result<RedisStore, RedisConnectError>,
    label: &'static str,
    parts: &[&str],
) {
    let error = result.expect_err(label);
    assert_eq!(error.label(), label, "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
}

/// One, for some servers are connected to in several ways.
static SECRET: LazyLock<MasterSecret> = LazyLock::new(|| MasterSecret::generate().unwrap());

/// What is accepted works, too.
#[track_caller]
fn assert_works(store: Result<RedisStore, RedisConnectError>) {
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(SECRET.clone());
    let authority = builder.open(store.unwrap()).unwrap();
    let sessions = authority.sessions();
    let pair = sessions.start(Grant::user("u"), "").wait();
    let pair = pair.unwrap();
    assert!(authority.verify(&pair.access).is_ok());
    sessions.end_all("u").wait().unwrap();
    assert!(authority.verify(&pair.access).is_err());
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    for (settings, parts) in [
        (
            &[("appendonly", "no")][..],
            &["set `appendonly yes` (it is `no`)"][..],
        ),
        (
            &[("appendfsync", "everysec")],
            &["set `appendfsync always` (it is `everysec`)"],
        ),
        (
            &[("no-appendfsync-on-rewrite", "yes")],
            &["set `no-appendfsync-on-rewrite no` (it is `yes`)"],
        ),
        (
            &[("appendonly", "no"), ("appendfsync", "no")],
            &[
                "`appendonly yes` (it is `no`)",
                ", `appendfsync always` (it is `no`)",
            ],
        ),
    ] {
        let Some(server) = server::start::<RedisServer>(settings) else {
            return;
        };
        let refused = |options| {
            let result = connect(&server, options);
            assert_refused(result, "weak_durability", parts);
        };
        refused(RedisOptions::new());
        refused(accepting_eviction());
        let named = ["danger_accept_lost_revocations"];
        let result = connect(&server, RedisOptions::new());
        assert_refused(result, "weak_durability", &named);
        assert_works(connect(&server, accepting_loss()));
    }
}

#[test]
fn a_server_that_evicts_is_refused() {
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let settings = [("maxmemory-policy", policy)];
        let Some(server) = server::start::<RedisServer>(&settings) else {
            return;
        };
        let found = format!("set `maxmemory-policy noeviction` (it is `{policy}`)");
        let parts = [found.as_str(), "danger_accept_evicted_revocations"];
        assert_refused(connect(&server, RedisOptions::new()), "evicts", &parts);
        assert_refused(connect(&server, accepting_loss()), "evicts", &parts);
        assert_works(connect(&server, accepting_eviction()));
    }
}

/// Whatever is accepted: it would not take a commit, and be behind.
#[test]
fn a_replica_is_refused() {
    let Some(primary) = server::redis() else {
        return;
    };
    let replica = primary.replica().unwrap();
    for options in [RedisOptions::new(), accepting_all()] {
        let parts = ["is a replica; connect to the primary"];
        assert_refused(connect(&replica, options), "not_primary", &parts);
    }
}

/// A server where a command has another name, or none.
fn with_renamed(names: &str) -> Option<RedisServer> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("renamed.conf");
    fs::write(&file, format!("rename-command {names}\n")).unwrap();
    server::start(&[("include", file.to_str().unwrap())])
}

#[test]
fn a_server_that_does_not_show_its_settings_is_refused() {
    let Some(server) = with_renamed("CONFIG hidden") else {
        return;
    };
    let parts = ["CONFIG GET", "danger_accept_lost_revocations"];
    let hidden = |options| assert_refused(connect(&server, options), "hidden_durability", &parts);
    hidden(RedisOptions::new());
    hidden(accepting_eviction());
    // `INFO` shows its policy.
    assert_works(connect(&server, accepting_loss()));
    server
        .command(&["hidden", "SET", "maxmemory-policy", "allkeys-lru"])
        .unwrap();
    let parts = ["it is `allkeys-lru`"];
    assert_refused(connect(&server, accepting_loss()), "evicts", &parts);
    assert_works(connect(&server, accepting_all()));
}

/// No server of version 7 lacks it, but whoever set it up may have removed it.
#[test]
fn a_server_that_does_not_say_what_it_is_is_refused() {
    let Some(server) = with_renamed("HELLO \"\"") else {
        return;
    };
    for options in [RedisOptions::new(), accepting_all()] {
        let error = connect(&server, options).unwrap_err();
        assert_eq!(error.label(), "refused");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains("HELLO"), "{source}");
    }
}

/// A user of the server who may do only this.
fn url_of_user(server: &RedisServer, may: &[&str]) -> String {
    let user = ["ACL", "SETUSER", "app", "reset", "on", ">open sesame"];
    server.command(&[&user[..], may].concat()).unwrap();
    let address = server.address();
    format!("redis://app:open%20sesame@{address}/")
}

#[test]
fn a_user_who_may_not_look_is_refused() {
    let Some(server) = server::redis() else {
        return;
    };
    let with = |may: &[&str], options| RedisStore::connect(&url_of_user(&server, may), options);
    let no_config = ["~{epochkey}:*", "+@all", "-config"];
    let parts = ["CONFIG GET", "danger_accept_lost_revocations"];
    let result = with(&no_config, RedisOptions::new());
    assert_refused(result, "hidden_durability", &parts);
    assert_works(with(&no_config, accepting_loss()));

    let no_info = ["~{epochkey}:*", "+@all", "-config", "-info"];
    let parts = ["INFO", "danger_accept_evicted_revocations"];
    let result = with(&no_info, accepting_loss());
    assert_refused(result, "hidden_eviction", &parts);
    assert_works(with(&no_info, accepting_all()));

    let no_keys = ["~other:*", "+@all"];
    let result = with(&no_keys, RedisOptions::new());
    assert_refused(result, "refused", &["guide's page"]);
}

/// What the guide gives a user.
#[test]
fn a_user_who_may_do_what_is_needed_works() {
    let Some(server) = server::redis() else {
        return;
    };
    let guide = include_str!("../../src/guide/replicas.md");
    let line = guide.lines().find(|line| line.starts_with("ACL SETUSER"));
    let words = line.unwrap().split(' ').skip(5);
    let may: Vec<&str> = words.map(|word| word.trim_matches('\'')).collect();
    let url = url_of_user(&server, &may);
    assert_works(RedisStore::connect(&url, RedisOptions::new()));
    let wrong = url.replace("sesame", "door");
    let refused = RedisStore::connect(&wrong, RedisOptions::new());
    assert_refused(refused, "refused", &[]);
}

#[test]
fn keys_of_something_else_are_left_alone() {
    let Some(server) = server::redis() else {
        return;
    };
    for name in ["head", "log", "epochs", "receipts"] {
        let key = format!("{{epochkey}}:{name}");
        server.command(&["SET", &key, "mine"]).unwrap();
        let parts = [key.as_str(), "is a string", "take another `prefix`"];
        for options in [RedisOptions::new(), accepting_all()] {
            assert_refused(connect(&server, options), "taken_key", &parts);
        }
        let value = server.command(&["GETDEL", &key]).unwrap();
        assert_eq!(value, redis::Value::BulkString(b"mine".to_vec()));
    }
    assert_works(connect(&server, RedisOptions::new()));
}

/// Has the server write its file anew, and take its time.
fn write_for_long(server: &RedisServer, how: &[&str]) {
    let slow = ["CONFIG", "SET", "rdb-key-save-delay", "100000000"];
    server.command(&["SET", "some", "data"]).unwrap();
    server.command(&slow).unwrap();
    server.command(how).unwrap();
    until("it writes", || is_writing(server));
}

fn is_writing(server: &RedisServer) -> bool {
    let number = |name| server.number("persistence", name).unwrap();
    number("aof_rewrite_in_progress") == 1
}

/// What it acknowledges before it has written its file once, a crash would still lose.
#[test]
fn a_server_is_refused_until_it_has_everything_on_its_disk() {
    let Some(server) = server::start::<RedisServer>(&[("appendonly", "no")]) else {
        return;
    };
    write_for_long(&server, &["CONFIG", "SET", "appendonly", "yes"]);
    let parts = ["`appendonly` was switched on", "try again"];
    assert_refused(connect(&server, RedisOptions::new()), "not_on_disk", &parts);
    drop(connect(&server, accepting_loss()).unwrap());
    stop_writing(&server);
    assert_works(connect(&server, RedisOptions::new()));

    let Some(primary) = server::redis() else {
        return;
    };
    let mut promoted = primary.replica().unwrap();
    promoted.promote().unwrap();
    write_for_long(&promoted, &["BGREWRITEAOF"]);
    assert_refused(connect(&promoted, RedisOptions::new()), "not_on_disk", &[]);
    stop_writing(&promoted);
    assert_works(connect(&promoted, RedisOptions::new()));
}

/// Who has seen it with everything on its disk is not kept out when it writes its file anew.
#[test]
fn a_server_that_writes_its_file_anew_is_connected_to_again() {
    let Some(server) = server::redis() else {
        return;
    };
    let store = connect(&server, RedisOptions::new()).unwrap();
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(SECRET.clone());
    let authority = builder.open(store).unwrap();
    write_for_long(&server, &["BGREWRITEAOF"]);
    let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
    server.command(&kill).unwrap();
    until("it bumps", || {
        authority.bump(Scope::user("u")).wait().is_ok()
    });
    assert!(is_writing(&server));
}

/// Ends the writing of the file that has begun, and does it again in no time.
fn stop_writing(server: &RedisServer) {
    for (name, value) in [
        ("rdb-key-save-delay", "0"),
        ("appendonly", "no"),
        ("appendonly", "yes"),
    ] {
        server.command(&["CONFIG", "SET", name, value]).unwrap();
    }
    until("the file is written", || !is_writing(server));
}

#[test]
fn what_is_not_a_server_of_ours_is_refused() {
    for (url, label) in [
        ("127.0.0.1:6379", "invalid_url"),
        ("http://127.0.0.1/", "invalid_url"),
        ("", "invalid_url"),
    ] {
        assert_refused(RedisStore::connect(url, RedisOptions::new()), label, &[]);
    }
    // A port that nobody has any more.
    let address = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("redis://{}/", address.local_addr().unwrap());
    drop(address);
    let refused = RedisStore::connect(&url, RedisOptions::new());
    assert_refused(refused, "unreachable", &[]);
}
