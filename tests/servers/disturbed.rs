//! The proxy disturbs as it is told, and in no other way.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use redis::{Client, Connection, RedisResult};

use crate::{
    network::{Faults, Proxy, Way},
    server::{self, RedisServer, Server},
};

/// Long enough for every answer that comes, and short enough to wait for one that does not.
const PATIENCE: Duration = Duration::from_secs(1);

fn start() -> Option<(RedisServer, Proxy)> {
    let server = server::redis()?;
    let proxy = Proxy::to_server(server.address()).unwrap();
    Some((server, proxy))
}

fn client(server: &RedisServer, proxy: &Proxy) -> Connection {
    let client = Client::open(server.url_at(proxy.address())).unwrap();
    let connection = client.get_connection().unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

fn increment(connection: &mut Connection) -> RedisResult<u64> {
    redis::cmd("INCR").arg("n").query(connection)
}

/// How often something was added, as the server knows it.
fn increments(server: &RedisServer) -> u64 {
    let answer = server.command(&["GET", "n"]).unwrap();
    let number: Option<u64> = redis::from_redis_value(answer).unwrap();
    number.unwrap_or(0)
}

#[track_caller]
fn assert_cut<T: std::fmt::Debug>(answer: RedisResult<T>) {
    let error = answer.unwrap_err();
    assert!(error.is_connection_dropped(), "{error}");
}

#[track_caller]
fn assert_silence<T: std::fmt::Debug>(answer: RedisResult<T>) {
    let error = answer.unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn everything_passes_until_something_is_asked_for() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let mut connection = client(&server, &proxy);
    let text = "0123456789".repeat(300_000);
    let () = redis::cmd("SET")
        .arg("key")
        .arg(&text)
        .query(&mut connection)
        .unwrap();
    let back: String = redis::cmd("GET").arg("key").query(&mut connection).unwrap();
    assert_eq!(back, text);
    assert_eq!(proxy.taken(), 1);
}

#[test]
fn a_request_that_is_cut_is_not_carried_out() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let whole = redis::cmd("INCR").arg("n").get_packed_command().len() as u64;
    for passes in 0..=whole {
        let mut connection = client(&server, &proxy);
        let mut other = client(&server, &proxy);
        let before = increments(&server);
        proxy.cut_request("INCR", passes);
        assert_cut(increment(&mut connection));
        assert!(!proxy.cuts_pend());
        // This one is behind the other in the server's queue.
        let more = increment(&mut other).unwrap() - before;
        assert_eq!(more, if passes == whole { 2 } else { 1 }, "{passes}");
    }
}

#[test]
fn an_answer_that_is_cut_was_carried_out() {
    let Some((server, proxy)) = start() else {
        return;
    };
    for passes in 0..4 {
        let mut connection = client(&server, &proxy);
        let mut other = client(&server, &proxy);
        proxy.cut_answer("INCR", passes);
        let () = redis::cmd("PING").query(&mut other).unwrap();
        assert!(proxy.cuts_pend());
        assert_cut(increment(&mut connection));
        assert_eq!(increments(&server), passes + 1);
        let () = redis::cmd("PING").query(&mut other).unwrap();
    }
}

#[test]
fn bytes_are_counted_over_all_connections() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let [mut one, mut two] = [client(&server, &proxy), client(&server, &proxy)];
    // Each answer has four bytes.
    proxy.cut_after_bytes(Way::ToClient, 11);
    assert_eq!(increment(&mut one).unwrap(), 1);
    assert_eq!(increment(&mut two).unwrap(), 2);
    assert_cut(increment(&mut one));
    assert_eq!(increment(&mut two).unwrap(), 4);
    proxy.cut_after_bytes(Way::ToServer, 0);
    assert_cut(increment(&mut two));
    assert_eq!(increments(&server), 4);
}

#[test]
fn a_cut_closes_what_is_open() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let mut connections = [client(&server, &proxy), client(&server, &proxy)];
    proxy.cut();
    for connection in &mut connections {
        assert_cut(increment(connection));
    }
    assert_eq!(increment(&mut client(&server, &proxy)).unwrap(), 1);
}

#[test]
fn what_is_held_arrives_when_it_is_released() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let mut connection = client(&server, &proxy);
    proxy.hold(Way::ToClient);
    assert_silence(increment(&mut connection));
    assert_eq!(increments(&server), 1);
    proxy.release();

    let mut connection = client(&server, &proxy);
    proxy.hold(Way::ToServer);
    assert_silence(increment(&mut connection));
    assert_eq!(increments(&server), 1);
    proxy.release();
    assert_eq!(increment(&mut client(&server, &proxy)).unwrap(), 3);
}

#[test]
fn a_held_connection_does_not_show_that_the_server_is_gone() {
    let Some((mut server, proxy)) = start() else {
        return;
    };
    let mut open = TcpStream::connect(proxy.address()).unwrap();
    open.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    open.read_exact(&mut answer).unwrap();
    proxy.hold_all();
    server.kill().unwrap();
    let new = TcpStream::connect(proxy.address()).unwrap();
    for mut connection in [&open, &new] {
        let short = Some(Duration::from_millis(50));
        connection.set_read_timeout(short).unwrap();
        connection.write_all(b"PING\r\n").unwrap();
        let error = connection.read(&mut answer).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
    }
    proxy.release();
    for mut connection in [&open, &new] {
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(connection.read(&mut answer).unwrap_or(0), 0);
    }
}

#[test]
fn a_silent_connection_delivers_nothing_and_a_new_one_does() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let mut before = client(&server, &proxy);
    increment(&mut before).unwrap();
    proxy.silence();
    assert_silence(increment(&mut before));
    assert_eq!(increment(&mut client(&server, &proxy)).unwrap(), 2);
    assert_eq!(increments(&server), 2);
}

#[test]
fn connections_are_refused_and_taken_again() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let address = proxy.address();
    let mut open = client(&server, &proxy);
    for _ in 0..3 {
        proxy.refuse();
        proxy.refuse();
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        increment(&mut open).unwrap();
        proxy.accept();
        increment(&mut client(&server, &proxy)).unwrap();
    }
    assert_eq!(proxy.address(), address);
    proxy.refuse();
    drop(proxy);
    assert_cut(increment(&mut open));
}

#[test]
fn clients_keep_their_url_over_a_failover() {
    let Some((mut primary, proxy)) = start() else {
        return;
    };
    let mut replica = primary.replica().unwrap();
    increment(&mut client(&primary, &proxy)).unwrap();
    replica.cut_off().unwrap();
    let mut connection = client(&primary, &proxy);
    increment(&mut connection).unwrap();
    primary.kill().unwrap();
    replica.promote().unwrap();
    proxy.to(replica.address());
    assert_cut(increment(&mut connection));
    let lost_one = increment(&mut client(&primary, &proxy)).unwrap();
    assert_eq!(lost_one, 2);
}

#[test]
fn a_delay_holds_each_chunk_back() {
    let Some((server, proxy)) = start() else {
        return;
    };
    let mut connection = client(&server, &proxy);
    proxy.delay(Duration::from_micros(100)..Duration::from_millis(1));
    for number in 1..20 {
        assert_eq!(increment(&mut connection).unwrap(), number);
    }
    let hour = Duration::from_secs(3600);
    proxy.delay(hour..2 * hour);
    assert_silence(increment(&mut connection));
    assert_eq!(increments(&server), 19);
    drop(proxy);
    assert_eq!(increments(&server), 19);
}

/// One of those by which everything happens soon.
const SEED: u64 = 12;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Answered,
    Cut,
    Silent,
}

/// What a client sees that asks one question after the other, and connects again after each
/// that fails.
fn outcomes(proxy: &Proxy) -> Vec<Outcome> {
    let mut connection = None;
    let mut ask = || -> io::Result<()> {
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => TcpStream::connect(proxy.address())?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut [0; 7])?;
        connection = Some(stream);
        Ok(())
    };
    let outcome = |answer: io::Result<()>| match answer.map_err(|error| error.kind()) {
        Ok(()) => Outcome::Answered,
        Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => Outcome::Silent,
        Err(_) => Outcome::Cut,
    };
    (0..50).map(|_| outcome(ask())).collect()
}

#[test]
fn chance_does_the_same_again_with_the_same_seed() {
    if std::env::var_os("EPOCHKEY_PROXY").is_some() {
        return; // That one would be taken for all seeds.
    }
    let Some((server, _)) = start() else { return };
    let by_seed = |seed| {
        let proxy = Proxy::to_server(server.address()).unwrap();
        proxy.disturb(Some(Faults::seeded(seed)));
        outcomes(&proxy)
    };
    let first = by_seed(SEED);
    for outcome in [Outcome::Answered, Outcome::Cut, Outcome::Silent] {
        assert!(first.contains(&outcome), "{outcome:?}");
    }
    assert_eq!(by_seed(SEED), first);
    assert_ne!(by_seed(SEED + 1), first);
}
