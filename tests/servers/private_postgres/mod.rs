//! A private PostgreSQL server does what is asked of it.

mod small_disks;
mod standbys;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use postgres::Client;

use crate::server::{self, PostgresServer, Server};

const TRIES: usize = 20_000;

/// Looks at nothing while it runs.
const BUSY: &str = "DO $$ BEGIN FOR i IN 1..1000000000 LOOP END LOOP; END $$";
const IS_BUSY: &str = "SELECT count(*) > 0 FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE 'DO %'";
const IS_BLOCKED: &str = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted";

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

/// Zombies do not.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, fields)| &fields[..1]);
    !matches!(state, None | Some("Z" | "X"))
}

fn processes(server: &PostgresServer) -> Vec<u32> {
    let mut client = server.connection().unwrap();
    let rows = client.query("SELECT pid FROM pg_stat_activity", &[]);
    let pids = rows.unwrap().into_iter().map(|row| row.get::<_, i32>(0));
    pids.map(i32::cast_unsigned).chain([server.pid()]).collect()
}

/// The system's id of what the server's processes share.
fn shared_memory(server: &PostgresServer) -> String {
    let file = server.value("SELECT pg_read_file('postmaster.pid')");
    let file = file.unwrap();
    file.lines()
        .nth(6)
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .to_owned()
}

fn is_shared(memory: &str) -> bool {
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    segments
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(memory))
}

fn count(server: &PostgresServer) -> u64 {
    let count = server.value("SELECT count(*) FROM counted");
    count.unwrap().parse().unwrap()
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
        wait_for(&mut client, IS_BLOCKED);
        client.batch_execute("COMMIT").unwrap();
        wiped.join().unwrap().unwrap()
    });
    assert_eq!(server.value(count).unwrap(), "0");
}

#[test]
fn a_frozen_server_is_silent_until_the_thaw() {
    let Some(server) = server::postgres() else {
        return;
    };
    server.execute("CREATE TABLE counted (n int)").unwrap();
    let mut connected = server.connection().unwrap();
    server.freeze().unwrap();
    let insert = "INSERT INTO counted VALUES (1)";
    thread::scope(|scope| {
        let (said, answers) = mpsc::channel();
        let heard = said.clone();
        scope.spawn(move || heard.send(connected.execute(insert, &[])));
        let connected_now = || server.connection();
        scope.spawn(move || {
            let answer = connected_now().and_then(|mut client| client.execute(insert, &[]));
            said.send(answer)
        });
        let silence = answers.recv_timeout(Duration::from_millis(50));
        assert!(matches!(silence, Err(RecvTimeoutError::Timeout)));
        server.thaw().unwrap();
        for _ in 0..2 {
            assert_eq!(answers.recv().unwrap().unwrap(), 1);
        }
    });
    assert_eq!(count(&server), 2, "what came while frozen counts");
}

#[test]
fn a_kill_leaves_no_process_and_all_that_was_acknowledged() {
    let Some(mut server) = server::postgres() else {
        return;
    };
    server.execute("CREATE TABLE counted (n int)").unwrap();
    for round in 1..=3 {
        let acknowledged = AtomicU64::new(0);
        let before = count(&server);
        let mut client = server.connection().unwrap();
        let (mut writer, mut busy) = (server.connection().unwrap(), server.connection().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                while writer
                    .execute("INSERT INTO counted VALUES (1)", &[])
                    .is_ok()
                {
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
            scope.spawn(|| busy.batch_execute(BUSY).unwrap_err());
            wait_for(&mut client, IS_BUSY);
            let written = || (acknowledged.load(Ordering::SeqCst) >= 20).then_some(());
            until("it is written", written);
            let processes = processes(&server);
            assert!(processes.len() > 5, "{round}: {processes:?}");
            server.kill().unwrap();
            assert!(!processes.iter().any(|&pid| runs(pid)), "{round}");
        });
        server.restart().unwrap();
        let more = count(&server) - before;
        let acknowledged = acknowledged.into_inner();
        // One more may have been written without an answer.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&more),
            "{round}: {more} of {acknowledged}"
        );
    }
}

/// Whose other processes end by themselves, when they come to it.
#[test]
fn a_server_whose_first_process_was_killed_restarts() {
    let Some(mut server) = server::postgres() else {
        return;
    };
    set(&server, "key", "kept");
    let mut client = server.connection().unwrap();
    let mut busy = server.connection().unwrap();
    let pid = server.pid();
    thread::scope(|scope| {
        scope.spawn(|| {
            busy.batch_execute("SET statement_timeout = '1s'").unwrap();
            busy.batch_execute(BUSY).unwrap_err()
        });
        wait_for(&mut client, IS_BUSY);
        let kill = format!("kill -s KILL {pid}");
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
        until("it is dead", || (!runs(pid)).then_some(()));
        server.restart().unwrap();
    });
    assert_eq!(get(&server, "key").as_deref(), Some("kept"));
}

#[test]
fn nothing_is_left_behind() {
    let Some(server) = server::postgres() else {
        return;
    };
    let processes = processes(&server);
    let directory = server.value("SHOW data_directory").unwrap();
    let memory = shared_memory(&server);
    assert!(is_shared(&memory));
    server.freeze().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _server = server;
        panic!("as a test that fails");
    }));
    assert!(panicked.is_err());
    assert!(!processes.iter().any(|&pid| runs(pid)));
    assert!(!is_shared(&memory));
    assert!(!Path::new(&directory).parent().unwrap().exists());
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
        wait_for(&mut client, IS_BLOCKED);
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
