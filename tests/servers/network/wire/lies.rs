//! Answers that are not what was asked for.

use super::{columns, done, error, message, ready};

/// Each with a name. After those that promise more than there is, a client waits.
pub(crate) fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let mut lies = broken();
    lies.extend(errors());
    lies.extend(others());
    lies.extend(rows());
    lies
}

/// A message of this tag with this length, whatever is in it.
fn announced(tag: u8, length: u32) -> Vec<u8> {
    [&[tag], &length.to_be_bytes()[..], b"abc"].concat()
}

fn broken() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("garbage", b"\x00\xff\x16\x03\x01 garbage\r\n".to_vec()),
        (
            "another protocol",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
        ("an unknown message", message(b'?', b"")),
        ("a length of nothing", announced(b'D', 0)),
        ("a length within itself", announced(b'C', 3)),
        ("a negative length", announced(b'D', u32::MAX)),
        ("the most negative length", announced(b'E', 1 << 31)),
        ("two gigabytes", announced(b'D', i32::MAX as u32)),
        ("a gigabyte", announced(b'E', 1 << 30)),
        ("a notice of a gigabyte", announced(b'N', 1 << 30)),
        ("half an answer", message(b'1', b"")),
        ("ready without a word", message(b'Z', b"")),
        ("ready with too many", message(b'Z', b"IIII")),
        (
            "complete without an end",
            [message(b'C', b"COMMIT"), ready()].concat(),
        ),
        (
            "complete in no language",
            [message(b'C', b"\xc3\x28\0"), ready()].concat(),
        ),
        (
            "a setting without an end",
            [message(b'S', b"name"), done("COMMIT 1")].concat(),
        ),
        (
            "a notification without an end",
            [message(b'A', b"\0\0\0\x01x"), ready()].concat(),
        ),
        (
            "an empty notification",
            [message(b'A', b""), ready()].concat(),
        ),
        ("an empty notice", [message(b'N', b""), ready()].concat()),
    ]
}

fn errors() -> Vec<(&'static str, Vec<u8>)> {
    let told = |severity, code| [error(severity, code, "no"), ready()].concat();
    vec![
        ("an error", told("ERROR", "XX000")),
        ("an error without a code", told("ERROR", "")),
        ("an unknown severity", told("WHATEVER", "XX000")),
        ("read only", told("ERROR", "25006")),
        ("a conflict", told("ERROR", "40001")),
        ("fatal", error("FATAL", "57P01", "no")),
        ("fatal and ready", told("FATAL", "57P01")),
        ("a panic and ready", told("PANIC", "XX000")),
        (
            "an error of nothing",
            [message(b'E', b""), ready()].concat(),
        ),
        (
            "an error without fields",
            [message(b'E', b"\0"), ready()].concat(),
        ),
        (
            "an error without an end",
            [message(b'E', b"SERROR"), ready()].concat(),
        ),
        (
            "an error and more",
            [message(b'E', b"SERROR\0\0more"), ready()].concat(),
        ),
        (
            "an error in no language",
            [message(b'E', b"S\xc3\x28\0\0"), ready()].concat(),
        ),
        ("an error at no position", {
            let fields = b"SERROR\0VERROR\0CXX000\0Mno\0Px\0\0";
            [message(b'E', fields), ready()].concat()
        }),
    ]
}

fn others() -> Vec<(&'static str, Vec<u8>)> {
    let then_ready = |tag, body: &[u8]| [message(tag, body), ready()].concat();
    vec![
        ("nothing", ready()),
        ("nothing within a transaction", message(b'Z', b"T")),
        ("nothing within a failed one", message(b'Z', b"E")),
        ("no status", message(b'Z', b"?")),
        ("nothing, more than once", ready().repeat(20)),
        ("rolled back", done("ROLLBACK")),
        ("done something", done("SELECT 1")),
        ("an empty question", then_ready(b'I', b"")),
        ("let in", then_ready(b'R', &[0; 4])),
        ("a password", then_ready(b'R', &[0, 0, 0, 3])),
        ("an unknown way in", then_ready(b'R', &[0, 0, 0, 99])),
        ("a key", then_ready(b'K', &[0; 8])),
        ("copy in", then_ready(b'G', &[0; 3])),
        ("copy out", then_ready(b'H', &[0; 3])),
        ("copy both", then_ready(b'W', &[0; 3])),
        ("copied", then_ready(b'd', b"x")),
        ("copied all", then_ready(b'c', b"")),
        ("suspended", then_ready(b's', b"")),
        ("closed", then_ready(b'3', b"")),
        ("functions", then_ready(b'V', &[0; 4])),
        ("another version", then_ready(b'v', &[0; 8])),
    ]
}

/// A row of this many values, of which these are there.
fn row(count: u16, values: &[&[u8]]) -> Vec<u8> {
    let mut body = count.to_be_bytes().to_vec();
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
    }
    message(b'D', &body)
}

fn answer(columns: Vec<u8>, rows: Vec<u8>) -> Vec<u8> {
    let begun = [
        message(b'1', b""),
        message(b'2', b""),
        message(b't', &[0; 2]),
    ]
    .concat();
    [begun, columns, rows, done("SELECT 1")].concat()
}

const BOOL: u32 = 16;
const BYTES: u32 = 17;
const NUMBER: u32 = 20;
const INTEGER: u32 = 23;
const MANY_BYTES: u32 = 1001;
/// A type that is nobody's.
const UNKNOWN: u32 = 4_000_000_000;

fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let heading = [INTEGER, BOOL, NUMBER];
    let (version, primary, now) = (&[0, 0, 0, 1][..], &[0][..], &[0; 8][..]);
    let other = |types: &[u32], values: &[&[u8]]| {
        let count = u16::try_from(values.len()).unwrap();
        answer(columns(types), row(count, values))
    };
    vec![
        ("no rows", answer(columns(&heading), Vec::new())),
        ("no columns", answer(columns(&[]), row(0, &[]))),
        ("no data", answer(message(b'n', b""), Vec::new())),
        (
            "a row without columns",
            answer(message(b'n', b""), row(1, &[b"x"])),
        ),
        (
            "rows before columns",
            answer(row(1, &[b"x"]), columns(&heading)),
        ),
        ("one column", other(&[INTEGER], &[version])),
        ("a heading alone", other(&heading, &[version, primary, now])),
        (
            "a newer version",
            other(&heading, &[&[0, 0, 0, 9], primary, now]),
        ),
        ("a standby", other(&heading, &[version, &[1], now])),
        (
            "a negative time",
            other(&heading, &[version, primary, &[0xff; 8]]),
        ),
        (
            "a time too short",
            other(&heading, &[version, primary, &[0; 4]]),
        ),
        (
            "a boolean of nothing",
            other(&heading, &[version, &[], now]),
        ),
        (
            "other types",
            other(&[BYTES, MANY_BYTES, BOOL], &[version, primary, now]),
        ),
        (
            "unknown types",
            other(&[UNKNOWN; 3], &[version, primary, now]),
        ),
        (
            "columns without an end",
            answer(message(b'T', &[0xff; 2]), Vec::new()),
        ),
        (
            "a column without a name",
            answer(message(b'T', &[0, 1, b'x']), Vec::new()),
        ),
        (
            "a column in no language",
            answer(message(b'T', b"\0\x01\xc3\x28\0"), Vec::new()),
        ),
        (
            "values without an end",
            answer(columns(&heading), row(u16::MAX, &[])),
        ),
        (
            "fewer values",
            answer(columns(&heading), row(2, &[version, primary])),
        ),
        (
            "more values",
            answer(columns(&heading), row(4, &[version, primary, now, now])),
        ),
        (
            "too many bytes",
            answer(columns(&heading), row(3, &[version, primary, now, now])),
        ),
        (
            "a value too long",
            answer(columns(&heading), message(b'D', b"\0\x03\x7f\xff\xff\xffx")),
        ),
        (
            "nulls",
            answer(
                columns(&heading),
                message(b'D', &[&[0, 3][..], &[0xff; 12]].concat()),
            ),
        ),
        (
            "negative lengths",
            answer(
                columns(&heading),
                message(b'D', &[&[0, 3][..], &[0x80; 12]].concat()),
            ),
        ),
    ]
}

/// What can be said again and again, each with a name and what comes before it.
pub(crate) fn endless() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let begun = |rows: Vec<u8>| answer(rows, Vec::new())[..].to_vec();
    let before = |described: Vec<u8>| {
        let all = begun(described);
        all[..all.len() - done("SELECT 1").len()].to_vec()
    };
    let setting = |number: u32| message(b'S', format!("{number:08x}\0\0").as_bytes());
    let heading = [INTEGER, BOOL, NUMBER];
    let nulls = message(b'D', &[&[0, 3][..], &[0xff; 12]].concat());
    vec![
        ("rows", before(columns(&heading)), nulls.repeat(1 << 12)),
        (
            "rows of nothing",
            before(columns(&[])),
            row(0, &[]).repeat(1 << 12),
        ),
        (
            "a row",
            [before(columns(&heading)), announced(b'D', i32::MAX as u32)].concat(),
            vec![0; 1 << 16],
        ),
        (
            "an error",
            announced(b'E', i32::MAX as u32),
            vec![b'x'; 1 << 16],
        ),
        (
            "a notice",
            announced(b'N', i32::MAX as u32),
            vec![b'x'; 1 << 16],
        ),
        (
            "notices",
            Vec::new(),
            message(b'N', b"SWARNING\0VWARNING\0C01000\0Mno\0\0").repeat(1 << 10),
        ),
        (
            "empty notices",
            Vec::new(),
            message(b'N', b"\0").repeat(1 << 12),
        ),
        (
            "notifications",
            Vec::new(),
            message(b'A', b"\0\0\0\x01x\0y\0").repeat(1 << 12),
        ),
        (
            "settings",
            Vec::new(),
            (0..1 << 16).flat_map(setting).collect(),
        ),
        ("one setting", Vec::new(), setting(1).repeat(1 << 12)),
        ("parts", Vec::new(), message(b'1', b"").repeat(1 << 12)),
        ("answers", Vec::new(), ready().repeat(1 << 12)),
    ]
}
