//! A token, and what the model says about it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use epochkey::{
    Scope, SessionId, Token,
    store::{EventId, HistoryId, RowId},
    testing::ExposedKey,
};

use ring::hmac;

use super::ledger::Ledger;

pub(crate) struct Minted {
    pub(crate) token: Token,
    pub(crate) history: HistoryId,
    /// What its issuer had applied.
    pub(crate) sealed_at: EventId,
    pub(crate) key: String,
    pub(crate) scopes: Vec<Scope>,
    /// The session that it goes with, if it came with a refresh token.
    session: Option<RowId>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) authenticated_at: Option<u64>,
    /// The server's time when it was issued, in seconds.
    pub(crate) truly_issued_at: u64,
    /// How often the log had been broken off by then, unless its issuer had not
    /// noticed that, or was told old news.
    pub(crate) breaks: Option<usize>,
}

/// How a token stands for one who has applied the log up to some event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// Bumped or swapped, for ever.
    Killed,
    /// Its ring key is not known there.
    UnknownKey {
        swapped_in: bool,
    },
    /// Sealed with an epoch that is not known there.
    Ahead,
}

pub(crate) fn scopes(user: &str, session: Option<&SessionId>, groups: &[&str]) -> Vec<Scope> {
    let mut scopes = vec![Scope::user(user)];
    scopes.extend(session.map(Scope::session));
    scopes.extend(groups.iter().copied().map(Scope::group));
    scopes
}

impl Minted {
    pub(crate) fn new(
        token: Token,
        scopes: Vec<Scope>,
        sealed_at: EventId,
        ledger: &Ledger,
        (truly_issued_at, by_one_up_to_date): (u64, bool),
    ) -> Self {
        let mut parts = token.as_str().split('.').map(|part| {
            let json = URL_SAFE_NO_PAD.decode(part).unwrap();
            serde_json::from_slice::<serde_json::Value>(&json).unwrap_or_default()
        });
        let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
        drop(parts);
        Self {
            history: ledger.place(sealed_at).history,
            sealed_at,
            key: header["kid"].as_str().unwrap().to_owned(),
            scopes,
            session: None,
            issued_at: payload["iat"].as_u64().unwrap(),
            expires_at: payload["exp"].as_u64().unwrap(),
            authenticated_at: payload["auth_time"].as_u64(),
            truly_issued_at,
            breaks: (by_one_up_to_date && ledger.keeps(sealed_at)).then(|| ledger.breaks()),
            token,
        }
    }

    pub(crate) fn of_session(self, session: RowId) -> Self {
        let session = Some(session);
        Self { session, ..self }
    }

    /// The same as if it were of another key and of this moment, but for its seal.
    pub(crate) fn forged(&self, key: &ExposedKey, now: u64) -> String {
        let payload = self.token.as_str().split('.').nth(1).unwrap();
        let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let (issued_at, expires_at) = (self.issued_at, self.expires_at);
        let payload = payload
            .replace(&format!(r#""iat":{issued_at}"#), &format!(r#""iat":{now}"#))
            .replace(
                &format!(r#""exp":{expires_at}"#),
                &format!(r#""exp":{}"#, now + 30),
            );
        let header = format!(r#"{{"alg":"HS256","kid":"{}","typ":"at+jwt"}}"#, key.kid);
        let signed = [header, payload]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signing = hmac::Key::new(hmac::HMAC_SHA256, &key.secret);
        let signature = hmac::sign(&signing, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// How it stands for one who has applied the log up to `at`.
    pub(crate) fn standing(&self, ledger: &Ledger, at: EventId) -> Standing {
        let (here, sealed) = (ledger.state(at), ledger.state(self.sealed_at));
        if here.history != self.history {
            return match here.predecessors.contains(&self.history) {
                true => Standing::Killed,
                false => Standing::UnknownKey { swapped_in: true },
            };
        }
        let is_its_key = |id: &epochkey::store::KeyId| id.to_string() == self.key;
        let Some((_, introduced)) = here.ring.iter().find(|(id, _)| is_its_key(id)) else {
            let swapped_in = sealed.ring.first().is_some_and(|(id, _)| is_its_key(id));
            return match here.gone.iter().any(is_its_key) {
                true => Standing::Killed,
                false => Standing::UnknownKey { swapped_in },
            };
        };
        // Sealed after its end, it would show no trace of that.
        if self
            .session
            .is_some_and(|session| ledger.has_ended(session, at))
        {
            return Standing::Killed;
        }
        let bump = |state: &super::ledger::State, scope| {
            let bump = state.bumps.get(scope).copied();
            bump.filter(|(_, position)| position > introduced)
        };
        let mut standing = Standing::Good;
        for scope in &self.scopes {
            match (bump(here, scope), bump(sealed, scope)) {
                (known, sealed) if known == sealed => {}
                (Some((known, _)), _) if !ledger.contains(self.sealed_at, known) => {
                    return Standing::Killed;
                }
                _ => standing = Standing::Ahead,
            }
        }
        standing
    }
}
