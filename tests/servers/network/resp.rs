//! Just enough of RESP, the protocol of Redis, to tell where a message ends.

/// A line of a message, with the bytes that its number counts.
pub(super) struct Item<'a> {
    pub(super) kind: u8,
    pub(super) line: &'a [u8],
    pub(super) body: Option<&'a [u8]>,
}

/// The length of the first message, if it has come as a whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut wanted = 1;
    while wanted > 0 {
        let (item, after) = item(rest)?;
        wanted = wanted - 1 + parts(&item);
        rest = after;
    }
    Some(bytes.len() - rest.len())
}

/// The items of a message that came as a whole.
pub(super) fn items(mut message: &[u8]) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    while let Some((item, rest)) = item(message) {
        items.push(item);
        message = rest;
    }
    items
}

fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let (&kind, line) = bytes[..end].split_first()?;
    let rest = &bytes[end + 2..];
    let counted = matches!(kind, b'$' | b'=' | b'!');
    let Some(length) = count(line).filter(|_| counted) else {
        let body = None;
        return Some((Item { kind, line, body }, rest));
    };
    let body = Some(rest.get(..length)?);
    let rest = rest.get(length + 2..)?;
    Some((Item { kind, line, body }, rest))
}

/// How many items belong to this one.
fn parts(item: &Item<'_>) -> usize {
    let count = count(item.line).unwrap_or(0);
    match item.kind {
        b'*' | b'~' | b'>' => count,
        b'%' => 2 * count,
        b'|' => 2 * count + 1,
        _ => 0,
    }
}

fn count(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.parse().ok()
}
