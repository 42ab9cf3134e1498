//! Nothing that is shown for debugging tells a secret.

use std::sync::Mutex;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Authority, Grant, MasterSecret, MemoryStore, RedbStore, Scope, Store,
    store::{Effect, Event, EventId, KeyId, NewEvent, StoreTime},
    testing::{self, FaultyStore, ManualClock, expose_epoch, expose_secrets},
};

use crate::support::*;

/// How bytes may show in a text: the first of them are enough.
fn shapes(secret: &[u8]) -> [String; 4] {
    let secret = &secret[..8];
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{secret:?}");
    [
        hex.to_uppercase(),
        hex,
        URL_SAFE_NO_PAD.encode(&secret[..6]),
        list.trim_matches(['[', ']']).to_owned(),
    ]
}

#[track_caller]
fn assert_tells_none(texts: &[String], secrets: &[Vec<u8>]) {
    for text in texts {
        assert!(text.len() > 3, "it says what it is: {text:?}");
        for secret in secrets {
            for shape in shapes(secret) {
                assert!(!text.contains(&shape), "{text} shows {shape}");
            }
        }
    }
}

#[test]
fn what_an_authority_gives_tells_no_secret() {
    let master: [u8; 32] = std::array::from_fn(|byte| byte as u8 ^ 0xa7);
    let previous: [u8; 32] = std::array::from_fn(|byte| byte as u8 ^ 0xb9);
    let clock = ManualClock::at_unix_seconds(START);
    let server = FaultyStore::new(clock.clone());
    let builder = Authority::builder(ISSUER, AUDIENCE)
        .master_secret(MasterSecret::from_bytes(master).unwrap())
        .previous_master_secret(MasterSecret::from_bytes(previous).unwrap())
        .clock(clock);
    let mut texts = vec![format!("{builder:?}")];
    let authority = testing::by_hand(builder).open(server.clone()).unwrap();
    let scope = Scope::user("u");
    let bumped = testing::finish(&authority, authority.bump(scope.clone())).unwrap();
    let pair = authority.sessions().start(Grant::user("u"), "a device");
    let pair = testing::finish(&authority, pair).unwrap();
    let verified = authority.verify(&pair.access).unwrap();
    let exposed = expose_secrets(&authority);
    let mut secrets: Vec<Vec<u8>> = vec![master.to_vec(), previous.to_vec()];
    secrets.push(exposed.seal_key.to_vec());
    secrets.extend(exposed.ring_keys.iter().map(|key| key.secret.to_vec()));
    let (_, epoch) = expose_epoch(&authority, &scope).unwrap();
    secrets.push(epoch.to_vec());
    secrets.push(pair.refresh.as_str().rsplit('.').next().unwrap().into());
    secrets.push(pair.access.as_str().rsplit('.').next().unwrap().into());

    let epochs = Mutex::new(Vec::new());
    let snapshot = server.snapshot(StoreTime::default(), &mut |epoch| {
        epochs.lock().unwrap().push(format!("{epoch:?}"));
    });
    assert!(snapshot.is_ok());
    texts.extend(epochs.into_inner().unwrap());
    texts.extend([
        format!("{authority:?}"),
        format!("{:?}", authority.sessions()),
        format!("{:?}", authority.stats()),
        format!("{:?}", authority.mark()),
        format!("{bumped:?}"),
        format!("{verified:?}"),
        format!("{pair:?}"),
        format!("{:?}", pair.refresh),
        format!("{:?}", pair.session),
        format!("{:?}", authority.explain(&pair.access)),
        format!("{:?}", MasterSecret::from_bytes(master).unwrap()),
        format!("{server:?}"),
    ]);
    assert_tells_none(&texts, &secrets);
}

#[test]
fn what_a_store_is_given_tells_no_secret() {
    let (tag, secret) = ([0x5e; 16], [0xc3; 16]);
    let (key, id) = (KeyId::from_bytes([1; 12]), EventId::from_bytes([2; 16]));
    let record = || vec![0xc3; 60];
    let effects = [
        (Effect::Epoch { tag, secret }, "Epoch"),
        (
            Effect::AddKey {
                key,
                record: record(),
            },
            "AddKey",
        ),
        (
            Effect::ReplaceKeys {
                key,
                record: record(),
            },
            "ReplaceKeys",
        ),
        (Effect::RemoveKey { key }, "RemoveKey"),
    ];
    for (effect, name) in effects {
        let body = record();
        let new = NewEvent { id, body, effect };
        let text = format!("{new:?}");
        assert!(
            text.contains(name) && text.contains(&id.to_string()),
            "{text}"
        );
        assert_tells_none(&[text], &[secret.to_vec()]);
    }
    let event = Event {
        position: 7,
        id,
        time: StoreTime::default(),
        body: record(),
    };
    assert_tells_none(&[format!("{event:?}")], &[secret.to_vec()]);
}

/// It says how far the store is, and of nothing that it holds.
#[test]
fn a_store_shows_its_head() {
    let store = MemoryStore::new();
    assert_eq!(format!("{store:?}"), "MemoryStore { head: None, .. }");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.redb");
    let store = RedbStore::open(path).unwrap();
    assert_eq!(format!("{store:?}"), "RedbStore { head: None, .. }");
}
