//! Section 6: the refresh token.

use super::{decode, encode, mac};

/// What a refresh token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) session: [u8; 16],
    pub(crate) counter: u64,
}

impl RefreshToken {
    /// The one text of it under a refresh key.
    pub(crate) fn sign(self, key: &[u8; 32]) -> String {
        let message = [&self.session[..], &self.counter.to_be_bytes()].concat();
        let (session, tag) = (encode(self.session), encode(mac(key, &message)));
        format!("ekr1.{session}.{}.{tag}", self.counter)
    }

    /// What `text` says, or the label of why nothing.
    pub(crate) fn parse(text: &str, key: &[u8; 32]) -> Result<Self, &'static str> {
        let token = Self::read(text).ok_or("malformed")?;
        match token.sign(key) == text {
            true => Ok(token),
            false => Err("bad_tag"),
        }
    }

    /// Whatever its tag is, if it is one.
    fn read(text: &str) -> Option<Self> {
        let ["ekr1", session, counter, tag] = text.split('.').collect::<Vec<_>>()[..] else {
            return None;
        };
        let token = Self {
            session: decode(session.as_bytes())?.try_into().ok()?,
            counter: counter.parse().ok()?,
        };
        let is_canonical = token.counter.to_string() == counter;
        (is_canonical && decode(tag.as_bytes())?.len() == 32).then_some(token)
    }
}
