//! A signature check, and a look for the token's id on a Redis server of the same machine.

use std::cell::RefCell;

use epochkey_benches::{
    Claims, Cycle, Row,
    peers::{Jsonwebtoken11, Peer},
    token_id,
};
use redis::Connection;

use super::{KNOWN, server, signed};
use crate::server::RedisServer;

const ID: &str = "redis-denylist";
const IN_ONE_GO: usize = 10_000;

struct Denylist {
    peer: Jsonwebtoken11,
    connection: RefCell<Connection>,
}

impl Denylist {
    fn verify(&self, token: &str) -> Option<Claims> {
        let claims = self.peer.verify(token)?;
        let mut command = redis::cmd("EXISTS");
        let denied: bool = command
            .arg(key(&claims.jti))
            .query(&mut *self.connection.borrow_mut())
            .expect("the server answers");
        (!denied).then_some(claims)
    }

    fn deny(&self, tokens: impl Iterator<Item = String>) {
        let mut commands = redis::pipe();
        for token in tokens {
            commands.cmd("SET").arg(key(&token)).arg(1).ignore();
        }
        let connection = &mut *self.connection.borrow_mut();
        commands.exec(connection).expect("the server answers");
    }
}

fn key(token: &str) -> String {
    format!("denied:{token}")
}

pub(crate) fn redis_denylist(users: usize) -> Option<(RedisServer, Box<dyn Row>)> {
    let server: RedisServer = server(ID, &[("appendonly", "no")])?;
    let (peer, tokens) = signed(users);
    let revoked = Claims::of("revoked");
    let token = peer.issue(&revoked);
    let list = Denylist {
        peer,
        connection: RefCell::new(server.connection().expect("a connection")),
    };
    for _ in 0..KNOWN / IN_ONE_GO {
        list.deny((0..IN_ONE_GO).map(|_| token_id()));
    }
    assert!(list.verify(&token).is_some());
    list.deny([revoked.jti].into_iter());
    assert!(list.verify(&token).is_none());
    let row = Cycle::new(ID, tokens, move |token: &String| {
        list.verify(token).expect("the token is good")
    });
    Some((server, Box::new(row)))
}
