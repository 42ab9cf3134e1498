//! Which secrets are the same to HMAC, which are none, and what is left of one that was cut short.

use std::fs;

use epochkey::{Authority, BuildError, Grant, MasterSecret, RedbStore, testing};
use ring::digest;

use crate::forger::*;

/// Opens what is in the directory with the master secret, or says why not.
fn open(directory: &tempfile::TempDir, secret: MasterSecret) -> Result<Authority, BuildError> {
    let store = RedbStore::open(directory.path().join("auth.redb")).unwrap();
    let builder = testing::by_hand(Authority::builder(ISSUER, AUDIENCE));
    builder.master_secret(secret).open(store)
}

fn counting(length: u8) -> Vec<u8> {
    (1..=length).collect()
}

/// HMAC pads a short key with zeros and hashes a long one, so that different secrets are the same
/// key: whoever tells keys apart by their bytes, or takes a key's id from them, is wrong then.
/// Here no secret of an application is an HMAC key: they pass through HKDF as a message.
#[test]
fn case_12_secrets_that_are_the_same_key_to_hmac() {
    let zero_behind = |secret: &[u8]| [secret, &[0]].concat();
    let hashed = |secret: &[u8]| digest::digest(&digest::SHA256, secret).as_ref().to_vec();
    for (secret, other) in [
        (counting(32), zero_behind(&counting(32))),
        (counting(33), zero_behind(&counting(33))),
        (counting(65), hashed(&counting(65))),
    ] {
        assert_eq!(hmac_sha256(&secret, b"m"), hmac_sha256(&other, b"m"));
        let directory = tempfile::tempdir().unwrap();
        let [secret, other] = [secret, other].map(|bytes| MasterSecret::from_bytes(bytes).unwrap());
        let authority = open(&directory, secret.clone()).unwrap();
        let token = authority.issue(Grant::user("u")).unwrap();
        drop(authority);
        let refused = open(&directory, other).unwrap_err();
        assert!(matches!(refused, BuildError::WrongMasterSecret));
        assert!(open(&directory, secret).unwrap().verify(&token).is_ok());
    }
}

/// The keys that HMAC does see are 32 random bytes each, and none of them is another.
#[test]
fn case_12_every_key_is_whole_and_its_own() {
    let (authority, _) = authority();
    let mut keys = Vec::new();
    for _ in 0..5 {
        let secrets = testing::expose_secrets(&authority);
        keys.extend(secrets.ring_keys.iter().map(|key| key.secret));
        authority.swap_key().wait().unwrap();
    }
    let secrets = testing::expose_secrets(&authority);
    keys.extend([secrets.seal_key, secrets.refresh_key]);
    keys.sort();
    assert!(
        keys.iter()
            .all(|key| key[..16] != [0; 16] && key[16..] != [0; 16])
    );
    assert!(keys.is_sorted_by(|one, next| one < next));
}

/// An environment variable that is set and empty gives an HMAC key as well as any other.
#[test]
fn case_12_empty_and_short_secrets() {
    let from_bytes = |bytes: &[u8]| MasterSecret::from_bytes(bytes).unwrap_err().label();
    let from_text = |text: &str| MasterSecret::from_text(text).unwrap_err().label();
    for length in 0..32 {
        assert_eq!(from_bytes(&counting(length)), "too_short");
    }
    assert_eq!(from_bytes(&[0; 32]), "placeholder");
    for blank in ["", " ", "\n", "\r\n\t"] {
        assert_eq!(from_text(blank), "too_short");
    }
    assert_eq!(from_text("changeme"), "too_short");
    assert_eq!(from_text("correct horse battery staple"), "undecodable");
    assert_eq!(from_text(&"0".repeat(64)), "placeholder");
    // 48 hex digits are 24 bytes, though as base64 they would be 36.
    assert_eq!(from_text(&"a5".repeat(24)), "too_short");
}

/// The disk was full, or the process that writes the secret has only begun: what is there so far
/// is no secret, never a shorter one that works.
#[test]
fn case_12_a_secret_file_that_is_empty_or_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let read = |text: &[u8]| {
        fs::write(&file, text).unwrap();
        MasterSecret::from_file(&file)
    };
    let secret = MasterSecret::from_bytes(counting(32)).unwrap();
    for text in [secret.expose_hex().as_ref(), &base64url(counting(32))] {
        for end in 0..text.len() {
            let refused = read(&text.as_bytes()[..end]).unwrap_err();
            assert!(["too_short", "undecodable", "placeholder"].contains(&refused.label()));
        }
        assert!(read(format!("{text}\n").as_bytes()).is_ok());
        // A file system that kept the length and lost the bytes.
        assert!(read(&vec![0; text.len()]).is_err());
    }
}

/// Half of a secret of 64 bytes is as long as a secret may be. It opens nothing.
#[test]
fn case_12_half_of_a_long_secret_opens_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let whole = MasterSecret::from_bytes(counting(64)).unwrap();
    drop(open(&directory, whole.clone()).unwrap());
    let hex = whole.expose_hex().as_ref().to_owned();
    for end in [64, 66, 100, 126] {
        fs::write(&file, &hex[..end]).unwrap();
        let half = MasterSecret::from_file(&file).unwrap();
        let refused = open(&directory, half).unwrap_err();
        assert!(matches!(refused, BuildError::WrongMasterSecret), "{end}");
    }
    assert!(open(&directory, whole).is_ok());
}
