//! The secrets that belong to a history of the log: a new history draws new ones.

use crate::{
    StoreError,
    crypto::{HmacKey, Random, RandomError, Secret, hkdf},
    epoch_table::TableKey,
    store::HistoryId,
    wrapping::{WRAPPING_LENGTH, WrappingKeys},
};

const VERSION: u8 = 1;
const ROW_KEY_INFO: &[u8] = b"epochkey session rows 1";

/// The secrets of a new history, not wrapped yet.
pub(crate) struct NewHistorySecrets {
    seal_key: Secret<32>,
    table_key: Secret<16>,
    refresh_key: Secret<32>,
}

/// The secrets of a history, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct HistorySecrets {
    pub(crate) seal_key: HmacKey,
    pub(crate) table_key: TableKey,
    /// Tags refresh tokens.
    pub(crate) refresh_key: HmacKey,
    /// Gives the keys of session rows. Derived from the refresh key, for another use.
    pub(crate) row_key: Secret<32>,
}

/// What the wrapping of a secret is bound to, so that none can stand in another's place.
fn context(kind: &str, history: HistoryId) -> Vec<u8> {
    [kind.as_bytes(), history.as_bytes()].concat()
}

impl NewHistorySecrets {
    pub(crate) fn draw(random: &dyn Random) -> Result<Self, RandomError> {
        Ok(Self {
            seal_key: Secret::draw(random)?,
            table_key: Secret::draw(random)?,
            refresh_key: Secret::draw(random)?,
        })
    }

    fn from_slices([seal, table, refresh]: [&[u8]; 3]) -> Option<Self> {
        Some(Self {
            seal_key: Secret::from_slice(seal)?,
            table_key: Secret::from_slice(table)?,
            refresh_key: Secret::from_slice(refresh)?,
        })
    }

    /// Wraps them for the store.
    pub(crate) fn wrap(
        &self,
        history: HistoryId,
        wrapping: &WrappingKeys,
        random: &dyn Random,
    ) -> Result<Vec<u8>, RandomError> {
        let mut blob = vec![VERSION];
        let secrets: [(&str, &[u8]); 3] = [
            ("seal key", self.seal_key.expose()),
            ("table key", self.table_key.expose()),
            ("refresh key", self.refresh_key.expose()),
        ];
        for (kind, secret) in secrets {
            blob.extend(wrapping.wrap(&context(kind, history), secret, random)?);
        }
        Ok(blob)
    }

    /// Unwraps what the store kept.
    ///
    /// # Errors
    ///
    /// If the master secret is another, a newer version of this crate wrote them, or
    /// they are damaged.
    pub(crate) fn unwrap(
        blob: &[u8],
        history: HistoryId,
        wrapping: &WrappingKeys,
    ) -> Result<Self, StoreError> {
        let unreadable = || StoreError::unreadable("the secrets of the history");
        let [VERSION, wrapped @ ..] = blob else {
            return Err(unreadable());
        };
        let (seal, rest) = wrapped
            .split_first_chunk::<{ WRAPPING_LENGTH + 32 }>()
            .ok_or_else(unreadable)?;
        let (table, refresh) = rest
            .split_first_chunk::<{ WRAPPING_LENGTH + 16 }>()
            .ok_or_else(unreadable)?;
        let unwrap = |kind, wrapped| wrapping.unwrap(&context(kind, history), wrapped);
        let seal = unwrap("seal key", seal)?;
        let table = unwrap("table key", table)?;
        let refresh = unwrap("refresh key", refresh)?;
        Self::from_slices([&seal, &table, &refresh]).ok_or_else(unreadable)
    }
}

impl From<NewHistorySecrets> for HistorySecrets {
    fn from(secrets: NewHistorySecrets) -> Self {
        Self {
            seal_key: HmacKey::new(&secrets.seal_key),
            table_key: TableKey::new(secrets.table_key),
            refresh_key: HmacKey::new(&secrets.refresh_key),
            row_key: hkdf(b"", secrets.refresh_key.expose(), ROW_KEY_INFO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MasterSecret, crypto::SystemRandom};

    #[test]
    fn what_is_wrapped_is_unwrapped_and_nothing_else() {
        let wrapping = WrappingKeys::new(&MasterSecret::generate().unwrap(), &[]);
        let history = HistoryId::draw(&SystemRandom).unwrap();
        let secrets = NewHistorySecrets::draw(&SystemRandom).unwrap();
        let blob = secrets.wrap(history, &wrapping, &SystemRandom).unwrap();
        let unwrap = |blob: &[u8], history| NewHistorySecrets::unwrap(blob, history, &wrapping);
        let same = unwrap(&blob, history).unwrap();
        assert_eq!(same.seal_key.expose(), secrets.seal_key.expose());
        assert_eq!(same.table_key.expose(), secrets.table_key.expose());
        assert_eq!(same.refresh_key.expose(), secrets.refresh_key.expose());

        let other = HistoryId::draw(&SystemRandom).unwrap();
        assert!(unwrap(&blob, other).is_err());
        for byte in 0..blob.len() {
            let mut flipped = blob.clone();
            flipped[byte] ^= 1;
            assert!(unwrap(&flipped, history).is_err(), "byte {byte}");
            assert!(unwrap(&blob[..byte], history).is_err(), "cut at {byte}");
        }
        // The seal key and the refresh key are of one length: they cannot change places.
        let (seal, rest) = blob[1..].split_at(WRAPPING_LENGTH + 32);
        let (table, refresh) = rest.split_at(WRAPPING_LENGTH + 16);
        let swapped = [&blob[..1], refresh, table, seal].concat();
        assert!(unwrap(&swapped, history).is_err());
    }
}
