//! The id of one log-in on one device.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    crypto::{RandomError, SystemRandom, random_array},
    id::{IdError, check_id},
    token::base64url,
};

/// The id of a session, the token's `sid`: one log-in on one device. Cheap to clone.
///
/// ```
/// use epochkey::SessionId;
///
/// let sid = SessionId::generate()?;              // 128 random bits, 22 characters
/// let same: SessionId = sid.as_str().parse()?;   // as it came back in a URL or cookie
/// assert_eq!(sid, same);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// A fresh random id of 128 bits.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let bytes: [u8; 16] = random_array(&SystemRandom)?;
        Ok(Self(base64url::encode(&bytes).into()))
    }

    /// An id that was checked before.
    pub(crate) fn of_checked(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as it stands in tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    /// Takes an id of 1 to 255 bytes without control characters, `"` or `\`.
    ///
    /// # Errors
    ///
    /// [`IdError`] for anything else.
    fn from_str(id: &str) -> Result<Self, IdError> {
        check_id(id)?;
        Ok(Self(id.into()))
    }
}

/// As a string.
impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// From a string, checked as by `parse`.
impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = Cow::<str>::deserialize(deserializer)?;
        id.parse().map_err(de::Error::custom)
    }
}

impl AsRef<str> for SessionId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_differ_and_parse() {
        let (a, b) = (
            SessionId::generate().unwrap(),
            SessionId::generate().unwrap(),
        );
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), 22);
        assert_eq!(a.to_string().parse(), Ok(a));
    }

    #[test]
    fn json_is_a_checked_string() {
        let id: SessionId = "s-1".parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"s-1\"");
        assert_eq!(serde_json::from_str::<SessionId>("\"s-1\"").unwrap(), id);
        assert!(serde_json::from_str::<SessionId>("\"\"").is_err());
    }

    #[test]
    fn parsing_checks_the_id() {
        assert_eq!("".parse::<SessionId>(), Err(IdError::Empty));
        assert!("a\"b".parse::<SessionId>().is_err());
        assert!(
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
                .parse::<SessionId>()
                .is_ok()
        );
    }

    #[test]
    fn it_is_its_text() {
        let id: SessionId = "s-1".parse().unwrap();
        assert_eq!((id.as_ref(), id.to_string().as_str()), ("s-1", "s-1"));
        assert_eq!(format!("{id:?}"), "SessionId(s-1)");
    }
}
