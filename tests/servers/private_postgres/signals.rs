//! Servers that are killed, ended, frozen and dropped.

use std::{
    fs,
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

use postgres::{Client, NoTls};

use super::{get, set, until, wait_for};
use crate::server::{self, PostgresServer, Server};

/// For what comes. A machine that runs tests can be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Goes on until its statement times out, whatever becomes of the other processes.
const BUSY: &str = "DO $$ BEGIN LOOP END LOOP; END $$";
const IS_BUSY: &str = "SELECT count(*) > 0 FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE 'DO %'";

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
    let file = server
        .value("SELECT pg_read_file('postmaster.pid')")
        .unwrap();
    let line = file.lines().nth(6).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
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
fn a_frozen_server_is_silent_until_the_thaw() {
    let Some(server) = server::postgres() else {
        return;
    };
    server.execute("CREATE TABLE counted (n int)").unwrap();
    let mut before = server.connection().unwrap();
    server.freeze().unwrap();
    let insert = "INSERT INTO counted VALUES (1)";
    let (said, answers) = mpsc::channel();
    let url = server.url();
    // Not in a scope, which would wait for them if this fails.
    let other = said.clone();
    thread::spawn(move || other.send(before.execute(insert, &[])));
    thread::spawn(move || {
        let new = Client::connect(&url, NoTls);
        said.send(new.and_then(|mut client| client.execute(insert, &[])))
    });
    let silence = answers.recv_timeout(Duration::from_millis(50));
    assert!(matches!(silence, Err(RecvTimeoutError::Timeout)));
    server.thaw().unwrap();
    for _ in 0..2 {
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap().unwrap(), 1);
    }
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
        busy.batch_execute("SET statement_timeout = '2min'")
            .unwrap();
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
