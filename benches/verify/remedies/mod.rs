//! What people do today so that a token can be revoked: they look something up.

mod denylist;
mod postgres_session;
mod redis_denylist;

use epochkey_benches::peers::{self, Jsonwebtoken11, Peer, SECRET};

pub(crate) use self::{
    denylist::denylist_in_process, postgres_session::postgres_session,
    redis_denylist::redis_denylist,
};
use crate::server::Server;

/// So many tokens or sessions are known to what is looked into.
const KNOWN: usize = 1_000_000;

/// Tokens of so many users under a plain signature.
fn signed(users: usize) -> (Jsonwebtoken11, Vec<String>) {
    let peer = Jsonwebtoken11::new(&SECRET);
    let tokens = peers::tokens(&peer, users);
    (peer, tokens)
}

/// A private server, if it is installed.
fn server<S: Server>(id: &str, settings: &[(&str, &str)]) -> Option<S> {
    if !S::is_installed() {
        println!("{id} is left out: {} is not installed", S::PROGRAM);
        return None;
    }
    Some(S::with(settings).expect("the server starts"))
}
