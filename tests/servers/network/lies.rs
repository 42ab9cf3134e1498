//! Answers that are not what was asked for.

use super::{
    protocol::Protocol,
    resp::{self, Item},
};
use crate::random::Random;

/// What a client is told instead of a reply.
#[derive(Debug, Clone)]
pub(crate) enum Lie {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These bytes, again and again.
    Endless(Vec<u8>),
    /// The first bytes, and then the others again and again.
    EndlessAfter(Vec<u8>, Vec<u8>),
    /// So many bytes of the reply, but never all, then the end of the connection.
    Truncated(usize),
    /// The reply in its shape with other numbers and texts, by this seed.
    Altered(u64),
    /// The reply with the second bytes in the place of the first.
    Replaced(Vec<u8>, Vec<u8>),
    /// The reply with some bytes that are other ones, are missing, or come twice, by this seed.
    Garbled(u64),
    /// The reply before it once more, and then this one: all that follow are off by one.
    Late,
    /// The reply, each byte on its own.
    Bytewise,
}

pub(super) fn replaced(reply: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = reply.to_vec();
    let found = reply.windows(from.len()).position(|bytes| bytes == from);
    let at = found.expect("what is to be replaced");
    replaced.splice(at..at + from.len(), to.iter().copied());
    replaced
}

/// Bytes for [`Lie::Bytes`], each with a name for messages. After those that promise more
/// than there is, a client waits.
pub(crate) const LIES: &[(&str, &[u8])] = &[
    ("garbage", b"\x00\xff\x16\x03\x01 garbage\r\n"),
    ("another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("an empty line", b"\r\n"),
    ("no text", b"+\xc3\x28\r\n"),
    ("nil", b"$-1\r\n"),
    ("nil as an array", b"*-1\r\n"),
    ("null", b"_\r\n"),
    ("a word", b"+PONG\r\n"),
    ("an empty word", b"+\r\n"),
    ("an empty text", b"$0\r\n\r\n"),
    ("a number", b":42\r\n"),
    ("a negative number", b":-1\r\n"),
    ("the largest number", b":9223372036854775807\r\n"),
    ("the smallest number", b":-9223372036854775808\r\n"),
    ("a number too large", b":18446744073709551616\r\n"),
    ("not a number", b":x\r\n"),
    ("an empty number", b":\r\n"),
    ("infinite", b",inf\r\n"),
    ("not a double", b",nan\r\n"),
    ("true", b"#t\r\n"),
    ("neither true nor false", b"#x\r\n"),
    (
        "a big number",
        b"(3492890328409238509324850943850943825024385\r\n",
    ),
    ("an error", b"-ERR no\r\n"),
    ("an error without a code", b"-\r\n"),
    ("an error of spaces", b"-  \r\n"),
    ("an unknown error", b"-XYZZY nothing happens\r\n"),
    ("no script", b"-NOSCRIPT No matching script\r\n"),
    (
        "read only",
        b"-READONLY You can't write against a read only replica.\r\n",
    ),
    (
        "loading",
        b"-LOADING Redis is loading the dataset in memory\r\n",
    ),
    ("moved", b"-MOVED 1 127.0.0.1:0\r\n"),
    ("an error as a text", b"!6\r\nERR no\r\n"),
    ("an empty array", b"*0\r\n"),
    ("an array of nil", b"*3\r\n$-1\r\n_\r\n*-1\r\n"),
    (
        "an array of everything",
        b"*5\r\n:1\r\n+x\r\n$1\r\ny\r\n-ERR no\r\n%1\r\n:1\r\n:2\r\n",
    ),
    ("an error in an array", b"*1\r\n-ERR no\r\n"),
    ("an empty map", b"%0\r\n"),
    ("a map", b"%1\r\n+key\r\n:1\r\n"),
    ("an empty set", b"~0\r\n"),
    ("an empty push", b">0\r\n"),
    ("a push", b">2\r\n+message\r\n+x\r\n"),
    ("a push without a kind", b">1\r\n:1\r\n"),
    ("an attribute", b"|1\r\n+key\r\n:1\r\n+OK\r\n"),
    ("an attribute of nothing", b"|0\r\n+OK\r\n"),
    ("a verbatim text", b"=8\r\ntxt:text\r\n"),
    ("a verbatim text without a format", b"=4\r\ntext\r\n"),
    ("too short a text", b"$5\r\nab\r\n"),
    ("too long a text", b"$1\r\nabcdef\r\n"),
    ("a huge text", b"$9223372036854775807\r\nx\r\n"),
    ("a text of a gigabyte", b"$1073741824\r\nx\r\n"),
    ("a text of negative length", b"$-2\r\n"),
    (
        "a text of the most negative length",
        b"$-9223372036854775808\r\n",
    ),
    ("an error of negative length", b"!-1\r\n\r\n"),
    ("a verbatim text of negative length", b"=-1\r\n\r\n"),
    ("a huge error", b"!9223372036854775807\r\nx\r\n"),
    ("a huge verbatim text", b"=9223372036854775807\r\ntxt:x\r\n"),
    ("a large array", b"*1000000000\r\n"),
    ("a huge array", b"*9223372036854775807\r\n:1\r\n"),
    ("a huge set", b"~9223372036854775807\r\n:1\r\n"),
    ("a huge push", b">9223372036854775807\r\n+message\r\n"),
    ("a huge map", b"%9223372036854775807\r\n+key\r\n:1\r\n"),
    (
        "a map of half as many",
        b"%4611686018427387904\r\n+key\r\n:1\r\n",
    ),
    (
        "a huge attribute",
        b"|9223372036854775807\r\n+key\r\n:1\r\n",
    ),
    ("an array of negative length", b"*-9223372036854775808\r\n"),
    ("a map of negative length", b"%-1\r\n"),
    (
        "a map of the most negative length",
        b"%-9223372036854775808\r\n",
    ),
    ("an attribute of negative length", b"|-1\r\n+OK\r\n"),
    ("a set of negative length", b"~-1\r\n"),
    ("a push of negative length", b">-1\r\n"),
    ("a length that is none", b"$x\r\n"),
    ("an empty length", b"*\r\n"),
    ("a length with a sign", b"*+1\r\n:1\r\n"),
    ("a streamed text", b"$?\r\n;4\r\ntext\r\n;0\r\n"),
    ("a streamed array", b"*?\r\n:1\r\n.\r\n"),
];

/// So many arrays, one within the other.
pub(crate) fn deep(levels: usize) -> Vec<u8> {
    let mut bytes = b"*1\r\n".repeat(levels);
    bytes.extend(b":1\r\n");
    bytes
}

impl Lie {
    pub(super) fn any(protocol: Protocol, random: &mut Random) -> Self {
        let bytes = |random: &mut Random| random.pick(&protocol.lies()).1.clone();
        match random.below(8) {
            0 => Self::Last(bytes(random)),
            1 => Self::Truncated(random.below(1 << 16)),
            2 | 3 => Self::Altered(random.next()),
            4 => Self::Late,
            5 => Self::Bytewise,
            6 if matches!(protocol, Protocol::Redis) => Self::Bytes(deep(random.below(200))),
            _ => Self::Bytes(bytes(random)),
        }
    }
}

/// The bytes with some that are other ones, are missing, or come twice.
pub(super) fn garbled(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut garbled = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let (one, other) = (
            random.below(garbled.len() + 1),
            random.below(garbled.len() + 1),
        );
        let few = one.min(other)..one.max(other).min(one.min(other) + 16);
        match random.below(3) {
            0 => drop(garbled.drain(few)),
            1 => garbled.extend_from_within(few),
            _ => garbled[few]
                .iter_mut()
                .for_each(|byte| *byte ^= 1 << random.below(8)),
        }
    }
    garbled
}

/// The message in its shape, with at least one other value if it has any.
pub(super) fn altered(message: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let items = resp::items(message);
    let is_value = |item: &Item<'_>| item.body.is_some() || matches!(item.kind, b':' | b'+');
    let values = items.iter().filter(|item| is_value(item)).count();
    let always = if values == 0 { 0 } else { random.below(values) };
    let (mut altered, mut seen) = (Vec::new(), 0);
    for item in items {
        let chosen = is_value(&item) && (seen == always || random.chance(20));
        seen += usize::from(is_value(&item));
        altered.push(item.kind);
        match item.body {
            Some(body) => {
                let body = if chosen {
                    other_text(body, &mut random)
                } else {
                    body.to_vec()
                };
                altered.extend(format!("{}\r\n", body.len()).bytes());
                altered.extend(body);
            }
            None if chosen && item.kind == b':' => {
                altered.extend(other_number(&mut random).bytes());
            }
            None if chosen => altered.extend(b"OTHER"),
            None => altered.extend(item.line),
        }
        altered.extend(b"\r\n");
    }
    altered
}

fn other_number(random: &mut Random) -> String {
    let numbers = [-1, 0, 1, i64::MAX, i64::MIN, 1 << 53, 1 << 32];
    random.pick(&numbers).to_string()
}

fn other_text(text: &[u8], random: &mut Random) -> Vec<u8> {
    let mut text = text.to_vec();
    match random.below(6) {
        0 => text.clear(),
        1 => text = other_number(random).into_bytes(),
        2 => text = b"18446744073709551616".to_vec(),
        3 => text.extend_from_within(..),
        4 if !text.is_empty() => {
            let (at, bit) = (random.below(text.len()), random.below(8));
            text[at] ^= 1 << bit;
        }
        _ => text.truncate(text.len().saturating_sub(1)),
    }
    text
}
