//! A file in which something is not as it was written.

use epochkey::{
    Authority, BuildError, Grant, MasterSecret, RedbStore, Scope, Store, Token, store::StoreTime,
    testing,
};
use proptest::prelude::*;
use redb::{Database, TableDefinition};

use crate::support::Site;

/// A closed file with revoked and good tokens.
struct Written {
    site: Site,
    bytes: Vec<u8>,
    revoked: Vec<Token>,
    good: Vec<Token>,
}

impl Written {
    fn new() -> Self {
        let site = Site::new();
        let authority = site.authority();
        let token = |user: &str| authority.issue(Grant::user(user)).unwrap();
        let revoked = (0..40).map(|n| {
            let user = format!("revoked-{n}");
            let token = token(&user);
            testing::finish(&authority, authority.bump(Scope::user(&user))).unwrap();
            token
        });
        let revoked = revoked.collect();
        let good = (0..40).map(|n| token(&format!("good-{n}"))).collect();
        testing::finish(&authority, authority.rotate_key()).unwrap();
        drop(authority);
        let bytes = site.read();
        Self {
            site,
            bytes,
            revoked,
            good,
        }
    }

    fn assert_is_all_there(&self, authority: &Authority) {
        assert!(
            self.revoked
                .iter()
                .all(|token| authority.verify(token).is_err())
        );
        assert!(
            self.good
                .iter()
                .all(|token| authority.verify(token).is_ok())
        );
    }

    /// Opens these bytes: they are refused, or all is there.
    fn open(&self, bytes: &[u8]) -> Result<(), String> {
        self.site.write(bytes);
        let store = RedbStore::open(self.site.path()).map_err(|error| error.label().to_owned())?;
        let opened = self.site.open(store);
        let authority = opened.map_err(|error| error.label().to_owned())?;
        self.assert_is_all_there(&authority);
        Ok(())
    }
}

#[test]
fn with_the_wrong_master_secret_nothing_is_changed() {
    let mut written = Written::new();
    let right = std::mem::replace(&mut written.site.secret, MasterSecret::generate().unwrap());
    for _ in 0..2 {
        let opened = written.site.open(written.site.store());
        assert!(matches!(opened, Err(BuildError::WrongMasterSecret)));
    }
    let none = Authority::builder("i", "a").open(written.site.store());
    assert!(matches!(none, Err(BuildError::NoMasterSecret)));
    written.site.secret = right;
    written.assert_is_all_there(&written.site.authority());
}

/// Every byte of what is wrapped: the history's secrets, and each ring key.
#[test]
fn a_flipped_bit_in_a_wrapped_secret_is_found() {
    let written = Written::new();
    let snapshot = written
        .site
        .store()
        .snapshot(StoreTime::default(), &mut |_| {});
    let snapshot = snapshot.unwrap().value.unwrap();
    let records = snapshot.keys.into_iter().map(|key| key.record);
    for wrapped in records.chain([snapshot.secrets]) {
        let places = written.bytes.windows(wrapped.len());
        let places: Vec<_> = places
            .enumerate()
            .filter(|(_, at)| *at == wrapped)
            .collect();
        assert!(!places.is_empty());
        for byte in (0..wrapped.len()).step_by(7) {
            let mut bytes = written.bytes.clone();
            for (at, _) in &places {
                bytes[at + byte] ^= 1 << (byte % 8);
            }
            let opened = written.open(&bytes).unwrap_err();
            assert_eq!(opened, "damaged", "byte {byte}");
        }
    }
}

/// By whoever writes the file with redb, so that its checksums are right.
#[test]
fn a_wrapped_secret_that_was_tampered_with_is_found() {
    const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
    let written = Written::new();
    let length = {
        let database = Database::open(written.site.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta = transaction.open_table(META).unwrap();
        let length = redb::ReadableTable::get(&meta, "secrets").unwrap().unwrap();
        length.value().len()
    };
    for byte in (0..length).step_by(11) {
        written.site.write(&written.bytes);
        let database = Database::open(written.site.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut meta = transaction.open_table(META).unwrap();
        let mut secrets = {
            let row = redb::ReadableTable::get(&meta, "secrets").unwrap().unwrap();
            row.value().to_vec()
        };
        secrets[byte] ^= 0x10;
        meta.insert("secrets", &secrets[..]).unwrap();
        drop(meta);
        transaction.commit().unwrap();
        drop(database);
        let opened = written.site.open(written.site.store());
        let error = opened.unwrap_err();
        assert!(
            matches!(error, BuildError::Store(_) | BuildError::WrongMasterSecret),
            "byte {byte}: {error}"
        );
    }
}

#[test]
fn a_truncated_file_is_refused() {
    let written = Written::new();
    let length = written.bytes.len();
    let ends = (1..40)
        .map(|n| length * n / 40)
        .chain([1, 8, 9, 319, 320, 4095, 4096]);
    for end in ends.chain([length - 1, length - 4096]) {
        let opened = written.open(&written.bytes[..end]);
        assert_eq!(opened.unwrap_err(), "damaged", "{end} bytes");
    }
}

/// The header decides which commit is the newest.
#[test]
fn a_flipped_bit_in_the_header_is_found_or_harmless() {
    let written = Written::new();
    let flags_and_layout = 0..64 * 8;
    let commit_slots = (64 * 8..320 * 8).step_by(13);
    for bit in flags_and_layout.chain(commit_slots) {
        let mut bytes = written.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Err(label) = written.open(&bytes) {
            assert_eq!(label, "damaged", "bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 2000 }))]

    /// Never a panic, never a token that was revoked.
    #[test]
    fn damage_is_found_or_harmless(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        length in 1..200_usize,
    ) {
        thread_local!(static WRITTEN: Written = Written::new());
        WRITTEN.with(|written| {
            let mut bytes = written.bytes.clone();
            for (at, with) in damage {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes[at..end].fill(with);
            }
            if let Err(label) = written.open(&bytes) {
                assert_eq!(label, "damaged");
            }
        });
    }
}
