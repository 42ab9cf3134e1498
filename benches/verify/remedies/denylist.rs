//! A signature check, and a set of revoked token ids in memory. One process knows what it
//! was told itself.

use std::{collections::HashSet, sync::RwLock};

use epochkey_benches::{
    Claims, Cycle, Row,
    peers::{Jsonwebtoken11, Peer},
    token_id,
};

use super::{KNOWN, signed};

struct Denylist {
    peer: Jsonwebtoken11,
    denied: RwLock<HashSet<String>>,
}

impl Denylist {
    fn verify(&self, token: &str) -> Option<Claims> {
        let claims = self.peer.verify(token)?;
        let denied = self.denied.read().expect("nobody panics");
        (!denied.contains(&claims.jti)).then_some(claims)
    }
}

pub(crate) fn denylist_in_process(users: usize) -> Box<dyn Row> {
    let (peer, tokens) = signed(users);
    let revoked = Claims::of("revoked");
    let token = peer.issue(&revoked);
    let denied: HashSet<_> = (1..KNOWN).map(|_| token_id()).collect();
    let list = Denylist {
        peer,
        denied: RwLock::new(denied),
    };
    assert!(list.verify(&token).is_some());
    list.denied
        .write()
        .expect("nobody panics")
        .insert(revoked.jti);
    assert!(list.verify(&token).is_none());
    let id = "jsonwebtoken-11-denylist-in-process";
    Box::new(Cycle::new(id, tokens, move |token: &String| {
        list.verify(token).expect("the token is good")
    }))
}
