//! A private PostgreSQL server does what is asked of it.

mod data;
mod signals;
mod small_disks;
mod standbys;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    thread,
    time::Duration,
};

use postgres::Client;

use crate::server::{self, PostgresServer, Server};

const TRIES: usize = 20_000;

fn set(server: &PostgresServer, key: &str, value: &str) {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS kept (key text PRIMARY KEY, value text);
         INSERT INTO kept VALUES ('{key}', '{value}')
         ON CONFLICT (key) DO UPDATE SET value = excluded.value;"
    );
    server.execute(&sql).unwrap();
}

fn get(server: &PostgresServer, key: &str) -> Option<String> {
    let mut client = server.connection().unwrap();
    let exists = client.query_one("SELECT to_regclass('kept') IS NOT NULL", &[]);
    if !exists.unwrap().get::<_, bool>(0) {
        return None;
    }
    let rows = client.query("SELECT value FROM kept WHERE key = $1", &[&key]);
    rows.unwrap().first().map(|row| row.get(0))
}

fn setting(server: &PostgresServer, name: &str) -> String {
    server.value(&format!("SHOW {name}")).unwrap()
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..TRIES {
        if let Some(result) = attempt() {
            return result;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

fn wait_for(client: &mut Client, condition: &str) {
    until(condition, || {
        let row = client.query_one(condition, &[]).unwrap();
        row.get::<_, bool>(0).then_some(())
    });
}

#[test]
fn servers_are_private_and_keep_what_they_acknowledge() {
    let Some(one) = server::postgres() else {
        return;
    };
    let Some(other) = server::postgres() else {
        return;
    };
    assert_ne!(one.address(), other.address());
    assert!(one.address().ip().is_loopback());
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", one.port());
    assert_eq!(one.url(), url);
    set(&one, "of", "one");
    assert_eq!(get(&other, "of"), None);
    let settings = [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
    ];
    for (name, value) in settings {
        assert_eq!(setting(&one, name), value, "{name}");
    }
    let parent = "SELECT pg_read_file('postmaster.pid', 0, 20)";
    let file = one.value(parent).unwrap();
    assert_eq!(file.lines().next(), Some(&*one.pid().to_string()));
}

#[test]
fn settings_win_and_stay_over_restarts() {
    let settings = [("synchronous_commit", "off"), ("cluster_name", r"it's \ 1")];
    let Some(mut server) = server::start::<PostgresServer>(&settings) else {
        return;
    };
    for _ in 0..2 {
        for (name, value) in settings {
            assert_eq!(setting(&server, name), value);
        }
        server.restart().unwrap();
    }
    let replica = server.replica().unwrap();
    assert_eq!(setting(&replica, "synchronous_commit"), "off");
    server.restart_empty().unwrap();
    assert_eq!(setting(&server, "synchronous_commit"), "off");
}

#[test]
fn settings_can_be_changed_while_it_runs() {
    let settings = [("work_mem", "1MB")];
    let Some(server) = server::start::<PostgresServer>(&settings) else {
        return;
    };
    for (name, value) in [("work_mem", "2MB"), ("fsync", "off")] {
        server
            .execute(&format!("ALTER SYSTEM SET {name} = '{value}'"))
            .unwrap();
        server.execute("SELECT pg_reload_conf()").unwrap();
        until(name, || (setting(&server, name) == value).then_some(()));
    }
}

#[test]
fn files_are_handed_over() {
    let Some(server) = server::postgres() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "content").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    PostgresServer::hand_over(directory.path()).unwrap();
    let content = server.value(&format!("SELECT pg_read_file('{}')", file.display()));
    assert_eq!(content.unwrap(), "content");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    if server::postgres().is_none() {
        return;
    }
    let error = PostgresServer::with(&[("no_such_setting", "1")]).unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
