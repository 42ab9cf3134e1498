//! What the row of a session holds, and how it is encrypted.
//!
//! A body is
//!
//! ```text
//! version 1 (1 byte) ‖ random nonce (12) ‖ ciphertext ‖ tag (16)
//! ```
//!
//! in AES-256-GCM under a key of the row's own: HKDF-SHA256 of the history's row key, with
//! the session's id as salt. The associated data is all that the store sees in the clear and
//! does not assign itself, so no part of a row fits another.

use std::{str, time::Duration};

use zeroize::Zeroizing;

use crate::{
    StoreError,
    bug::{self, Bug},
    clock::{UnixSeconds, since_epoch},
    crypto::{AeadKey, NONCE_LENGTH, Random, RandomError, Secret, hkdf, random_array},
    grant::Authenticated,
    store::{NewRow, RowId, RowVersion, StoreTime},
    token::ApplicationClaims,
};

const VERSION: u8 = 1;
const ROW_KEY_INFO: &[u8] = b"epochkey session row 1";

/// What only those who hold the master secret can read of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) user: String,
    pub(super) label: String,
    /// The counter of the refresh token that is to be used next.
    pub(super) counter: u64,
    pub(super) created_at: StoreTime,
    pub(super) used_at: StoreTime,
    /// When the session ends, however often it is used.
    pub(super) ends_at: StoreTime,
    /// When the user proved who they are, in seconds.
    pub(super) authenticated_at: u64,
    pub(super) groups: Vec<String>,
    pub(super) audience: Option<String>,
    pub(super) lifetime: Option<Duration>,
    pub(super) claims: ApplicationClaims,
}

/// The row's parts that are in the clear.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clear {
    pub(super) id: RowId,
    pub(super) user: [u8; 16],
    pub(super) version: RowVersion,
    pub(super) expires_at: StoreTime,
}

/// A moment by the clock here, for a row, in seconds: not after the store's `now`. If the clock
/// here is ahead, the others would take it for the future.
pub(super) fn past(seconds: u64, now: StoreTime) -> u64 {
    match bug::is_in(Bug::LogInByOwnClock) {
        true => seconds,
        false => seconds.min(now.as_unix_seconds()),
    }
}

impl Record {
    /// When its user proved who they are, for a token: not after the clock here. A log-in while
    /// the clock was wrong would hold up its session until the clock gets there.
    pub(super) fn authenticated(&self, now: UnixSeconds) -> Authenticated {
        match bug::is_in(Bug::TokenProves) {
            true => Authenticated::Now,
            false => Authenticated::At(since_epoch(self.authenticated_at.min(now))),
        }
    }

    pub(super) fn into_row(
        self,
        clear: Clear,
        row_key: &Secret<32>,
        random: &dyn Random,
    ) -> Result<NewRow, RandomError> {
        let nonce = random_array(random)?;
        let sealed =
            key_of(row_key, clear.id).seal(&nonce, &clear.associated_data(), &self.encode());
        Ok(NewRow {
            id: clear.id,
            user: clear.user,
            version: clear.version,
            expires_at: clear.expires_at,
            body: [&[VERSION][..], &nonce, &sealed].concat(),
        })
    }

    pub(super) fn of_row(row: &NewRow, row_key: &Secret<32>) -> Result<Self, StoreError> {
        let clear = Clear {
            id: row.id,
            user: row.user,
            version: row.version,
            expires_at: row.expires_at,
        };
        let open = || {
            let (&VERSION, rest) = row.body.split_first()? else {
                return None;
            };
            let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>()?;
            let plain = key_of(row_key, row.id).open(nonce, &clear.associated_data(), sealed)?;
            Self::decode(&plain)
        };
        open().ok_or_else(|| StoreError::unreadable("a session's row"))
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let numbers = [
            self.counter,
            self.created_at.as_unix_millis(),
            self.used_at.as_unix_millis(),
            self.ends_at.as_unix_millis(),
            self.authenticated_at,
            self.lifetime.map_or(0, |lifetime| lifetime.as_secs()),
        ];
        let texts = [
            &self.user,
            &self.label,
            self.audience.as_deref().unwrap_or_default(),
            self.claims.tail(),
        ];
        let texts = || {
            texts
                .into_iter()
                .chain(self.groups.iter().map(String::as_str))
        };
        let length = 8 * numbers.len() + texts().map(|text| 4 + text.len()).sum::<usize>();
        // What grows leaves copies behind that nobody wipes.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for number in numbers {
            bytes.extend(number.to_be_bytes());
        }
        texts().for_each(|text| put_text(&mut bytes, text));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut numbers = [0; 6];
        for number in &mut numbers {
            let (bytes, behind) = rest.split_first_chunk()?;
            *number = u64::from_be_bytes(*bytes);
            rest = behind;
        }
        let [
            counter,
            created_at,
            used_at,
            ends_at,
            authenticated_at,
            lifetime,
        ] = numbers;
        let (user, label) = (take_text(&mut rest)?, take_text(&mut rest)?);
        let (audience, claims) = (take_text(&mut rest)?, take_text(&mut rest)?);
        let mut groups = Vec::new();
        while !rest.is_empty() {
            groups.push(take_text(&mut rest)?);
        }
        Some(Self {
            user,
            label,
            counter,
            created_at: StoreTime::from_unix_millis(created_at),
            used_at: StoreTime::from_unix_millis(used_at),
            ends_at: StoreTime::from_unix_millis(ends_at),
            authenticated_at,
            groups,
            audience: Some(audience).filter(|audience| !audience.is_empty()),
            lifetime: Some(Duration::from_secs(lifetime)).filter(|lifetime| !lifetime.is_zero()),
            claims: ApplicationClaims::of_tail(claims)?,
        })
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // No text is longer than a token, which is far below 4 GiB.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let (length, behind) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (text, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    str::from_utf8(text).ok().map(str::to_owned)
}

impl Clear {
    fn associated_data(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            self.id.as_bytes(),
            &self.user,
            self.version.as_bytes(),
            &self.expires_at.as_unix_millis().to_be_bytes(),
        ]
        .concat()
    }
}

fn key_of(row_key: &Secret<32>, id: RowId) -> AeadKey {
    AeadKey::new(&hkdf(id.as_bytes(), row_key.expose(), ROW_KEY_INFO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    fn record() -> Record {
        let time = StoreTime::from_unix_millis;
        Record {
            user: "u-42".to_owned(),
            label: "Firefox on Linux".to_owned(),
            counter: 7,
            created_at: time(1_000),
            used_at: time(2_000),
            ends_at: time(3_000),
            authenticated_at: 1,
            groups: vec!["org:acme".to_owned(), "admin".to_owned()],
            audience: None,
            lifetime: Some(Duration::from_secs(60)),
            claims: ApplicationClaims::none(),
        }
    }

    fn clear() -> Clear {
        Clear {
            id: RowId::from_bytes([1; 16]),
            user: [2; 16],
            version: RowVersion::from_bytes([3; 16]),
            expires_at: StoreTime::from_unix_millis(4),
        }
    }

    fn key() -> Secret<32> {
        Secret::draw(&SystemRandom).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_and_nothing_of_it_is_in_the_clear() {
        let key = key();
        let row = record().into_row(clear(), &key, &SystemRandom).unwrap();
        assert_eq!(Record::of_row(&row, &key).unwrap(), record());
        for text in ["u-42", "Firefox", "org:acme", "admin"] {
            let shows = row.body.windows(text.len()).any(|at| at == text.as_bytes());
            assert!(!shows, "{text}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let key = key();
        let row = record().into_row(clear(), &key, &SystemRandom).unwrap();
        for bit in 0..row.body.len() * 8 {
            let mut row = row.clone();
            row.body[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::of_row(&row, &key).is_err(), "bit {bit}");
        }
        let changes: [fn(&mut NewRow); 5] = [
            |row| row.id = RowId::from_bytes([9; 16]),
            |row| row.user = [9; 16],
            |row| row.version = RowVersion::from_bytes([9; 16]),
            |row| row.expires_at = StoreTime::from_unix_millis(9),
            |row| row.body.clear(),
        ];
        for change in changes {
            let mut row = row.clone();
            change(&mut row);
            assert!(Record::of_row(&row, &key).is_err());
        }
        assert!(Record::of_row(&row, &self::key()).is_err());
    }

    #[test]
    fn every_cut_of_the_plain_text_is_refused_or_has_fewer_groups() {
        let bytes = record().encode();
        assert_eq!(Record::decode(&bytes), Some(record()));
        for length in 0..bytes.len() {
            if let Some(cut) = Record::decode(&bytes[..length]) {
                assert!(cut.groups.len() < 2, "cut at {length}");
            }
        }
    }
}
