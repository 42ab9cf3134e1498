//! A private PostgreSQL server does what is asked of it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
};

use postgres::{Client, Error};

use crate::server::{self, PostgresServer, Server, SmallDisk};

const TRIES: usize = 100_000;

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

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Until that is so.
fn wait_for(client: &mut Client, sql: &str) {
    for _ in 0..TRIES {
        if client.query_one(sql, &[]).unwrap().get(0) {
            return;
        }
        thread::yield_now();
    }
    panic!("never: {sql}");
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
fn a_server_that_does_not_start_says_why() {
    if server::postgres().is_none() {
        return;
    }
    let error = PostgresServer::with(&[("no_such_setting", "1")]).unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn data_survives_kill_and_restart() {
    let Some(mut server) = server::postgres() else {
        return;
    };
    let (address, pid) = (server.address(), server.pid());
    set(&server, "key", "kept");
    server.kill().unwrap();
    assert!(!runs(pid));
    assert!(server.execute("SELECT 1").is_err());
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(server.address(), address);
    assert_ne!(server.pid(), pid);
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));

    server.restart().unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
    let pid = server.pid();
    let _connected = server.connection().unwrap();
    server.terminate().unwrap();
    assert!(!runs(pid));
    server.terminate().unwrap();
    server.restart().unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
}

#[test]
fn an_immediate_shutdown_loses_nothing() {
    let Some(mut server) = server::postgres() else {
        return;
    };
    let pid = server.pid();
    set(&server, "key", "kept");
    let _connected = server.connection().unwrap();
    server.immediate_shutdown().unwrap();
    assert!(!runs(pid));
    server.restart().unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
}

#[test]
fn data_can_be_lost() {
    let Some(mut server) = server::postgres() else {
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
fn all_tables_are_wiped_while_clients_are_connected() {
    let Some(mut server) = server::postgres() else {
        return;
    };
    server.wipe().unwrap();
    let tables = "CREATE SCHEMA \"of it's own\";
        CREATE TABLE \"of it's own\".\"Users\" (id serial PRIMARY KEY);
        CREATE TABLE sessions (of_user int REFERENCES \"of it's own\".\"Users\");
        CREATE TABLE parted (id int) PARTITION BY LIST (id);
        CREATE TABLE part PARTITION OF parted DEFAULT;
        CREATE VIEW seen AS SELECT * FROM sessions;";
    server.execute(tables).unwrap();
    let rows = "INSERT INTO \"of it's own\".\"Users\" DEFAULT VALUES;
        INSERT INTO sessions VALUES (1);
        INSERT INTO parted VALUES (1);";
    let count = "SELECT (SELECT count(*) FROM \"of it's own\".\"Users\")
        + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM parted)";
    let mut client = server.connection().unwrap();
    client.batch_execute("CREATE TEMP TABLE own ()").unwrap();
    // The second time the first row has the number 1 again.
    for _ in 0..2 {
        client.batch_execute(rows).unwrap();
        assert_eq!(server.value(count).unwrap(), "3");
        server.wipe().unwrap();
        assert_eq!(server.value(count).unwrap(), "0");
    }

    client.batch_execute("BEGIN; TABLE sessions").unwrap();
    let server = thread::scope(|scope| {
        let wiped = scope.spawn(|| server.wipe().map(|()| server));
        wait_for(
            &mut client,
            "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted",
        );
        client.batch_execute("COMMIT").unwrap();
        wiped.join().unwrap().unwrap()
    });
    assert_eq!(server.value(count).unwrap(), "0");
}

#[test]
fn nothing_is_left_behind() {
    let Some(server) = server::postgres() else {
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
    let Some(mut primary) = server::postgres() else {
        return;
    };
    set(&primary, "before", "1");
    let mut replica = primary.replica().unwrap();
    assert_eq!(get(&replica, "before").as_deref(), Some("1"));
    let refused = replica.execute("CREATE TABLE other ()").unwrap_err();
    assert_eq!(
        refused.code().map(|code| code.code()),
        Some("25006"),
        "{refused}"
    );

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

#[test]
fn promotion_loses_what_was_written_after_the_cut() {
    let Some(mut primary) = server::postgres() else {
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
    let Some(primary) = server::postgres() else {
        return Ok(());
    };
    let mut replica = primary.replica()?;
    set(&primary, "key", "old");
    replica.cut_off()?;
    set(&primary, "key", "new");
    replica.restart()?;
    assert_eq!(get(&replica, "key").as_deref(), Some("old"));
    replica.rejoin(&primary)?;
    assert_eq!(get(&replica, "key").as_deref(), Some("new"));
    Ok(())
}

#[test]
fn a_backup_replaces_everything_while_clients_are_connected() {
    let Some(server) = server::postgres() else {
        return;
    };
    set(&server, "key", "old");
    let before = "CREATE SCHEMA gone; CREATE TABLE gone.kept (id int GENERATED ALWAYS AS IDENTITY);
        CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE mood AS ENUM ('good');";
    server.execute(before).unwrap();
    let dump = server.dump().unwrap();
    set(&server, "key", "new");
    let after = "DROP SCHEMA gone CASCADE; DROP FUNCTION one; DROP TYPE mood;
        CREATE SCHEMA later; CREATE TABLE later.later ();
        CREATE TABLE later (key text REFERENCES kept, id int GENERATED ALWAYS AS IDENTITY);
        CREATE SEQUENCE later_too; CREATE VIEW seen AS SELECT * FROM kept;
        CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2';";
    server.execute(after).unwrap();

    let mut client = server.connection().unwrap();
    client.batch_execute("BEGIN; TABLE kept").unwrap();
    thread::scope(|scope| {
        let restored = scope.spawn(|| server.restore(&dump));
        wait_for(
            &mut client,
            "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted",
        );
        client.batch_execute("COMMIT").unwrap();
        restored.join().unwrap().unwrap();
    });
    assert_eq!(get(&server, "key").as_deref(), Some("old"));
    client
        .batch_execute("SELECT one(), 'good'::mood; TABLE gone.kept")
        .unwrap();
    for gone in [
        "SELECT two()",
        "TABLE later",
        "TABLE later.later",
        "TABLE seen",
    ] {
        assert!(client.batch_execute(gone).is_err(), "{gone}");
    }
    // Once more, of what was restored.
    server.restore(&server.dump().unwrap()).unwrap();
    assert_eq!(get(&server, "key").as_deref(), Some("old"));
}

fn grow(client: &mut Client) -> Result<(), Error> {
    client.batch_execute(
        "INSERT INTO big SELECT repeat('0123456789', 10) FROM generate_series(1, 1000)",
    )
}

/// The error that comes of it.
fn grow_until_full(client: &mut Client) -> Error {
    (0..1000).find_map(|_| grow(client).err()).unwrap()
}

fn a_full_disk_refuses_until_it_is_relieved(mut server: PostgresServer, message: &str) {
    server.execute("CREATE TABLE big (value text)").unwrap();
    set(&server, "key", "value");
    let mut client = server.connection().unwrap();
    for _ in 0..2 {
        grow(&mut client).unwrap();
        server.fill_disk().unwrap();
        let error = grow_until_full(&mut client);
        let answer = error.as_db_error().unwrap();
        assert!(answer.message().contains(message), "{answer}");
        // The server goes on, and who comes now finds the same.
        assert_eq!(get(&server, "key").as_deref(), Some("value"));
        assert!(server.execute("INSERT INTO big SELECT * FROM big").is_err());
        server.relieve_disk().unwrap();
        grow(&mut client).unwrap();
    }
    server.fill_disk().unwrap();
    server.restart().unwrap();
    grow_until_full(&mut server.connection().unwrap());
    server.restart_empty().unwrap();
    server.relieve_disk().unwrap();
    assert_eq!(get(&server, "key"), None);
    set(&server, "key", "value");
}

#[test]
fn tables_on_a_full_disk() {
    if server::postgres().is_none() {
        return;
    }
    let server = PostgresServer::on_small_disk(SmallDisk::Tables, &[]).unwrap();
    let message = match server.value("SHOW default_tablespace").unwrap().is_empty() {
        true => "File too large",
        false => "No space left on device",
    };
    a_full_disk_refuses_until_it_is_relieved(server, message);
}

#[test]
fn tables_in_limited_files() {
    if server::postgres().is_none() {
        return;
    }
    let server = PostgresServer::with_limited_files(SmallDisk::Tables, &[]).unwrap();
    a_full_disk_refuses_until_it_is_relieved(server, "File too large");
}

#[test]
fn everything_on_a_full_disk() {
    if server::postgres().is_none() {
        return;
    }
    let what = SmallDisk::Everything;
    for mut server in [
        PostgresServer::on_small_disk(what, &[]).unwrap(),
        PostgresServer::with_limited_files(what, &[]).unwrap(),
    ] {
        server.execute("CREATE TABLE big (value text)").unwrap();
        set(&server, "key", "kept");
        server.fill_disk().unwrap();
        grow_until_full(&mut server.connection().unwrap());
        server.relieve_disk().unwrap();
        server.restart().unwrap();
        assert_eq!(get(&server, "key").as_deref(), Some("kept"));
        grow(&mut server.connection().unwrap()).unwrap();
    }
}
