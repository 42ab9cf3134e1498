//! What is spoken between a client and a server.

use super::{
    lies::{self, LIES},
    resp,
    wire::{self, lies as wire_lies},
};

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Protocol {
    #[default]
    Redis,
    Postgres,
}

impl Protocol {
    /// The length of the first request, if it has come as a whole: what gets one reply.
    pub(super) fn request(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Redis => resp::length(bytes),
            Self::Postgres => wire::request(bytes),
        }
    }

    /// The length of the first reply, if it has come as a whole.
    pub(super) fn reply(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Redis => resp::length(bytes),
            Self::Postgres => wire::reply(bytes),
        }
    }

    /// Whether it is a reply that nobody asked for.
    pub(super) fn is_unasked(self, reply: &[u8]) -> bool {
        match self {
            Self::Redis => reply.starts_with(b">"),
            Self::Postgres => reply.starts_with(b"A"),
        }
    }

    /// A reply of a kind that is often given.
    pub(super) fn done(self) -> Vec<u8> {
        match self {
            Self::Redis => b"+OK\r\n".to_vec(),
            Self::Postgres => wire::done("SELECT 0"),
        }
    }

    /// Replies that are not what was asked for, each with a name for messages.
    pub(super) fn lies(self) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Redis => LIES
                .iter()
                .map(|&(name, lie)| (name, lie.to_vec()))
                .collect(),
            Self::Postgres => wire_lies(),
        }
    }

    /// The reply in its shape, with at least one other value if it has any.
    pub(super) fn altered(self, reply: &[u8], seed: u64) -> Vec<u8> {
        match self {
            Self::Redis => lies::altered(reply, seed),
            Self::Postgres => wire::altered(reply, seed),
        }
    }
}
