//! What every token says, whoever makes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "api";
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The claims that a token of epochkey has too, beside its seal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub iat: u64,
    pub exp: u64,
    pub jti: String,
}

impl Claims {
    /// Of a token that is issued now.
    #[must_use]
    pub fn of(user: &str) -> Self {
        let now = now();
        Self {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_owned(),
            iat: now,
            exp: now + LIFETIME.as_secs(),
            jti: token_id(),
        }
    }
}

/// 16 random bytes, as epochkey draws them.
///
/// # Panics
///
/// If the system gives no random bytes.
#[must_use]
pub fn token_id() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs()
}
