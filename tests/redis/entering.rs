//! Being let in by a server: names, passwords, databases, addresses.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use epochkey::{Authority, MasterSecret, RedisConnectError, RedisOptions, RedisStore};

use crate::{
    network::{Hostile, Lie},
    server::{self, RedisServer, Server},
};

const PASSWORD: &str = "corr%65ct+h\u{f6}rse";
/// As it stands in a URL.
const ENCODED: &str = "corr%2565ct+h%C3%B6rse";

fn connect(
    server: &RedisServer,
    before: &str,
    after: &str,
) -> Result<RedisStore, RedisConnectError> {
    let url = format!("redis://{before}{}{after}", server.address());
    RedisStore::connect(&url, RedisOptions::new())
}

fn open(store: RedisStore) -> Authority {
    let builder = Authority::builder("https://issuer.test", "api");
    let builder = builder.master_secret(MasterSecret::generate().unwrap());
    builder.open(store).unwrap()
}

/// Everything that is said, to whomever.
fn said(error: &RedisConnectError) -> String {
    let source = error.source().map(|source| format!("{source} {source:?}"));
    format!("{error} {error:?} {}", source.unwrap_or_default())
}

#[track_caller]
fn assert_refused(connected: Result<RedisStore, RedisConnectError>, because: &str) {
    let error = connected.err().unwrap();
    let said = said(&error);
    assert_eq!(error.label(), "refused", "{said}");
    assert!(said.contains(because), "{said}");
    for secret in [PASSWORD, ENCODED, "wrong-one"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn a_password_opens_with_and_without_a_name() {
    let Some(server) = server::redis() else {
        return;
    };
    let allow_all = ["allkeys", "allchannels", "allcommands"];
    let mut user = vec!["ACL", "SETUSER", "ada", "on"];
    let hidden = format!(">{PASSWORD}");
    user.push(&hidden);
    user.extend(allow_all);
    server.command(&user).unwrap();
    let mut default = vec!["ACL", "SETUSER", "default", "resetpass", &hidden];
    default.extend(allow_all);
    server.command(&default).unwrap();

    for before in [format!("ada:{ENCODED}@"), format!(":{ENCODED}@")] {
        let store = connect(&server, &before, "").unwrap();
        assert!(!format!("{store:?}").contains("corr"), "{store:?}");
    }
    assert_refused(connect(&server, ":wrong-one@", ""), "WRONGPASS");
    assert_refused(
        connect(&server, &format!("eve:{ENCODED}@"), ""),
        "WRONGPASS",
    );
    assert_refused(connect(&server, "", ""), "NOAUTH");
}

/// Where `AUTH` has another name, the server says which command it does not know, and with
/// which arguments.
#[test]
fn a_server_that_repeats_the_password_is_not_quoted() {
    let Some(server) = server::redis() else {
        return;
    };
    let hostile = Hostile::before(server.address()).unwrap();
    let reply = format!("-ERR unknown command 'AUTH', with args beginning with: '{PASSWORD}'\r\n");
    hostile.replace("AUTH", Lie::Bytes(reply.into_bytes()));
    let url = format!("redis://:{ENCODED}@{}", hostile.address());
    let connected = RedisStore::connect(&url, RedisOptions::new());
    assert_refused(connected, "refuses the password");
}

#[test]
fn databases_have_nothing_to_do_with_each_other() {
    let Some(server) = server::redis() else {
        return;
    };
    let authorities = ["", "/3"].map(|after| open(connect(&server, "", after).unwrap()));
    let info = format!("{:?}", server.command(&["INFO", "keyspace"]).unwrap());
    assert!(info.contains("db0:") && info.contains("db3:"), "{info}");
    drop(authorities);
    assert_refused(connect(&server, "", "/1000"), "DB index is out of range");
}

#[test]
fn a_socket_in_the_file_system_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("redis.sock");
    let path = path.to_str().unwrap();
    let Some(_server) = server::start::<RedisServer>(&[("unixsocket", path)]) else {
        return;
    };
    let store = RedisStore::connect(&format!("unix://{path}"), RedisOptions::new()).unwrap();
    open(store);
}

#[test]
fn what_is_no_server_is_unreachable() {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", free.local_addr().unwrap());
    drop(free);
    for url in [
        url.as_str(),
        "unix:///no/such/socket",
        "redis://no-such-host.invalid",
    ] {
        let error = RedisStore::connect(url, RedisOptions::new()).err().unwrap();
        assert_eq!(error.label(), "unreachable", "{url}");
    }
    for url in [
        "",
        "http://localhost",
        "redis://",
        "redis://localhost/#insecure",
        "redis://ada:wrong-one@localhost:port",
        "redis://ada:wrong-one@localhost/no-number",
    ] {
        let error = RedisStore::connect(url, RedisOptions::new()).err().unwrap();
        assert_eq!(error.label(), "invalid_url", "{url}");
        assert!(!said(&error).contains("wrong-one"), "{}", said(&error));
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    let nowhere = "redis://127.0.0.1:1";
    let refused = |options| RedisStore::connect(nowhere, options).err().unwrap();
    for prefix in ["", "{", "a}b", "{a}"] {
        let error = refused(RedisOptions::new().prefix(prefix));
        assert_eq!(error.label(), "invalid_prefix");
        assert!(said(&error).contains(&format!("`{prefix}`")), "{error}");
    }
    for options in [
        RedisOptions::new().connect_timeout(Duration::ZERO),
        RedisOptions::new().response_timeout(Duration::ZERO),
    ] {
        let error = refused(options);
        assert_eq!(error.label(), "invalid_timeout");
        assert!(said(&error).contains("a time-out is 0"), "{error}");
    }
}

#[test]
fn a_server_that_is_too_old_is_refused_with_its_version() {
    let Some(server) = server::redis() else {
        return;
    };
    for version in ["6.2.14", "", "seven", "-7.0.0"] {
        let hostile = Hostile::before(server.address()).unwrap();
        let length = version.len();
        let reply = format!(
            "*4\r\n$7\r\nversion\r\n${length}\r\n{version}\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        );
        hostile.replace_all("HELLO", Lie::Bytes(reply.into_bytes()));
        let url = format!("redis://{}", hostile.address());
        let error = RedisStore::connect(&url, RedisOptions::new())
            .err()
            .unwrap();
        assert_eq!(error.label(), "old_version", "{version}");
        let parts = format!("is of version {version}; 7 or later");
        assert!(said(&error).contains(&parts), "{error}");
    }
}
