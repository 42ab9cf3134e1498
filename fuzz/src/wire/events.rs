//! Events that are altered, one after the other, and what a plain reading makes of them.

use epochkey::{
    Authority, Grant, Scope, Token,
    store::{Effect, Event, EventId},
    testing::{self, ManualClock},
};

use super::{
    super::{
        input::Input,
        known::{self, NOW},
        reference::decode,
    },
    hostile::{Hostile, Lie},
};

const USERS: usize = 4;

/// The log says up to eight things, each as it was written by the crate or altered. What the
/// model reads is in force, up to the first event that it cannot read.
pub(super) fn check(input: &mut Input<'_>) {
    let clock = ManualClock::at_unix_seconds(NOW);
    let store = Hostile::new(clock.clone());
    let builder = known::builder(&clock).master_secret(known::master_secret());
    let authority = builder.open(store.clone()).unwrap();
    let log = Log::of(&authority, &store);
    let events = log.lies(input, &store);
    let mut model = Model::default();
    let applied = events
        .iter()
        .take_while(|event| model.apply(event, &log))
        .count();
    let is_gap = events
        .get(applied)
        .is_some_and(|event| event.position != model.position + 1);
    let all = events.len();
    store.lie(Lie::Events(events));
    let followed = testing::follow(&authority);
    if model.brings_back_a_key {
        // The store is told to begin anew, and everything dies.
        assert!(followed.is_err(), "a key came back");
        return assert!(
            log.tokens
                .iter()
                .all(|token| authority.verify(token).is_err())
        );
    }
    assert_eq!(authority.stats().position, model.position);
    if model.names_another_master_secret && applied == 0 {
        // The state may have been wrapped anew: it was loaded, and shows nothing of the events.
        assert_eq!((followed.is_ok(), authority.stats().stale), (true, false));
        return assert!(
            log.tokens
                .iter()
                .all(|token| authority.verify(token).is_ok())
        );
    }
    assert_eq!(followed.is_ok(), applied == all, "{followed:?}");
    // What could not be read may have been a bump; of a gap, nothing was missed yet.
    let is_stale = applied < all && !is_gap;
    assert_eq!(authority.stats().stale, is_stale);
    for (user, token) in log.tokens.iter().enumerate() {
        let is_live = !is_stale && !model.is_swapped && !model.bumped[user];
        assert_eq!(authority.verify(token).is_ok(), is_live, "user {user}");
    }
}

/// What the crate writes, captured on its way to the store.
struct Log {
    tokens: Vec<Token>,
    /// Bumps of the users, then a rotation and a swap.
    written: Vec<(Vec<u8>, Effect)>,
    /// The ring's first key.
    first_key: Vec<u8>,
}

impl Log {
    fn of(authority: &Authority, store: &Hostile) -> Self {
        let begun = testing::expose_secrets(authority).ring_keys.remove(0).kid;
        store.lie(Lie::Refuse);
        let users = (0..USERS).map(|n| format!("u-{n}"));
        let tokens = users
            .clone()
            .map(|user| authority.issue(Grant::user(user)).unwrap());
        let tokens = tokens.collect();
        for user in users {
            drop(authority.bump(Scope::user(user)));
        }
        drop(authority.rotate_key());
        drop(authority.swap_key());
        let events = store.commits().into_iter().flat_map(|commit| commit.events);
        let written: Vec<_> = events.map(|event| (event.body, event.effect)).collect();
        assert_eq!(written.len(), USERS + 2);
        Self {
            tokens,
            written,
            first_key: decode(begun.as_bytes()).unwrap(),
        }
    }

    /// Whether a key's fields say that it was wrapped with another master secret than those that
    /// were written: behind id, version, algorithm and 32 bytes, by a version and a fingerprint.
    fn names_another_master_secret(&self, fields: &[u8]) -> bool {
        let wrapped_with = |fields: &[u8]| {
            let [1, with @ ..] = fields.get(46..55)? else {
                return None;
            };
            (fields[12..14] == [1, 1]).then(|| with.to_vec())
        };
        let ours = wrapped_with(&self.written[USERS].0[2..]);
        let theirs = wrapped_with(fields);
        theirs.is_some() && theirs != ours
    }

    /// What the store is going to say.
    fn lies(&self, input: &mut Input<'_>, store: &Hostile) -> Vec<Event> {
        let mut position = 1_u64;
        let mut events = Vec::new();
        for n in 0..input.byte() % 9 {
            position += 1;
            let choice = input.byte();
            let mut body = match usize::from(choice % 8) {
                known if known < self.written.len() => self.written[known].0.clone(),
                6 => [&[1, 4], &self.first_key[..]].concat(),
                _ => input.bytes(34).to_vec(),
            };
            if choice & 64 != 0 {
                input.edit(&mut body);
            }
            if choice & 128 != 0 {
                position = position
                    .wrapping_add(u64::from(input.byte()))
                    .wrapping_sub(1);
            }
            events.push(Event {
                position,
                id: EventId::from_bytes([n; 16]),
                time: store.now(),
                body,
            });
        }
        events
    }
}

/// What is in force.
struct Model {
    position: u64,
    bumped: [bool; USERS],
    keys: Vec<Vec<u8>>,
    gone: Vec<Vec<u8>>,
    is_swapped: bool,
    brings_back_a_key: bool,
    names_another_master_secret: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            position: 1,
            bumped: [false; USERS],
            keys: Vec::new(),
            gone: Vec::new(),
            is_swapped: false,
            brings_back_a_key: false,
            names_another_master_secret: false,
        }
    }
}

impl Model {
    /// Whether the event could be read and followed what was there.
    fn apply(&mut self, event: &Event, log: &Log) -> bool {
        if self.keys.is_empty() {
            self.keys.push(log.first_key.clone());
        }
        let is_next = event.position == self.position + 1;
        let is_applied = is_next && self.change(&event.body, log);
        if is_applied {
            self.position = event.position;
        }
        is_applied
    }

    /// A body is a version, 1, a kind, and the fields of the kind: 1 is a bump, 2 a key that is
    /// introduced, 3 one that replaces all, 4 the oldest that goes.
    fn change(&mut self, body: &[u8], log: &Log) -> bool {
        let [1, kind, fields @ ..] = body else {
            return false;
        };
        match kind {
            // A user of no secret was never bumped: a tag, then one that is not of zeros.
            1 if fields.len() == 32 && fields[16..] != [0; 16] => {
                let bumped = log.written.iter().position(|(_, effect)| {
                    matches!(effect, Effect::Epoch { tag, .. } if fields.starts_with(tag))
                });
                if let Some(user) = bumped {
                    self.bumped[user] = true;
                }
                true
            }
            2 | 3 => self.add(*kind == 3, fields, log),
            4 => {
                let is_oldest = self.keys.len() > 1 && self.keys[0] == fields;
                if is_oldest {
                    self.gone.push(self.keys.remove(0));
                }
                // The first of them has signed all tokens.
                self.is_swapped |= is_oldest && self.gone.contains(&log.first_key);
                is_oldest
            }
            _ => false,
        }
    }

    fn add(&mut self, replaces: bool, fields: &[u8], log: &Log) -> bool {
        if fields.len() >= 12 && self.gone.iter().any(|gone| fields.starts_with(gone)) {
            self.brings_back_a_key = true;
            return false;
        }
        // What is wrapped is bound to all else that is said of a key, but not to the kind of event.
        let is_known = log
            .written
            .iter()
            .any(|(body, effect)| !matches!(effect, Effect::Epoch { .. }) && body[2..] == *fields);
        let key = fields.get(..12).unwrap_or_default().to_vec();
        if self.keys.contains(&key) {
            return false;
        }
        if !is_known {
            self.names_another_master_secret = log.names_another_master_secret(fields);
            return false;
        }
        if replaces {
            self.gone.append(&mut self.keys);
            self.is_swapped = true;
        }
        self.keys.push(key);
        true
    }
}
