//! `ekr1.<sid>.<counter>.<tag>`: what a client shows to get the next pair of tokens.

use std::fmt;

use crate::{crypto::HmacKey, store::RowId, token::base64url};

const PREFIX: &str = "ekr1";
const TAG_LENGTH: usize = 32;
/// With the longest counter.
const LONGEST: usize = 4 + 1 + 22 + 1 + 20 + 1 + 43;

/// A refresh token: names a session and one state of it, and proves that this crate made it.
///
/// Whoever holds it can refresh the session, so `Debug` does not show it and there is no
/// `Display`: [`as_str`](Self::as_str) and [`into_string`](Self::into_string) are where it
/// goes out. Keep it in an `HttpOnly` cookie that only the refresh route is sent.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token's text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// The token of a session at this counter.
    pub(super) fn sign(key: &HmacKey, session: RowId, counter: u64) -> Self {
        let tag = key.sign(&message(session, counter));
        let tag = base64url::encode(&tag);
        Self(format!("{PREFIX}.{session}.{counter}.{tag}"))
    }
}

impl AsRef<str> for RefreshToken {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({} bytes)", self.0.len())
    }
}

/// What an incoming refresh token says; nothing about it is trusted until its tag is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) session: RowId,
    pub(super) counter: u64,
    tag: [u8; TAG_LENGTH],
}

/// Without the tag.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({} at {})", self.session, self.counter)
    }
}

impl Presented {
    /// `None` for anything but the one spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut segments = text.split('.');
        let (prefix, session) = (segments.next()?, segments.next()?);
        let (counter, encoded_tag) = (segments.next()?, segments.next()?);
        if prefix != PREFIX || segments.next().is_some() {
            return None;
        }
        let mut tag = [0; TAG_LENGTH];
        base64url::decode_exact(encoded_tag.as_bytes(), &mut tag)?;
        Some(Self {
            session: session_row(session)?,
            counter: canonical_decimal(counter)?,
            tag,
        })
    }

    /// Whether the tag is this key's, compared in constant time.
    pub(super) fn is_signed_by(&self, key: &HmacKey) -> bool {
        key.verify(&message(self.session, self.counter), &self.tag)
    }
}

fn message(session: RowId, counter: u64) -> [u8; 24] {
    let mut message = [0; 24];
    message[..16].copy_from_slice(session.as_bytes());
    message[16..].copy_from_slice(&counter.to_be_bytes());
    message
}

/// The row of a session whose id this crate has made; `None` for any other id.
pub(crate) fn session_row(id: &str) -> Option<RowId> {
    let mut bytes = [0; 16];
    base64url::decode_exact(id.as_bytes(), &mut bytes)?;
    Some(RowId::from_bytes(bytes))
}

fn canonical_decimal(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    let is_canonical = digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits.first() != Some(&b'0'));
    is_canonical.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Secret, SystemRandom};
    use proptest::prelude::*;

    fn key() -> HmacKey {
        HmacKey::new(&Secret::draw(&SystemRandom).unwrap())
    }

    fn session(byte: u8) -> RowId {
        RowId::from_bytes([byte; 16])
    }

    #[test]
    fn what_is_signed_is_parsed() {
        let key = key();
        for counter in [0, 1, 9, 10, 1_000_000, u64::MAX] {
            let token = RefreshToken::sign(&key, session(7), counter);
            let presented = Presented::parse(token.as_str()).unwrap();
            assert_eq!(
                (presented.session, presented.counter),
                (session(7), counter)
            );
            assert!(presented.is_signed_by(&key));
        }
        let longest = RefreshToken::sign(&key, session(7), u64::MAX);
        assert_eq!(longest.as_str().len(), LONGEST);
    }

    #[test]
    fn counters_have_one_spelling() {
        let token = RefreshToken::sign(&key(), session(7), 7).into_string();
        for wrong in [
            "007",
            "+7",
            "-7",
            "7 ",
            " 7",
            "",
            "7e0",
            "0x7",
            "7.",
            "٧",
            "18446744073709551616",
        ] {
            let text = token.replacen(".7.", &format!(".{wrong}."), 1);
            assert_eq!(Presented::parse(&text), None, "{wrong:?}");
        }
    }

    /// A tag is of one session, at one counter, under one key.
    #[test]
    fn a_tag_stands_for_nothing_else() {
        let (key, other_key) = (key(), key());
        let token = RefreshToken::sign(&key, session(1), 5).into_string();
        let other = RefreshToken::sign(&key, session(2), 5).into_string();
        let of_other =
            token.rsplit_once('.').unwrap().0.to_owned() + "." + other.rsplit_once('.').unwrap().1;
        let forged = [
            of_other,
            token.replacen(".5.", ".6.", 1),
            token.replacen(".5.", ".4.", 1),
        ];
        for forged in forged {
            assert!(
                !Presented::parse(&forged).unwrap().is_signed_by(&key),
                "{forged}"
            );
        }
        assert!(!Presented::parse(&token).unwrap().is_signed_by(&other_key));
    }

    #[test]
    fn debug_is_redacted() {
        let token = RefreshToken::sign(&key(), session(1), 5);
        assert_eq!(
            format!("{token:?}"),
            format!("RefreshToken({} bytes)", token.as_str().len())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_an_error_value(text: String) {
            prop_assert_eq!(Presented::parse(&text), None);
        }

        /// Whatever parses is spelled as this crate spells it.
        #[test]
        fn nothing_else_is_parsed(at in any::<prop::sample::Index>(), with: char) {
            let key = key();
            let token = RefreshToken::sign(&key, session(7), 12).into_string();
            let at = at.index(token.len());
            let mut text = token.clone();
            text.replace_range(at..=at, &with.to_string());
            if let Some(presented) = Presented::parse(&text) {
                prop_assert_eq!(presented.is_signed_by(&key), text == token);
            }
        }
    }
}
