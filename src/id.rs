//! The rule that user ids, session ids, group names, issuers and audiences share.

use std::{error, fmt};

use memchr::memchr;

/// The longest id, in bytes.
pub(crate) const MAX_ID_LENGTH: usize = 255;

/// What an id is, for the messages of errors whose source says what is wrong with it.
pub(crate) const ID_RULE: &str =
    "must be 1 to 255 bytes of UTF-8 without control characters, '\"' and '\\'";

/// Why a user id, session id, group name, issuer or audience was refused.
///
/// An id is 1 to 255 bytes of UTF-8 without control characters, `"` or `\`.
/// Ids are compared byte by byte; nothing is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdError {
    /// The id is the empty string.
    Empty,
    /// The id is longer than 255 bytes.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The id holds a control character, `"` or `\`.
    ForbiddenCharacter {
        /// The first such character.
        character: char,
    },
}

impl IdError {
    /// A short fixed name for metrics and logs, such as `too_long`.
    pub fn label(&self) -> &'static str {
        match self {
            IdError::Empty => "empty",
            IdError::TooLong { .. } => "too_long",
            IdError::ForbiddenCharacter { .. } => "forbidden_character",
        }
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdError::Empty => f.write_str("the id is empty; give it at least one character"),
            IdError::TooLong { length } => write!(
                f,
                "the id is {length} bytes long; use at most {MAX_ID_LENGTH}, or a hash of it"
            ),
            IdError::ForbiddenCharacter { character } => write!(
                f,
                "the id contains {character:?}; leave out control characters, '\"' and '\\'"
            ),
        }
    }
}

impl error::Error for IdError {}

/// Checks `id` against the rule.
pub(crate) fn check_id(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > MAX_ID_LENGTH {
        return Err(IdError::TooLong { length: id.len() });
    }
    if let Some(character) = id.chars().find(|c| is_forbidden(*c)) {
        return Err(IdError::ForbiddenCharacter { character });
    }
    Ok(())
}

/// The length of the id that `text`, the UTF-8 behind an opening quote, begins
/// with; `None` if no valid id stands before the closing quote.
pub(crate) fn quoted_id_length(text: &[u8]) -> Option<usize> {
    let text = text.get(..=MAX_ID_LENGTH).unwrap_or(text);
    let length = plain_length(text);
    match text.get(length)? {
        b'"' => (length > 0).then_some(length),
        0x80.. => quoted_unicode_id_length(text),
        _ => None,
    }
}

/// How many bytes there are before the first quote, backslash, control character or byte that is
/// not ASCII. Most ids are all plain, and several are read for every token verified: eight bytes
/// at once.
pub(crate) fn plain_length(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return index * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x7f..);
    let before = rest.iter().position(is_special).unwrap_or(rest.len());
    text.len() - rest.len() + before
}

/// The highest bit of the lowest byte that is not plain is the lowest that is set, if there is
/// such a byte; above it bits mean nothing.
fn special_bytes(bytes: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    // A borrow comes from a byte that is special itself.
    let below = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let is = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
    (bytes | below(bytes, 0x20) | is(b'"') | is(b'\\') | is(0x7f)) & HIGHEST
}

fn quoted_unicode_id_length(text: &[u8]) -> Option<usize> {
    let length = memchr(b'"', text)?;
    let id = std::str::from_utf8(text.get(..length)?).ok()?;
    check_id(id).ok().map(|()| length)
}

fn is_forbidden(character: char) -> bool {
    character.is_control() || character == '"' || character == '\\'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths() {
        assert_eq!(check_id(""), Err(IdError::Empty));
        assert_eq!(check_id("u"), Ok(()));
        assert_eq!(check_id(&"x".repeat(255)), Ok(()));
        assert_eq!(
            check_id(&"x".repeat(256)),
            Err(IdError::TooLong { length: 256 })
        );
        // 128 characters, 256 bytes: the limit counts bytes.
        assert_eq!(
            check_id(&"é".repeat(128)),
            Err(IdError::TooLong { length: 256 })
        );
    }

    #[test]
    fn characters() {
        for good in [
            "u-42",
            "org:acme",
            "名前",
            "e\u{301}",
            "a b",
            "/.:;,{}[]",
            "\u{a0}",
        ] {
            assert_eq!(check_id(good), Ok(()), "{good:?}");
        }
        for character in [
            '\0', '\n', '\u{1f}', '"', '\\', '\u{7f}', '\u{80}', '\u{9f}',
        ] {
            assert_eq!(
                check_id(&format!("a{character}b")),
                Err(IdError::ForbiddenCharacter { character }),
            );
        }
    }

    /// At every place of eight bytes and of what is left, beside every other byte.
    #[test]
    fn the_first_special_byte_is_found() {
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x7f..);
        for at in 0..20 {
            for byte in 0..=u8::MAX {
                for next in [
                    0x00, 0x01, 0x1f, 0x20, 0x21, b'"', b'#', b'\\', b']', 0x7e, 0x7f, 0x80, 0xff,
                ] {
                    let mut text = [b'a'; 20];
                    text[at] = byte;
                    text[(at + 1) % 20] = next;
                    let first = text.iter().position(is_special).unwrap_or(text.len());
                    assert_eq!(plain_length(&text), first, "{byte} at {at}, then {next}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_rule_read_aloud(id in "\\PC{0,40}|[\\x00-\\xff]{0,20}|é{120,130}") {
            let allowed = (1..=255).contains(&id.len()) && !id.chars().any(is_forbidden);
            prop_assert_eq!(check_id(&id).is_ok(), allowed);
        }

        /// Both readers of the rule read it alike.
        #[test]
        fn a_quoted_id_is_an_id(id in "\\PC{0,40}|[\\x00-\\xff]{0,20}|a{250,260}|é{120,130}", tail in "\\PC{0,9}") {
            let quoted = format!("{id}\"{tail}");
            let (id, _) = quoted.split_once('"').unwrap();
            let expected = check_id(id).ok().map(|()| id.len());
            prop_assert_eq!(quoted_id_length(quoted.as_bytes()), expected);
            prop_assert_eq!(quoted_id_length(id.as_bytes()), None, "not closed");
        }
    }
}
