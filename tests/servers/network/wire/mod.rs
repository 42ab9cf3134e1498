//! Just enough of the protocol of PostgreSQL to tell where a message ends, and to make some.

mod altered;
mod lies;

pub(crate) use self::{
    altered::altered,
    lies::{endless, lies},
};

/// A message from a server, from its first byte to its last.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// That it is ready for the next question, outside of a transaction.
pub(crate) fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// That it has done what was asked for.
pub(crate) fn done(tag: &str) -> Vec<u8> {
    let tag = [tag.as_bytes(), b"\0"].concat();
    [message(b'C', &tag), ready()].concat()
}

/// What it says to one who is let in.
pub(crate) fn welcome() -> Vec<u8> {
    [
        message(b'R', &0_u32.to_be_bytes()),
        message(b'K', &[0; 8]),
        ready(),
    ]
    .concat()
}

/// A description of columns of these types.
pub(crate) fn columns(kinds: &[u32]) -> Vec<u8> {
    let mut body = u16::try_from(kinds.len()).unwrap().to_be_bytes().to_vec();
    for kind in kinds {
        body.extend(b"column\0\0\0\0\0\0\0");
        body.extend(kind.to_be_bytes());
        body.extend([0, 8, 0xff, 0xff, 0xff, 0xff, 0, 1]);
    }
    message(b'T', &body)
}

/// What comes before the rows of an answer with such columns.
pub(crate) fn described(kinds: &[u32]) -> Vec<u8> {
    let parts = [
        message(b'1', b""),
        message(b'2', b""),
        message(b't', &[0; 2]),
        columns(kinds),
    ];
    parts.concat()
}

/// An error of this severity.
pub(crate) fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    let fields = format!("S{severity}\0V{severity}\0C{code}\0M{text}\0\0");
    message(b'E', fields.as_bytes())
}

/// The length of the first request: all up to what the server answers.
pub(super) fn request(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let rest = bytes.get(end..)?;
        // The first of a connection has no tag, and its length begins with a zero.
        if rest.first() == Some(&0) {
            return whole(bytes, end + length(rest)?);
        }
        let tag = *rest.first()?;
        end += 1 + length(&rest[1..])?;
        whole(bytes, end)?;
        if matches!(tag, b'Q' | b'S' | b'p' | b'X') {
            return Some(end);
        }
    }
}

/// The length of the first reply: all until the server waits for the client, or a notification.
pub(super) fn reply(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let begin = end;
        let rest = bytes.get(begin..)?;
        let tag = *rest.first()?;
        end += 1 + length(&rest[1..])?;
        whole(bytes, end)?;
        let wants_password = tag == b'R'
            && matches!(
                bytes[begin + 5..end].first_chunk(),
                Some([0, 0, 0, 3 | 5 | 10 | 11])
            );
        if tag == b'Z' || wants_password || (tag == b'A' && begin == 0) {
            return Some(end);
        }
    }
}

/// The messages of a reply that came as a whole, each with its tag and its body.
pub(super) fn messages(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut messages = Vec::new();
    while let Some((&tag, rest)) = bytes.split_first() {
        let Some(length) = length(rest).filter(|&length| length >= 4 && length <= rest.len())
        else {
            break;
        };
        messages.push((tag, &rest[4..length]));
        bytes = &rest[length..];
    }
    messages
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk()?;
    Some(u32::from_be_bytes(*length) as usize)
}

fn whole(bytes: &[u8], length: usize) -> Option<usize> {
    (bytes.len() >= length).then_some(length)
}
