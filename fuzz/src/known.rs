//! An authority whose secrets are known, in a state that is worth attacking.

use epochkey::{
    Authority, AuthorityBuilder, Grant, Mark, MasterSecret, MemoryStore, Scope, ScopeKind,
    SessionId, Token,
    testing::{self, ManualClock, expose_epoch, expose_secrets, known_secrets},
};

use super::reference::{Epoch, Key, State};

pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const ISSUER: &str = "https://issuer.test";
pub(crate) const AUDIENCE: &str = "api";

/// One that is followed by hand, with this clock.
pub(crate) fn builder(clock: &ManualClock) -> AuthorityBuilder {
    builder_of(7, clock)
}

/// The same with other secrets for another seed.
pub(crate) fn builder_of(seed: u8, clock: &ManualClock) -> AuthorityBuilder {
    let builder = Authority::builder(ISSUER, AUDIENCE).clock(clock.clone());
    testing::by_hand(known_secrets(builder, [seed; 32]))
}

pub(crate) fn master_secret() -> MasterSecret {
    let bytes: [u8; 32] = std::array::from_fn(|n| n as u8);
    MasterSecret::from_bytes(bytes).unwrap()
}

/// The kind of a scope as the seal has it.
pub(crate) fn kind(scope: &Scope) -> u8 {
    match scope.kind() {
        ScopeKind::User => 1,
        ScopeKind::Session => 2,
        ScopeKind::Group => 3,
        _ => unreachable!(),
    }
}

/// What a verifier knows of an authority with the default policy, if these are all the scopes
/// that were ever bumped.
pub(crate) fn state<'a>(
    authority: &Authority,
    now: u64,
    scopes: impl IntoIterator<Item = &'a Scope>,
) -> State {
    let secrets = expose_secrets(authority);
    let keys = secrets.ring_keys.into_iter().map(|key| Key {
        kid: key.kid,
        position: key.position,
        introduction_nonce: key.introduction_nonce,
        secret: key.secret,
        longest_lifetime: key.longest_lifetime,
    });
    let epochs = scopes.into_iter().filter_map(|scope| {
        let (position, secret) = expose_epoch(authority, scope)?;
        let epoch = Epoch { position, secret };
        Some(((kind(scope), scope.id().to_owned()), epoch))
    });
    State {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        keys: keys.collect(),
        seal_key: secrets.seal_key,
        epochs: epochs.collect(),
        now,
        leeway: 4,
        max_length: 8192,
    }
}

/// An authority with two ring keys and bumps between and after them. Nothing changes it.
pub(crate) struct Known {
    pub(crate) authority: Authority,
    pub(crate) state: State,
    /// Good ones of either key, and revoked ones.
    pub(crate) tokens: Vec<Token>,
    /// Before everything was bumped.
    pub(crate) mark: Mark,
}

impl Known {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(NOW - 100);
        let authority = builder(&clock).open(MemoryStore::new()).unwrap();
        let mark = authority.mark();
        let session = |id: &str| id.parse::<SessionId>().unwrap();
        let early = [Scope::user("u-early"), Scope::group("g-early")];
        let late = [
            Scope::user("u-late"),
            Scope::session(&session("s-late")),
            Scope::group("g-late"),
        ];
        let bump = |scopes: &[Scope]| {
            let bump = authority.bump_many(scopes.iter().cloned());
            testing::finish(&authority, bump).unwrap();
        };
        let grants = || {
            let role = serde_json::json!({"role": "editor", "n": [1, {"a": "b\n"}]});
            [
                Grant::user("u-early"),
                Grant::user("u-late").session(&session("s-1")),
                Grant::user("u")
                    .session(&session("s-late"))
                    .group("g-early"),
                Grant::user("ü").groups(["g-late", "g"]).claims(&role),
                Grant::user("u-42").authenticated_now(),
            ]
        };
        let mut tokens = Vec::new();
        let mut issue = || {
            let issued = grants().map(|grant| authority.issue(grant).unwrap());
            tokens.extend(issued);
        };
        issue();
        bump(&early);
        issue();
        testing::finish(&authority, authority.rotate_key()).unwrap();
        clock.advance(std::time::Duration::from_secs(100));
        issue();
        bump(&late);
        issue();
        let state = state(&authority, NOW, early.iter().chain(&late));
        assert_eq!(state.keys.len(), 2);
        assert_eq!(state.epochs.len(), 5);
        Self {
            authority,
            state,
            tokens,
            mark,
        }
    }
}
