use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Authority, MemoryStore, Policy, Scope, ScopeKind, Token, VerifyError,
    testing::{ExposedKey, ExposedSecrets, ManualClock, expose_epoch, expose_secrets},
};
use ring::hmac;

/// When the manual clock of these tests starts, in seconds since 1970.
pub(crate) const START: u64 = 1_700_000_000;
pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const AUDIENCE: &str = "api";

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An authority with the default policy, and its clock.
pub(crate) fn authority() -> (Authority, ManualClock) {
    authority_with(Policy::default())
}

pub(crate) fn authority_with(policy: Policy) -> (Authority, ManualClock) {
    let clock = ManualClock::at_unix_seconds(START);
    let authority = Authority::builder(ISSUER, AUDIENCE)
        .policy(policy)
        .clock(clock.clone())
        .open(MemoryStore::new())
        .unwrap();
    (authority, clock)
}

pub(crate) fn bump(authority: &Authority, scope: Scope) {
    authority.bump(scope).wait().unwrap();
}

#[track_caller]
pub(crate) fn assert_revoked(authority: &Authority, token: &Token, by: Scope) {
    let scope = Some(by);
    assert_eq!(
        authority.verify(token).unwrap_err(),
        VerifyError::Revoked { scope }
    );
}

/// Signs and seals whatever it is given, with an authority's own secrets. Written
/// from SPEC.md, apart from the crate's code.
pub(crate) struct Forger {
    secrets: ExposedSecrets,
}

impl Forger {
    pub(crate) fn of(authority: &Authority) -> Self {
        Self {
            secrets: expose_secrets(authority),
        }
    }

    fn key(&self) -> &ExposedKey {
        self.secrets.ring_keys.last().unwrap()
    }

    pub(crate) fn header(&self) -> String {
        format!(
            r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#,
            self.key().kid
        )
    }

    /// A token with this payload, whatever it is, under a correct signature.
    pub(crate) fn sign(&self, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", base64url(self.header()), base64url(payload));
        let signature = hmac_sha256(&self.key().secret, input.as_bytes());
        format!("{input}.{}", base64url(signature))
    }

    /// The seal of a token with these scopes, as of now.
    pub(crate) fn seal(&self, authority: &Authority, scopes: &[Scope]) -> String {
        let mut input = self.key().introduction_nonce.to_vec();
        for scope in scopes {
            input.push(match scope.kind() {
                ScopeKind::User => 1,
                ScopeKind::Session => 2,
                ScopeKind::Group => 3,
                _ => unreachable!(),
            });
            input.extend_from_slice(&u16::try_from(scope.id().len()).unwrap().to_be_bytes());
            input.extend_from_slice(scope.id().as_bytes());
            let epoch = expose_epoch(authority, scope);
            input.extend_from_slice(&epoch.map_or([0; 16], |(_, secret)| secret));
        }
        base64url(&hmac_sha256(&self.secrets.seal_key, &input)[..16])
    }
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().try_into().unwrap()
}

/// The payload of a token, as JSON text.
pub(crate) fn payload_of(token: &Token) -> String {
    let segment = token.as_str().split('.').nth(1).unwrap();
    String::from_utf8(decode_base64url(segment)).unwrap()
}
