//! `Authority::issue`, given any grant.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use epochkey::{Grant, SessionId, Token};
use serde_json::value::RawValue;

use super::{
    input::Input,
    known::{AUDIENCE, ISSUER, Known, NOW},
    reference::{Members, Payload, are_claims, decode, encode, is_id},
    verify::assert_agree,
};

thread_local! {
    static KNOWN: Known = Known::new();
}

/// A grant that the reference finds good becomes a token whose payload is, byte for byte, what
/// the reference would write; any other is refused.
pub fn check(data: &[u8]) {
    KNOWN.with(|known| {
        let asked = Asked::of(&mut Input::new(data));
        let issued = known.authority.issue(asked.grant(known));
        let expected = asked.payload(known);
        match (&issued, expected) {
            (Ok(token), Some(payload)) => known.assert_is(token, payload),
            (Err(_), None) => {}
            (Err(error), Some(payload)) => panic!("{error} ({payload:?})"),
            (Ok(_), None) => panic!("issued what is no good: {asked:?}"),
        }
    });
}

/// The names and values of a grant.
#[derive(Debug)]
struct Asked {
    user: String,
    session: Option<SessionId>,
    groups: Vec<String>,
    audience: Option<String>,
    lifetime: Option<Duration>,
    authenticated: Option<Authenticated>,
    claims: Option<Box<RawValue>>,
    has_mark: bool,
}

#[derive(Debug, Clone, Copy)]
enum Authenticated {
    Now,
    At(SystemTime),
}

impl Asked {
    fn of(input: &mut Input<'_>) -> Self {
        let choices = input.byte();
        let chosen = |bit: u8| choices & (1 << bit) != 0;
        let user = name(input);
        // One that is not an id does not get as far as a grant.
        let session = chosen(0)
            .then(|| name(input))
            .and_then(|id| id.parse().ok());
        let groups = if chosen(1) { input.byte() % 11 } else { 0 };
        let groups = (0..groups).map(|_| name(input)).collect();
        let audience = chosen(2).then(|| match input.flag() {
            true => AUDIENCE.to_owned(),
            false => name(input),
        });
        let lifetime = chosen(3).then(|| {
            let nanos = if input.byte() == 255 { 1 } else { 0 };
            Duration::new(input.number() as u64, nanos)
        });
        let authenticated = chosen(4).then(|| match input.byte() {
            0..128 => Authenticated::Now,
            difference => {
                let time = NOW + 10 - u64::from(difference % 32);
                Authenticated::At(UNIX_EPOCH + Duration::from_millis(time * 1000 + 999))
            }
        });
        let has_mark = chosen(5);
        let claims = chosen(6).then(|| {
            let json = String::from_utf8_lossy(input.rest()).into_owned();
            RawValue::from_string(json).ok()
        });
        Self {
            user,
            session,
            groups,
            audience,
            lifetime,
            authenticated,
            claims: claims.flatten(),
            has_mark,
        }
    }

    fn grant(&self, known: &Known) -> Grant {
        let mut grant = Grant::user(&self.user).groups(&self.groups);
        if let Some(session) = &self.session {
            grant = grant.session(session);
        }
        if let Some(audience) = &self.audience {
            grant = grant.audience(audience);
        }
        if let Some(lifetime) = self.lifetime {
            grant = grant.lifetime(lifetime);
        }
        grant = match self.authenticated {
            Some(Authenticated::Now) => grant.authenticated_now(),
            Some(Authenticated::At(time)) => grant.authenticated_at(time),
            None => grant,
        };
        if let Some(claims) = &self.claims {
            grant = grant.claims(claims);
        }
        match self.has_mark {
            true => grant.as_of(known.mark),
            false => grant,
        }
    }

    /// What the token must say, but for its id and its seal; `None` if there may be none.
    fn payload(&self, known: &Known) -> Option<Payload> {
        let lifetime = self.lifetime.unwrap_or(Duration::from_secs(900));
        let is_lifetime = (1..=900).contains(&lifetime.as_secs()) && lifetime.subsec_nanos() == 0;
        let authenticated_at = self.authenticated.map(Authenticated::seconds);
        let claims = match &self.claims {
            Some(json) => serde_json::from_str::<Members>(json.get()).ok()?.0,
            None => Vec::new(),
        };
        let payload = Payload {
            issuer: ISSUER.to_owned(),
            audience: self.audience.clone().unwrap_or(AUDIENCE.to_owned()),
            user: self.user.clone(),
            session: self.session.as_ref().map(SessionId::to_string),
            groups: self.groups.clone(),
            issued_at: NOW,
            expires_at: NOW + lifetime.as_secs(),
            authenticated_at: authenticated_at.map(|time| time.min(NOW)),
            token_id: "A".repeat(22),
            seal: [0; 16],
            claims,
        };
        // Written raw, they must be as they are to stand in the token.
        let are_written_well = match &self.claims {
            Some(json) => json.get() == payload.claims_json() && are_claims(&payload.claims),
            None => true,
        };
        let key = &known.state.keys[1];
        let length = key.sign(&encode(payload.to_json())).len();
        let is_good = is_lifetime
            && authenticated_at <= Some(NOW + known.state.leeway)
            && are_written_well
            && length <= known.state.max_length
            && !(self.has_mark && known.was_bumped(&payload))
            && payload.scopes().iter().all(|(_, id)| is_id(id))
            && is_id(&payload.audience)
            && payload.groups.len() <= 8
            && (1..payload.groups.len()).all(|n| !payload.groups[..n].contains(&payload.groups[n]));
        is_good.then_some(payload)
    }
}

impl Authenticated {
    fn seconds(self) -> u64 {
        match self {
            Self::Now => NOW,
            Self::At(time) => time.duration_since(UNIX_EPOCH).unwrap().as_secs(),
        }
    }
}

/// Of one that was bumped, or of any bytes.
fn name(input: &mut Input<'_>) -> String {
    const NAMES: [&str; 8] = [
        "u-42", "u-early", "u-late", "s-late", "g-early", "g-late", "g", "ü",
    ];
    match input.byte() {
        choice @ 0..128 => NAMES[usize::from(choice) % NAMES.len()].to_owned(),
        // Longer than any id.
        255 => "x".repeat(input.number() % 300),
        _ => input.text(),
    }
}

impl Known {
    fn was_bumped(&self, payload: &Payload) -> bool {
        let mut scopes = payload.scopes().into_iter();
        scopes.any(|scope| self.state.epochs.contains_key(&scope))
    }

    /// The token is the one of this payload, when it has its id and seal, and is good.
    fn assert_is(&self, token: &Token, mut payload: Payload) {
        // What is issued is signed with the newest active key.
        let key = &self.state.keys[1];
        payload.seal = self.state.seal(key, &payload);
        let text = token.as_str();
        let segment = text.split('.').nth(1).unwrap();
        let json = decode(segment.as_bytes()).unwrap();
        let written = Payload::parse(&json).expect("canonical");
        payload.token_id.clone_from(&written.token_id);
        assert_eq!(
            decode(payload.token_id.as_bytes()).map(|id| id.len()),
            Some(16)
        );
        assert_eq!(std::str::from_utf8(&json).unwrap(), payload.to_json());
        assert_eq!(text, key.sign(segment));
        let lifetime = payload.expires_at - payload.issued_at;
        assert_eq!(token.expires_in(), Duration::from_secs(lifetime));
        let theirs = self.state.verify(text.as_bytes());
        assert_agree(&self.authority.verify(token), &theirs);
        assert_eq!(theirs.is_ok(), payload.audience == AUDIENCE);
    }
}
