//! Being let in by a server: names, passwords, databases, addresses.

use std::{error::Error, net::TcpListener, time::Duration};

use epochkey::{PostgresConnectError, PostgresOptions, PostgresStore};

use crate::{
    hand::{assert_refused, assert_works, said},
    server::{self, PostgresServer, Server},
};

const PASSWORD: &str = "corr%65ct+h\u{f6}rse";
/// As it stands in a URL.
const ENCODED: &str = "corr%2565ct+h%C3%B6rse";

fn connect(url: &str) -> Result<PostgresStore, PostgresConnectError> {
    PostgresStore::connect(url, PostgresOptions::new())
}

/// Everything that is said, to whomever.
fn all_said(error: &PostgresConnectError) -> String {
    let mut said = format!("{error} {error:?} {error:#?}");
    let mut next = error.source();
    while let Some(source) = next {
        said += &format!(" {source} {source:?} {source:#?}");
        next = source.source();
    }
    said
}

#[track_caller]
fn assert_hidden(error: &PostgresConnectError) {
    let said = all_said(error);
    for secret in ["corr%", "h\u{f6}rse", "h%C3", "wrong-one", "hunter"] {
        assert!(!said.contains(secret), "{said}");
    }
}

/// A server that asks for passwords, and the file in which it says so.
fn asking(method: &str) -> Option<(PostgresServer, tempfile::TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hba.conf");
    let rules =
        format!("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 {method}\n");
    std::fs::write(&file, rules).unwrap();
    PostgresServer::hand_over(directory.path()).unwrap();
    let stored = if method == "md5" {
        "md5"
    } else {
        "scram-sha-256"
    };
    let settings = [
        ("hba_file", file.to_str().unwrap()),
        ("password_encryption", stored),
    ];
    let server = server::start::<PostgresServer>(&settings)?;
    let sql = format!("CREATE ROLE ada LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
    server.execute(&sql).unwrap();
    Some((server, directory))
}

#[test]
fn a_password_opens_and_is_never_shown() {
    for method in ["scram-sha-256", "md5", "password"] {
        let Some((server, _directory)) = asking(method) else {
            return;
        };
        let address = server.address();
        let url = |user: &str| format!("postgres://{user}{address}/postgres");
        let store = connect(&url(&format!("ada:{ENCODED}@"))).unwrap();
        let said = format!("{store:?} {store:#?}");
        assert!(
            !said.contains("corr") && said.contains(&address.to_string()),
            "{said}"
        );
        assert_works(Ok(store));
        let refused = |user: &str, parts: &[&str]| {
            let error = connect(&url(user)).unwrap_err();
            assert_hidden(&error);
            assert_refused(Err(error), "refused", parts);
        };
        let failed = ["password authentication failed for user"];
        refused("ada:wrong-one@", &failed);
        refused(&format!("eve:{ENCODED}@"), &failed);
    }
}

#[test]
fn without_the_password_that_is_asked_for_it_is_not_let_in() {
    let Some((server, _directory)) = asking("scram-sha-256") else {
        return;
    };
    let url = format!("postgres://ada@{}/postgres", server.address());
    let said = said(&connect(&url).unwrap_err());
    assert!(said.contains("password missing"), "{said}");
}

#[test]
fn a_role_or_a_database_that_is_not_there_is_refused() {
    let Some(server) = server::postgres() else {
        return;
    };
    let address = server.address();
    for (url, part) in [
        (
            format!("postgres://nobody:hunter2@{address}/postgres"),
            "role \"nobody\" does not exist",
        ),
        (
            format!("postgres://postgres:hunter2@{address}/none"),
            "database \"none\" does not exist",
        ),
    ] {
        let error = connect(&url).unwrap_err();
        assert_hidden(&error);
        assert_refused(Err(error), "refused", &[part]);
    }
}

#[test]
fn urls_are_taken_as_libpq_takes_them() {
    let Some(server) = server::postgres() else {
        return;
    };
    let (address, port) = (server.address(), server.port());
    for url in [
        format!("postgres://postgres@{address}/postgres"),
        format!("postgresql://postgres@{address}/postgres"),
        format!("postgresql://postgres@{address}"),
        format!("postgres://postgres@{address}/postgres?sslmode=prefer"),
        format!("postgres://postgres@{address}/postgres?sslmode=disable&connect_timeout=5"),
        format!("postgres://postgres@{address}/postgres?application_name=other"),
        format!("postgres://{address}/postgres?user=postgres"),
        format!("postgres://postgres@localhost:{port}/postgres"),
        format!("postgres:///postgres?host=127.0.0.1&port={port}&user=postgres"),
        format!("host=127.0.0.1 port={port} user=postgres dbname=postgres"),
        format!("hostaddr=127.0.0.1 host=no-such-host.invalid port={port} user=postgres"),
        format!("host=127.0.0.1,127.0.0.1 port={port} user=postgres"),
    ] {
        let store = connect(&url);
        assert!(store.is_ok(), "{url}: {store:?}");
        assert_works(store);
    }
}

#[test]
fn a_socket_in_the_file_system_will_do() {
    let directory = tempfile::tempdir().unwrap();
    PostgresServer::hand_over(directory.path()).unwrap();
    let path = directory.path().to_str().unwrap();
    let settings = [("unix_socket_directories", path)];
    let Some(server) = server::start::<PostgresServer>(&settings) else {
        return;
    };
    let port = server.port();
    let encoded = path.replace('/', "%2F");
    for url in [
        format!("host={path} port={port} user=postgres"),
        format!("postgres://postgres@{encoded}:{port}/postgres"),
        format!("postgres:///postgres?host={path}&port={port}&user=postgres"),
    ] {
        let store = connect(&url);
        assert!(store.is_ok(), "{url}: {store:?}");
        assert_works(store);
    }
}

#[test]
fn what_is_no_server_is_unreachable() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    for url in [
        format!("postgres://postgres:hunter2@{address}/postgres"),
        "host=/no/such/directory user=postgres password=hunter2".to_owned(),
        "postgres://postgres:hunter2@no-such-host.invalid/postgres".to_owned(),
    ] {
        let error = connect(&url).unwrap_err();
        assert_eq!(error.label(), "unreachable", "{url}");
        assert_hidden(&error);
    }
}

/// The connection is taken, and nobody answers.
#[test]
fn who_does_not_answer_is_unreachable() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!(
        "postgres://postgres@{}/postgres",
        silent.local_addr().unwrap()
    );
    let options = PostgresOptions::new().connect_timeout(Duration::from_millis(100));
    let refused = PostgresStore::connect(&url, options);
    assert_refused(refused, "unreachable", &["timed out"]);
}

#[test]
fn what_is_no_url_is_said_to_be_none() {
    for url in [
        "",
        "http://localhost:hunter2@x",
        "postgres://",
        "postgres://ada:hunter2@localhost:port/db",
        "postgres://ada:hunter2@localhost/?no_such_parameter=hunter2",
        "host=localhost password='hunter2",
        "host=localhost password=hunter2 sslmode=hunter2",
        "postgres://ada:hunter2@localhost/?sslmode=verify-full",
        "host=a,b port=1,2,3 password=hunter2",
        "host=a,b hostaddr=127.0.0.1 password=hunter2",
        "hunter2",
    ] {
        let error = connect(url).unwrap_err();
        assert_eq!(error.label(), "invalid_url", "{url}: {error:?}");
        assert_hidden(&error);
    }
}

#[test]
fn a_server_without_tls_is_not_talked_to_where_it_is_required() {
    let Some(server) = server::postgres() else {
        return;
    };
    let url = server.url() + "?sslmode=require";
    assert_refused(connect(&url), "unreachable", &["TLS"]);
}

#[test]
fn a_timeout_of_nothing_is_refused() {
    let nowhere = "postgres://postgres@127.0.0.1:1/postgres";
    for options in [
        PostgresOptions::new().connect_timeout(Duration::ZERO),
        PostgresOptions::new().response_timeout(Duration::ZERO),
    ] {
        let refused = PostgresStore::connect(nowhere, options);
        assert_refused(refused, "invalid_timeout", &["a time-out is 0"]);
    }
}

#[test]
fn timeouts_may_be_tiny_or_endless() {
    let Some(server) = server::postgres() else {
        return;
    };
    let endless = PostgresOptions::new()
        .connect_timeout(Duration::MAX)
        .response_timeout(Duration::MAX);
    assert_works(PostgresStore::connect(&server.url(), endless));
    let tiny = PostgresOptions::new().response_timeout(Duration::from_nanos(1));
    let refused = PostgresStore::connect(&server.url(), tiny);
    assert_refused(refused, "unreachable", &[]);
}

#[test]
fn any_name_of_a_schema_is_taken_as_it_is() {
    let Some(server) = server::postgres() else {
        return;
    };
    let longest = "\u{e4}".repeat(31) + "a";
    let names = [
        "auth",
        "Auth",
        "AUTH",
        "my auth",
        "o'reilly",
        "\"",
        "a\"b\"\"c",
        "a.b",
        "select",
        "--",
        "$1",
        "epochkey.",
        "{limits}",
        "%s\\",
        " ",
        "\n",
        "\u{1f511}",
        &longest,
    ];
    for name in names {
        let store = PostgresStore::connect(&server.url(), PostgresOptions::new().schema(name));
        assert!(store.is_ok(), "{name}: {store:?}");
        assert_works(store);
    }
    let mut client = server.connection().unwrap();
    let found = "SELECT nspname FROM pg_namespace WHERE oid >= 16384";
    let found: Vec<String> = client
        .query(found, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    for name in names {
        assert!(found.iter().any(|found| found == name), "{name}");
    }
    assert_eq!(found.len(), names.len());
    for name in ["", "a\0b", &*(longest + "b")] {
        let refused = PostgresStore::connect(&server.url(), PostgresOptions::new().schema(name));
        assert_refused(refused, "invalid_schema", &["1 to 63 bytes"]);
    }
}
