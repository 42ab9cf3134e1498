//! The one secret that the application supplies.

mod text;

use std::{
    env,
    ffi::OsString,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    MasterSecretError, RandomError,
    crypto::{Random, SystemRandom},
};

/// The shortest master secret, in bytes.
pub(crate) const MIN_LENGTH: usize = 32;

/// The longest master secret, in bytes.
pub(crate) const MAX_LENGTH: usize = 4096;

/// The longest text, with white space: twice the hex of the longest secret.
const MAX_TEXT_LENGTH: usize = 4 * MAX_LENGTH;

/// 32 to 4096 secret bytes, from which the keys are derived that wrap every other
/// secret before it reaches a store.
///
/// Keep it where the store's data and backups are not: whoever has both can mint
/// tokens. It is wiped from memory on drop, and redacted in `Debug`.
///
/// # As text
///
/// [`from_env`](Self::from_env), [`from_file`](Self::from_file) and
/// [`from_text`](Self::from_text) read text, as
/// `openssl rand -hex 32` or `openssl rand -base64 32` writes it. ASCII white space
/// around it is ignored, then:
///
/// - hex digits alone, upper or lower case, are hex;
/// - anything else is base64 on one line, in the standard or the url-safe alphabet, with
///   all of its padding or none.
///
/// A secret must be random; a passphrase is not. What can be told at a glance is refused:
/// fewer than 32 bytes, one byte over and over, one character over and over.
///
/// # Example
///
/// ```
/// use epochkey::{MasterSecret, MasterSecretError};
///
/// let secret = MasterSecret::generate()?;
/// assert_eq!(format!("{secret:?}"), "MasterSecret(redacted)");
///
/// // A mistake in a deployment is an error, never a weak key.
/// let empty = MasterSecret::from_bytes("");
/// assert!(matches!(empty, Err(MasterSecretError::TooShort { length: 0 })));
/// let zeros = MasterSecret::from_bytes([0; 32]);
/// assert!(matches!(zeros, Err(MasterSecretError::Placeholder)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MasterSecret(Zeroizing<Vec<u8>>);

impl MasterSecret {
    /// A new secret: 32 random bytes of the operating system.
    ///
    /// Save it before it is used, with [`expose_hex`](Self::expose_hex): what was wrapped
    /// with it can be read by nothing else.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new(vec![0; MIN_LENGTH]);
        SystemRandom.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The secret made of `bytes` as they are, and hex is not read: see
    /// [`from_text`](Self::from_text). They are copied; wiping the original is the caller's.
    ///
    /// # Errors
    ///
    /// [`TooShort`](MasterSecretError::TooShort), [`TooLong`](MasterSecretError::TooLong) or
    /// [`Placeholder`](MasterSecretError::Placeholder).
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self, MasterSecretError> {
        check(bytes.as_ref())?;
        Ok(Self(Zeroizing::new(bytes.as_ref().to_vec())))
    }

    /// The secret that the environment variable `name` holds as [text](Self#as-text).
    ///
    /// The copy in the environment stays there, for as long as the process runs and for
    /// every child that it starts.
    ///
    /// # Errors
    ///
    /// [`NotSet`](MasterSecretError::NotSet), [`NotUnicode`](MasterSecretError::NotUnicode),
    /// or what is wrong with the text.
    ///
    /// # Example
    ///
    /// ```no_run
    /// let secret = epochkey::MasterSecret::from_env("EPOCHKEY_MASTER_SECRET")?;
    /// # Ok::<(), epochkey::MasterSecretError>(())
    /// ```
    pub fn from_env(name: &str) -> Result<Self, MasterSecretError> {
        Self::from_value(name, env::var_os(name))
    }

    /// The secret that the file at `path` holds as [text](Self#as-text).
    ///
    /// # Errors
    ///
    /// [`Unreadable`](MasterSecretError::Unreadable), or what is wrong with the text.
    ///
    /// # Example
    ///
    /// ```no_run
    /// let secret = epochkey::MasterSecret::from_file("/run/secrets/epochkey")?;
    /// # Ok::<(), epochkey::MasterSecretError>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MasterSecretError> {
        let path = path.as_ref();
        let text = read_text(path).map_err(|source| MasterSecretError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::from_text(&*text)
    }

    /// The secret as lower-case hex, to be saved and read again by
    /// [`from_env`](Self::from_env) or [`from_file`](Self::from_file).
    ///
    /// The returned text is wiped on drop; copies of it are not.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use std::io::{Write, stdout};
    ///
    /// let secret = epochkey::MasterSecret::generate()?;
    /// stdout().write_all(secret.expose_hex().as_ref().as_bytes())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    // Hex, because some secrets have a base64 that reads as hex.
    pub fn expose_hex(&self) -> impl AsRef<str> + use<> {
        // Never grown, because growing would leave a copy behind.
        let mut hex = Zeroizing::new(String::with_capacity(2 * self.0.len()));
        for byte in self.0.iter() {
            hex.extend(char::from_digit(u32::from(byte >> 4), 16));
            hex.extend(char::from_digit(u32::from(byte & 15), 16));
        }
        hex
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    fn from_value(name: &str, value: Option<OsString>) -> Result<Self, MasterSecretError> {
        let Some(value) = value else {
            return Err(MasterSecretError::NotSet {
                name: name.to_owned(),
            });
        };
        let text = Zeroizing::new(value.into_encoded_bytes());
        if std::str::from_utf8(&text).is_err() {
            return Err(MasterSecretError::NotUnicode {
                name: name.to_owned(),
            });
        }
        Self::from_text(&*text)
    }

    /// The secret that a text stands for, [as for](Self#as-text) an environment variable or a
    /// file: one from a secret manager, say.
    ///
    /// # Errors
    ///
    /// [`MasterSecretError`]: the text is neither hex nor base64, or what it stands for is too
    /// short, too long, or a placeholder.
    pub fn from_text(text: impl AsRef<[u8]>) -> Result<Self, MasterSecretError> {
        let text = text.as_ref();
        if text.len() > MAX_TEXT_LENGTH {
            return Err(MasterSecretError::TooLong);
        }
        let text = text.trim_ascii();
        if text.len() > 1 && repeats_one_byte(text) {
            return Err(MasterSecretError::Placeholder);
        }
        let bytes = text::decode(text).ok_or(MasterSecretError::Undecodable)?;
        check(&bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(redacted)")
    }
}

fn check(bytes: &[u8]) -> Result<(), MasterSecretError> {
    let length = bytes.len();
    if length < MIN_LENGTH {
        return Err(MasterSecretError::TooShort { length });
    }
    if length > MAX_LENGTH {
        return Err(MasterSecretError::TooLong);
    }
    if repeats_one_byte(bytes) {
        return Err(MasterSecretError::Placeholder);
    }
    Ok(())
}

fn repeats_one_byte(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair[0] == pair[1])
}

/// The file's text, cut right behind the longest there may be.
fn read_text(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    const CUT: usize = MAX_TEXT_LENGTH + 1;
    // `read_to_end` reads straight into the free capacity, and grows it only when
    // there is none: with some to spare, no copy is left behind.
    let mut text = Zeroizing::new(Vec::with_capacity(CUT + 64));
    File::open(path)?.take(CUT as u64).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn read(text: &str) -> Result<Vec<u8>, &'static str> {
        let secret = MasterSecret::from_text(text.as_bytes());
        secret
            .map(|secret| secret.expose().to_vec())
            .map_err(|error| error.label())
    }

    fn counting(length: usize) -> Vec<u8> {
        (0..=255).cycle().take(length).collect()
    }

    /// What is around a secret counts, so that no file is read without end.
    #[test]
    fn the_longest_text() {
        let padded = |length| format!("{:length$}", "0123456789abcdef".repeat(4));
        assert!(read(&padded(MAX_TEXT_LENGTH)).is_ok());
        let longer = MasterSecret::from_text(padded(MAX_TEXT_LENGTH + 1));
        assert!(matches!(longer, Err(MasterSecretError::TooLong)));
    }

    #[test]
    fn lengths() {
        let from = |length| MasterSecret::from_bytes(counting(length));
        assert!(matches!(
            from(31),
            Err(MasterSecretError::TooShort { length: 31 })
        ));
        assert_eq!(from(32).unwrap().expose(), counting(32));
        assert_eq!(from(4096).unwrap().expose(), counting(4096));
        assert!(matches!(from(4097), Err(MasterSecretError::TooLong)));

        let hex = from(4096).unwrap().expose_hex().as_ref().to_owned();
        assert_eq!(read(&format!("{hex:>16384}")), Ok(counting(4096)));
        assert_eq!(read(&format!("{hex:>16385}")), Err("too_long"));
        assert_eq!(read(&(hex + "00")), Err("too_long"));
    }

    #[test]
    fn what_is_clearly_not_random() {
        for bytes in [[0; 32], [0xff; 32], [b'x'; 32]] {
            let refused = MasterSecret::from_bytes(bytes);
            assert!(matches!(refused, Err(MasterSecretError::Placeholder)));
        }
        for text in [
            "0".repeat(64),
            "A".repeat(43),
            "x".repeat(64),
            "?".repeat(9),
        ] {
            assert_eq!(read(&text), Err("placeholder"), "{text}");
        }
        assert_eq!(read(&("A".repeat(43) + "=")), Err("placeholder"));
        assert_eq!(read(" \n"), Err("too_short"));
    }

    #[test]
    fn values_of_the_environment() {
        let from = |value: Option<OsString>| MasterSecret::from_value("SECRET", value);
        let unset = from(None).unwrap_err();
        assert_eq!(unset.label(), "not_set");
        assert!(unset.to_string().contains("\"SECRET\" is not set"));

        let hex = MasterSecret::generate().unwrap().expose_hex();
        assert!(from(Some(hex.as_ref().into())).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let value = OsString::from_vec(vec![0xff; 32]);
            assert_eq!(from(Some(value)).unwrap_err().label(), "not_unicode");
        }
    }

    #[test]
    fn generated_secrets_differ() {
        let [one, other] = [(); 2].map(|()| MasterSecret::generate().unwrap());
        assert_eq!(one.expose().len(), 32);
        assert_ne!(one.expose(), other.expose());
    }

    #[test]
    fn debug_is_redacted() {
        let secret = MasterSecret::from_bytes(counting(32)).unwrap();
        assert_eq!(format!("{secret:?}"), "MasterSecret(redacted)");
    }

    proptest! {
        #[test]
        fn what_is_exposed_can_be_read_again(bytes in vec(any::<u8>(), 32..100)) {
            let secret = MasterSecret::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read(secret.expose_hex().as_ref()), Ok(bytes));
        }

        /// No error shows any six characters of the text it refuses.
        #[test]
        fn errors_say_nothing_of_the_secret(
            text in prop_oneof!["[!-~]{6,100}", "[0-9a-f]{6,63}", "x{6,99}"],
        ) {
            if let Err(error) = MasterSecret::from_text(text.as_bytes()) {
                let shown = format!("{error} {error:?}");
                for part in text.as_bytes().windows(6) {
                    let part = std::str::from_utf8(part).unwrap();
                    prop_assert!(!shown.contains(part), "{shown}");
                }
            }
        }

        #[test]
        fn any_bytes_are_a_value(bytes: Vec<u8>) {
            let _ = MasterSecret::from_text(&bytes);
            let _ = MasterSecret::from_bytes(&bytes);
        }
    }
}
