//! Compact JSON values: RFC 8259 without white space.
//!
//! Not a parser: it only finds where a value ends, and that it is one. It uses
//! neither the heap nor the call stack in proportion to the input.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use crate::id::plain_length;

/// How deep a value may nest: as deep as serde_json reads it inside an object.
const MAX_DEPTH: u32 = 126;

/// The length of the compact JSON value that `text`, which is UTF-8, begins with.
pub(super) fn value_length(text: &[u8]) -> Option<usize> {
    let mut cursor = Cursor { text, at: 0 };
    let mut open = Containers::default();
    loop {
        let next = cursor.next()?;
        match next {
            b'{' | b'[' => {
                let kind = Kind::opened_by(next);
                open.push(kind)?;
                if cursor.take(kind.closing()).is_none() {
                    if kind == Kind::Object {
                        cursor.name()?;
                    }
                    continue;
                }
                open.pop();
            }
            b'"' => cursor.string_tail()?,
            b'-' => {
                let digit = cursor.next()?;
                cursor.number_tail(digit)?;
            }
            b'0'..=b'9' => cursor.number_tail(next)?,
            b't' => cursor.literal(b"rue")?,
            b'f' => cursor.literal(b"alse")?,
            b'n' => cursor.literal(b"ull")?,
            _ => return None,
        }
        // A value has ended: close what ends with it, or go on to the next.
        loop {
            let Some(kind) = open.innermost() else {
                return Some(cursor.at);
            };
            if cursor.take(b',').is_some() {
                if kind == Kind::Object {
                    cursor.name()?;
                }
                break;
            }
            cursor.take(kind.closing())?;
            open.pop();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
}

impl Kind {
    fn opened_by(byte: u8) -> Self {
        if byte == b'{' {
            Kind::Object
        } else {
            Kind::Array
        }
    }

    fn closing(self) -> u8 {
        match self {
            Kind::Object => b'}',
            Kind::Array => b']',
        }
    }
}

/// The containers that are open, outermost first: a bit each.
#[derive(Default)]
struct Containers {
    depth: u32,
    objects: u128,
}

impl Containers {
    fn push(&mut self, kind: Kind) -> Option<()> {
        let is_object = u128::from(kind == Kind::Object);
        self.objects = self.objects << 1 | is_object;
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<Kind> {
        match (self.depth, self.objects & 1) {
            (0, _) => None,
            (_, 0) => Some(Kind::Array),
            _ => Some(Kind::Object),
        }
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        self.text
            .get(self.at..)?
            .starts_with(rest)
            .then(|| self.at += rest.len())
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.string_tail()?;
        self.take(b':')
    }

    /// A string behind its opening quote.
    fn string_tail(&mut self) -> Option<()> {
        loop {
            self.at += plain_length(self.text.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let digits = self.text.get(self.at..self.at + 4)?;
                        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                        self.at += 4;
                    }
                    _ => return None,
                },
                ..0x20 => return None,
                _ => {}
            }
        }
    }

    /// A number behind its first digit.
    fn number_tail(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.take(b'.').is_some() {
            self.next()?.is_ascii_digit().then_some(())?;
            self.digits();
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _sign = self.take(b'+').or_else(|| self.take(b'-'));
            self.next()?.is_ascii_digit().then_some(())?;
            self.digits();
        }
        Some(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    /// Whether the whole text is one compact value.
    fn is_value(text: &str) -> bool {
        value_length(text.as_bytes()) == Some(text.len())
    }

    #[test]
    fn values() {
        for good in [
            "0",
            "-0",
            "10",
            "1.5",
            "-1.25e-7",
            "1E+9",
            "true",
            "false",
            "null",
            "\"\"",
            r#""a\"\\\/\b\f\n\r\t\u00e9é""#,
            "[]",
            "{}",
            "[[],{}]",
            r#"{"a":{"b":[1,"]"]}}"#,
            r#"{"":0,"":1}"#,
        ] {
            assert!(is_value(good), "{good}");
            assert!(serde_json::from_str::<IgnoredAny>(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "00",
            "01",
            "-",
            "+1",
            ".5",
            "1.",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "nul",
            "truex",
            "'a'",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u00g0\"",
            "\"\n\"",
            "\"\0\"",
            "[",
            "]",
            "[}",
            "{]",
            "[1,]",
            "[,1]",
            "[1 ]",
            "[ 1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{,}",
            "1/**/",
            " 1",
            "1 ",
            "{\"a\" :1}",
            "[1]]",
            "\u{feff}1",
            "1\"x\"",
            "\"x\"\"y\"",
        ] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn depth_is_what_serde_json_reads_inside_an_object() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1, 100, 125, 126, 127, 128, 10_000] {
                for innermost in ["0", "[]", "{}"] {
                    let value = open.repeat(depth) + innermost + &close.repeat(depth);
                    let object = format!("{{\"x\":{value}}}");
                    let readable = serde_json::from_str::<Value>(&object).is_ok();
                    assert_eq!(is_value(&value), readable, "{depth} × {open}{innermost}");
                }
            }
        }
    }

    proptest! {
        /// serde_json's values, and small changes to them: both find the same text valid.
        #[test]
        fn agrees_with_serde_json(
            numbers: Vec<f64>, text: String, at: prop::sample::Index,
            new in "[\\[\\]{}:,\"\\\\eE.+ \\-0-9truefalsn\u{0}\u{1f}é]{0,2}", removed in 0..3_usize,
        ) {
            let value = serde_json::json!({"n": numbers, "t": [text, null, {"x": {"y": true}}]});
            let mut json: Vec<char> = value.to_string().chars().collect();
            prop_assert!(is_value(&json.iter().collect::<String>()));
            let at = at.index(json.len());
            json.splice(at..(at + removed).min(json.len()), new.chars());
            let json: String = json.into_iter().collect();
            let valid = serde_json::from_str::<IgnoredAny>(&json).is_ok();
            if is_value(&json) {
                prop_assert!(valid, "{}", json);
            } else if valid {
                prop_assert!(json.contains(' '), "{}", json);
            }
        }

        #[test]
        fn never_panics(text in "[\\[\\]{}:,\"\\\\eE.+\\-0-9truefalsn]{0,60}") {
            let _ = value_length(text.as_bytes());
        }
    }
}
