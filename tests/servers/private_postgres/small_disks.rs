//! Disks that are full, until they are not.

use postgres::{Client, Error};

use super::{get, set};
use crate::server::{self, PostgresServer, Server, SmallDisk};

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
        let mut client = server.connection().unwrap();
        server.fill_disk().unwrap();
        grow_until_full(&mut client);
        server.relieve_disk().unwrap();
        server.restart().unwrap();
        assert_eq!(get(&server, "key").as_deref(), Some("kept"));
        grow(&mut server.connection().unwrap()).unwrap();
    }
}
