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
    // Most ids are plain ASCII, and several are read for every token verified.
    for (length, &byte) in text.iter().take(MAX_ID_LENGTH + 1).enumerate() {
        match byte {
            b'"' => return (length > 0).then_some(length),
            b'\\' | ..0x20 | 0x7f => return None,
            0x80.. => return quoted_unicode_id_length(text),
            _ => {}
        }
    }
    None
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
