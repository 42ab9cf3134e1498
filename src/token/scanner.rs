//! A cursor over a payload, with a method for each kind of value in it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use memchr::memchr2;

use super::{base64url, canonical};
use crate::{
    id::quoted_id_length,
    seal::{SEAL_LENGTH, Seal},
};

/// A range of the payload's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self {
            start: u16::try_from(start).ok()?,
            end: u16::try_from(end).ok()?,
        })
    }
}

/// Whether `tail` may stand between the seal and the end of a payload.
pub(super) fn is_canonical_tail(tail: &str) -> bool {
    let mut scanner = Scanner::new(tail);
    scanner.application_claims().is_some()
}

/// Each method steps over what it reads, and answers `None` for anything else.
pub(super) struct Scanner<'a> {
    /// UTF-8. Everything that is cut out of it is cut at ASCII characters.
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.as_bytes();
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest().starts_with(literal.as_bytes()).then(|| {
            self.at += literal.len();
        })
    }

    /// The value behind `opening`, if that comes next.
    pub(super) fn optional<T>(
        &mut self,
        opening: &str,
        value: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.literal(opening) {
            Some(()) => value(self).map(Some),
            None => Some(None),
        }
    }

    /// An id and the quote that closes it.
    pub(super) fn id(&mut self) -> Option<Span> {
        let length = quoted_id_length(self.rest())?;
        let span = Span::new(self.at, self.at + length);
        self.at += length + 1;
        span
    }

    /// Group names up to and including `"]`; the opening `["` has been read.
    pub(super) fn groups(&mut self) -> Option<Span> {
        let start = self.at;
        let mut names = [&[][..]; canonical::MAX_GROUPS];
        let mut count = 0;
        loop {
            let name = self.id()?;
            let name = self
                .text
                .get(usize::from(name.start)..usize::from(name.end))?;
            if names.get(..count)?.contains(&name) {
                return None;
            }
            *names.get_mut(count)? = name;
            count += 1;
            // `id` has read the closing quote.
            if self.literal("]").is_some() {
                return Span::new(start, self.at - 2);
            }
            self.literal(",\"")?;
        }
    }

    /// A whole number in plain decimal: no sign, no leading zero, no exponent.
    pub(super) fn integer(&mut self) -> Option<u64> {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..length)?;
        if length == 0 || (length > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        self.at += length;
        digits.iter().try_fold(0_u64, |value, digit| {
            value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }

    /// The seal's characters and the quote that closes them.
    pub(super) fn seal(&mut self) -> Option<Seal> {
        let mut seal = [0; SEAL_LENGTH];
        let length = Seal::TEXT_LENGTH;
        base64url::decode_exact(self.rest().get(..length)?, &mut seal)?;
        self.at += length;
        self.literal("\"")?;
        Some(Seal::from_bytes(seal))
    }

    /// What stands between the seal and the end: nothing but `}`, or the
    /// application's members. Their values are serde's business; their names are
    /// checked here, so that no name of the registered block stands twice.
    pub(super) fn application_claims(&mut self) -> Option<Option<Span>> {
        if self.rest() == b"}" {
            return Some(None);
        }
        let span = Span::new(self.at, self.text.len())?;
        loop {
            self.literal(",\"")?;
            let rest = self.rest();
            // An id, so without escapes: one could be any other name in disguise.
            let length = quoted_id_length(rest)?;
            if canonical::is_registered(rest.get(..length)?) {
                return None;
            }
            self.at += length + 1;
            self.literal(":")?;
            self.value()?;
            if self.rest() == b"}" {
                return Some(Some(span));
            }
        }
    }

    /// Steps over one JSON value, to the comma or brace behind it.
    fn value(&mut self) -> Option<()> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    self.string_tail()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' if depth == 0 => return (self.at > start).then_some(()),
                b']' => return None,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Steps over the rest of a string with escapes, its closing quote included.
    fn string_tail(&mut self) -> Option<()> {
        loop {
            let rest = self.rest();
            let length = memchr2(b'"', b'\\', rest)?;
            let escaped = *rest.get(length)? == b'\\';
            self.at += length + 1;
            if !escaped {
                return Some(());
            }
            self.at += 1;
        }
    }
}
