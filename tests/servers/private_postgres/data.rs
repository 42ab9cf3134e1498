//! Data that is lost, and data that comes back.

use std::thread;

use super::{get, set, wait_for};
use crate::server::{self, Server};

const IS_BLOCKED: &str = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted";
/// Who was blocked has given up.
const IS_FREE: &str = "SELECT count(*) = 0 FROM pg_locks WHERE NOT granted";

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
        for condition in [IS_BLOCKED, IS_FREE, IS_BLOCKED] {
            wait_for(&mut client, condition);
        }
        client.batch_execute("COMMIT").unwrap();
        wiped.join().unwrap().unwrap()
    });
    assert_eq!(server.value(count).unwrap(), "0");
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
        for condition in [IS_BLOCKED, IS_FREE, IS_BLOCKED] {
            wait_for(&mut client, condition);
        }
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
