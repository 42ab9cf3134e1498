//! Session rows of somebody who can encrypt them, as only who holds the master secret can.

use epochkey::{
    Grant,
    store::{NewRow, SessionChange, SessionRow},
    testing::{self, ManualClock, expose_secrets},
};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};

use super::{
    super::{
        input::Input,
        known::{self, NOW},
        verify::assert_agree,
    },
    hostile::{Hostile, Lie},
    lies,
};

/// The row's plain text is altered and encrypted again, or the row altered as it is. A refresh
/// with the right token fails, or gives a token that both verifiers judge alike.
pub(super) fn check(input: &mut Input<'_>) {
    let clock = ManualClock::at_unix_seconds(NOW);
    let store = Hostile::new(clock.clone());
    let builder = known::builder(&clock).master_secret(known::master_secret());
    let authority = builder.open(store.clone()).unwrap();
    let claims = serde_json::json!({"role": "editor"});
    let grant = Grant::user("u-42").group("g").claims(&claims);
    let start = authority.sessions().start(grant, "a device");
    let pair = testing::finish(&authority, start).unwrap();
    let changes = store
        .commits()
        .into_iter()
        .flat_map(|commit| commit.sessions);
    let mut started = changes.filter_map(|change| match change {
        SessionChange::Start(row) => Some(row),
        _ => None,
    });
    let mut row = SessionRow {
        row: started.next().unwrap(),
        rotated_at: store.now(),
    };
    let key = row_key(&expose_secrets(&authority).refresh_key);
    let mut plain = open(&row.row, &key).unwrap();
    match input.flag() {
        true => lies::session_row(&mut row, input),
        false => {
            input.edit(&mut plain);
            row.row.body = seal(&row.row, &key, plain);
        }
    }
    store.lie(Lie::Row(row));
    let sessions = authority.sessions();
    let refreshed = testing::finish(&authority, sessions.refresh(&pair.refresh));
    if let Ok(pair) = refreshed {
        let state = known::state(&authority, NOW, &[]);
        let theirs = state.verify(pair.access.as_ref());
        assert_agree(&authority.verify(&pair.access), &theirs);
    }
    let _ = testing::finish(&authority, sessions.list("u-42"));
    let _ = testing::finish(&authority, sessions.end_others(pair.session.id()));
    let _ = testing::finish(&authority, sessions.reauthenticated(pair.session.id()));
    let ended = testing::finish(&authority, sessions.end(pair.session.id()));
    assert!(ended.is_err() || authority.verify(&pair.access).is_err());
}

fn hkdf(salt: &[u8], secret: &[u8], info: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    let info = [info];
    let output = key.expand(&info, HKDF_SHA256).unwrap();
    output.fill(&mut bytes).unwrap();
    bytes
}

fn row_key(refresh_key: &[u8; 32]) -> [u8; 32] {
    hkdf(b"", refresh_key, b"epochkey session rows 1")
}

/// The key of one row, and what its encryption is bound to.
fn key_of(row: &NewRow, row_key: &[u8; 32]) -> (LessSafeKey, Vec<u8>) {
    let key = hkdf(row.id.as_bytes(), row_key, b"epochkey session row 1");
    let bound_to = [
        &[1][..],
        row.id.as_bytes(),
        &row.user,
        row.version.as_bytes(),
        &row.expires_at.as_unix_millis().to_be_bytes(),
    ];
    let key = UnboundKey::new(&AES_256_GCM, &key).unwrap();
    (LessSafeKey::new(key), bound_to.concat())
}

fn open(row: &NewRow, row_key: &[u8; 32]) -> Option<Vec<u8>> {
    let (key, bound_to) = key_of(row, row_key);
    let nonce = Nonce::try_assume_unique_for_key(&row.body[1..13]).unwrap();
    let mut bytes = row.body[13..].to_vec();
    let plain = key.open_in_place(nonce, Aad::from(bound_to), &mut bytes);
    Some(plain.ok()?.to_vec())
}

fn seal(row: &NewRow, row_key: &[u8; 32], mut plain: Vec<u8>) -> Vec<u8> {
    let (key, bound_to) = key_of(row, row_key);
    let nonce = Nonce::assume_unique_for_key([5; 12]);
    key.seal_in_place_append_tag(nonce, Aad::from(bound_to), &mut plain)
        .unwrap();
    [&[1][..], &[5; 12], &plain].concat()
}
