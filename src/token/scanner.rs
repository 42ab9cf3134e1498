//! A cursor over a payload, with a method for each kind of value in it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use super::{application_claims, base64url, canonical};
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

    // So that the literal's length is known, and it is compared in place.
    #[inline(always)]
    pub(super) fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest().starts_with(literal.as_bytes()).then(|| {
            self.at += literal.len();
        })
    }

    /// The value behind `opening`, if that comes next.
    #[inline(always)]
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
        /// With more digits a number may not fit.
        const SAFE: usize = 19;
        let rest = self.rest();
        let (mut value, mut length) = (0_u64, 0);
        if let Some(eight) = rest.first_chunk().and_then(eight_digits) {
            (value, length) = (eight, 8);
        }
        for byte in rest.get(length..)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            length += 1;
        }
        if length == 0 || (length > 1 && rest.first() == Some(&b'0')) {
            return None;
        }
        if length > SAFE {
            value = std::str::from_utf8(rest.get(..length)?)
                .ok()?
                .parse()
                .ok()?;
        }
        self.at += length;
        Some(value)
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
    /// application's members.
    pub(super) fn application_claims(&mut self) -> Option<Option<Span>> {
        match self.rest() {
            b"}" => Some(None),
            members => {
                application_claims::check_members(members)?;
                Span::new(self.at, self.text.len()).map(Some)
            }
        }
    }
}

/// The number that eight digits stand for: times have ten, and two are read for every token.
fn eight_digits(digits: &[u8; 8]) -> Option<u64> {
    const HIGH_NIBBLES: u64 = u64::from_ne_bytes([0xf0; 8]);
    const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
    const SIX: u64 = u64::from_ne_bytes([6; 8]);
    let digits = u64::from_le_bytes(*digits);
    // The last of the digits is the highest byte.
    let above_nine = digits.wrapping_add(SIX) & HIGH_NIBBLES;
    if digits & HIGH_NIBBLES != ZEROS || above_nine != ZEROS {
        return None;
    }
    let ones = digits ^ ZEROS;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_digits_are_their_number(number in 0..100_000_000_u64) {
            let digits = format!("{number:08}");
            prop_assert_eq!(eight_digits(digits.as_bytes().first_chunk().unwrap()), Some(number));
        }

        #[test]
        fn anything_else_is_none(digits in "[0-9]{8}", at in 0..8_usize, byte: u8) {
            let mut digits: [u8; 8] = digits.into_bytes().try_into().unwrap();
            digits[at] = byte;
            prop_assert_eq!(eight_digits(&digits).is_some(), byte.is_ascii_digit());
        }
    }
}
