//! The man in the middle lies as it is told, and in no other way. What the `redis` crate makes
//! of the lies.

use std::{
    io::{Read, Write},
    net::TcpStream,
    panic::catch_unwind,
    time::Duration,
};

use redis::{Client, Connection, RedisResult, Value};

use crate::{
    network::{Hostile, LIES, Lie, deep},
    server::{self, RedisServer, Server},
};

/// Long enough for every answer that comes, and short enough to wait for one that does not.
const PATIENCE: Duration = Duration::from_secs(1);

fn start() -> Option<(RedisServer, Hostile)> {
    let server = server::redis()?;
    let hostile = Hostile::before(server.address()).unwrap();
    Some((server, hostile))
}

fn client(hostile: &Hostile) -> Connection {
    let client = Client::open(format!("redis://{}/", hostile.address())).unwrap();
    let connection = client.get_connection().unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

fn echo<T: redis::FromRedisValue>(connection: &mut Connection, word: &str) -> RedisResult<T> {
    redis::cmd("ECHO").arg(word).query(connection)
}

/// A connection that shows the bytes.
struct Raw(TcpStream);

impl Raw {
    fn connect(hostile: &Hostile) -> Self {
        let stream = TcpStream::connect(hostile.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn ask(&mut self, words: &[&str]) {
        let request = redis::cmd(words[0]).arg(&words[1..]).get_packed_command();
        self.0.write_all(&request).unwrap();
    }

    #[track_caller]
    fn assert_hears(&mut self, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).unwrap();
        assert_eq!(
            heard.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[track_caller]
    fn assert_ends(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn it_tells_the_truth_until_told_otherwise() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let mut connection = client(&hostile);
    let text = "0123456789".repeat(100_000);
    assert_eq!(echo::<String>(&mut connection, &text).unwrap(), text);
    let answers: (String, Option<u8>, Vec<String>) = redis::pipe()
        .atomic()
        .cmd("ECHO")
        .arg("a")
        .cmd("GET")
        .arg("b")
        .cmd("KEYS")
        .arg("*")
        .query(&mut connection)
        .unwrap();
    assert_eq!(answers, ("a".to_owned(), None, Vec::new()));
    assert_eq!(hostile.told(), 0);
}

#[test]
fn every_lie_replaces_one_reply_as_a_whole() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let mut raw = Raw::connect(&hostile);
    for (_, bytes) in LIES {
        hostile.replace("lie", Lie::Bytes(bytes.to_vec()));
        for word in ["truth", "lie", "lie"] {
            raw.ask(&["ECHO", word]);
        }
        raw.assert_hears(b"$5\r\ntruth\r\n");
        raw.assert_hears(bytes);
        raw.assert_hears(b"$3\r\nlie\r\n");
    }
    assert_eq!(hostile.told(), LIES.len() as u64);
}

#[test]
fn replies_are_found_by_their_number_and_by_their_request() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let mut raws = [Raw::connect(&hostile), Raw::connect(&hostile)];
    hostile.replace_after(2, Lie::Bytes(b":1\r\n".to_vec()));
    for (at, heard) in [(0, "+PONG"), (1, "+PONG"), (0, ":1"), (1, "+PONG")] {
        raws[at].ask(&["PING"]);
        raws[at].assert_hears(format!("{heard}\r\n").as_bytes());
    }
    hostile.replace_all("marked", Lie::Bytes(b":2\r\n".to_vec()));
    for raw in &mut raws {
        for (word, heard) in [("a", "$1\r\na"), ("marked", ":2"), ("marked", ":2")] {
            raw.ask(&["ECHO", word]);
            raw.assert_hears(format!("{heard}\r\n").as_bytes());
        }
    }
    hostile.reform();
    raws[0].ask(&["ECHO", "marked"]);
    raws[0].assert_hears(b"$6\r\nmarked\r\n");
}

#[test]
fn replies_come_late_or_in_pieces_or_not_at_all() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let mut raw = Raw::connect(&hostile);
    raw.ask(&["ECHO", "1"]);
    raw.assert_hears(b"$1\r\n1\r\n");
    hostile.replace_after(0, Lie::Late);
    for word in ["2", "3"] {
        raw.ask(&["ECHO", word]);
    }
    raw.assert_hears(b"$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");

    hostile.replace_after(0, Lie::Bytewise);
    let text: String = echo(&mut client(&hostile), "text").unwrap();
    assert_eq!(text, "text");

    hostile.replace("4", Lie::Truncated(5));
    raw.ask(&["ECHO", "4"]);
    raw.assert_hears(b"$1\r\n4");
    raw.assert_ends();

    let mut raw = Raw::connect(&hostile);
    hostile.replace("5", Lie::Last(b"+no".to_vec()));
    raw.ask(&["ECHO", "5"]);
    raw.assert_hears(b"+no");
    raw.assert_ends();

    let mut raw = Raw::connect(&hostile);
    hostile.replace("6", Lie::Endless(b"+x\r\n".to_vec()));
    raw.ask(&["ECHO", "6"]);
    raw.assert_hears(&b"+x\r\n".repeat(10_000));
}

#[test]
fn an_altered_reply_keeps_its_shape() {
    let Some((server, hostile)) = start() else {
        return;
    };
    server.command(&["RPUSH", "list", "1", "text", ""]).unwrap();
    let mut connection = client(&hostile);
    let mut list = redis::cmd("LRANGE");
    list.arg("list").arg(0).arg(-1);
    let truth: Vec<Vec<u8>> = list.query(&mut connection).unwrap();
    let mut seen = Vec::new();
    for seed in 0..50 {
        hostile.replace("LRANGE", Lie::Altered(seed));
        let lie: Vec<Vec<u8>> = list.query(&mut connection).unwrap();
        assert_eq!(lie.len(), truth.len());
        if lie != truth && !seen.contains(&lie) {
            seen.push(lie);
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
    let length: u64 = redis::cmd("LLEN")
        .arg("list")
        .query(&mut connection)
        .unwrap();
    assert_eq!(length, 3, "the connection is in order");
}

#[test]
fn without_a_server_it_says_one_thing_to_everybody() {
    let garbage = b"\x16\x03\x01 garbage";
    let hostile = Hostile::alone(garbage).unwrap();
    for _ in 0..3 {
        let mut raw = Raw::connect(&hostile);
        raw.assert_hears(garbage);
    }
    let client = Client::open(format!("redis://{}/", hostile.address())).unwrap();
    assert!(client.get_connection().is_err());
}

#[test]
fn chance_tells_the_same_lies_again_with_the_same_seed() {
    let Some(server) = server::redis() else {
        return;
    };
    let heard = |seed| {
        let hostile = Hostile::before(server.address()).unwrap();
        hostile.lie_by_chance(30, seed);
        let mut answers = Vec::new();
        for _ in 0..20 {
            let mut raw = Raw::connect(&hostile);
            for word in ["1", "2", "3"] {
                raw.ask(&["ECHO", word]);
            }
            // Ends what waits for more.
            raw.0.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            let _ = raw.0.read_to_end(&mut answer);
            answers.push(answer);
        }
        (answers, hostile.told())
    };
    let (first, told) = heard(1);
    assert!(told > 5);
    assert_eq!(heard(1).0, first);
}

/// What a store is built on: none of the lies takes the process down, or is waited for
/// longer than the time-out says. After one, the connection is not to be used again.
#[test]
fn the_redis_crate_survives_one_lie() {
    for (name, bytes) in LIES {
        let parsed = catch_unwind(|| redis::parse_redis_value(bytes));
        assert!(parsed.is_ok(), "{name}");
    }
    for levels in [99, 100, 10_000] {
        assert_eq!(
            redis::parse_redis_value(&deep(levels)).is_ok(),
            levels < 100
        );
    }
    let Some((_server, hostile)) = start() else {
        return;
    };
    let promises_more = [
        "a huge text",
        "a huge map",
        "a large array",
        "an error of negative length",
    ];
    for (name, bytes) in LIES.iter().filter(|(name, _)| promises_more.contains(name)) {
        let mut connection = client(&hostile);
        let short = Some(Duration::from_millis(50));
        connection.set_read_timeout(short).unwrap();
        hostile.replace("lie", Lie::Bytes(bytes.to_vec()));
        let answer = echo::<Value>(&mut connection, "lie");
        assert!(answer.unwrap_err().is_timeout(), "{name}");
    }
}
