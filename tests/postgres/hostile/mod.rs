//! A server, or somebody between, that answers what was not asked for.

mod answers;
mod endless;
mod entering;
mod libraries;
mod promises;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use epochkey::{PostgresOptions, PostgresStore};

use crate::{
    deceived::persist,
    network::Hostile,
    server::{self, PostgresServer, Server},
};

/// So short that answers which never come whole are soon given up.
fn impatient() -> PostgresOptions {
    PostgresOptions::new()
        .connect_timeout(Duration::from_millis(500))
        .response_timeout(Duration::from_millis(150))
}

fn start() -> Option<(PostgresServer, Hostile)> {
    let server = server::postgres()?;
    let hostile = Hostile::before_postgres(server.address()).unwrap();
    Some((server, hostile))
}

fn url(hostile: &Hostile) -> String {
    format!("postgres://postgres@{}/postgres", hostile.address())
}

fn connect(hostile: &Hostile) -> PostgresStore {
    persist(|| PostgresStore::connect(&url(hostile), impatient()))
}

/// A server of our own that talks to one client, and what it hears of it. Gives its URL.
fn talking<T: Send + 'static>(
    parameters: &str,
    talk: impl FnOnce(&mut TcpStream) -> T + Send + 'static,
) -> (String, thread::JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let talking = thread::spawn(move || talk(&mut listener.accept().unwrap().0));
    let url = format!("postgres://user:secret-word@{address}/postgres?{parameters}");
    (url, talking)
}

/// A message of a client that has no tag.
fn hear_first(client: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut body).unwrap();
    body
}

/// A message of a client; `None` if it has gone.
fn hear(client: &mut TcpStream) -> Option<Vec<u8>> {
    client.read_exact(&mut [0]).ok()?;
    Some(hear_first(client))
}
