//! With caches and without, the answers are the same.

use std::{collections::HashMap, time::Duration};

use epochkey::{Authority, Grant, Policy, Scope, Token, testing};
use proptest::prelude::*;

use crate::{Fleet, label};

/// What is done to a store and its two authorities.
#[derive(Debug, Clone)]
enum Step {
    /// A token for one of few users, sessions and groups.
    Issue(u8),
    /// One of the tokens that were issued, so often.
    Verify(prop::sample::Index, u8),
    /// The same, with one byte replaced by one of another token.
    Alter(
        prop::sample::Index,
        prop::sample::Index,
        prop::sample::Index,
    ),
    Bump(u8),
    Rotate,
    Swap,
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (0..8_u8).prop_map(Step::Issue),
        10 => (index(), 1..4_u8).prop_map(|(token, times)| Step::Verify(token, times)),
        4 => (index(), index(), index()).prop_map(|(one, other, at)| Step::Alter(one, other, at)),
        3 => (0..8_u8).prop_map(Step::Bump),
        1 => Just(Step::Rotate),
        1 => Just(Step::Swap),
        1 => (0..1000_u16).prop_map(Step::Wait),
    ]
}

/// Two replicas of one store, of which one remembers.
struct Two {
    fleet: Fleet,
    remembering: Authority,
    forgetful: Authority,
    /// Whose each token is.
    tokens: Vec<(Token, String)>,
    checked: HashMap<&'static str, u32>,
}

impl Two {
    fn new() -> Self {
        let fleet = Fleet::new();
        Self {
            remembering: fleet.remembering(),
            forgetful: fleet.open(Policy::default().thread_caches(false)),
            fleet,
            tokens: Vec::new(),
            checked: HashMap::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Issue(of) => self.issue(*of),
            Step::Verify(index, times) if !self.tokens.is_empty() => {
                let text = index.get(&self.tokens).0.as_str().to_owned();
                (0..*times).for_each(|_| self.compare(&text));
            }
            Step::Alter(one, other, at) if !self.tokens.is_empty() => {
                let mut text = one.get(&self.tokens).0.as_str().to_owned().into_bytes();
                let other = other.get(&self.tokens).0.as_str().as_bytes();
                let at = at.index(text.len().min(other.len()));
                text[at] = other[at];
                self.compare(std::str::from_utf8(&text).unwrap());
            }
            Step::Verify(..) | Step::Alter(..) => {}
            Step::Bump(of) => {
                testing::finish(&self.forgetful, self.forgetful.bump(scope(*of))).unwrap();
                self.follow();
            }
            Step::Rotate => {
                // Too many keys are refused.
                let _ = testing::finish(&self.forgetful, self.forgetful.rotate_key());
                self.follow();
            }
            Step::Swap => {
                testing::finish(&self.forgetful, self.forgetful.swap_key()).unwrap();
                self.follow();
            }
            Step::Wait(seconds) => {
                self.fleet
                    .clock
                    .advance(Duration::from_secs(u64::from(*seconds)));
                self.follow();
            }
        }
    }

    fn follow(&self) {
        for authority in [&self.remembering, &self.forgetful] {
            testing::follow(authority).unwrap();
        }
    }

    fn issue(&mut self, of: u8) {
        let claim = format!("token {}", self.tokens.len());
        let session = format!("s-{}", of % 3).parse().unwrap();
        let grant = Grant::user(format!("u-{}", of % 2))
            .session(&session)
            .group(format!("g-{}", of / 4))
            .claims(&claim_of(&claim));
        self.tokens
            .push((self.remembering.issue(grant).unwrap(), claim));
    }

    fn compare(&mut self, text: &str) {
        let (ours, theirs) = (self.remembering.verify(text), self.forgetful.verify(text));
        if let Ok(verified) = &ours {
            let (_, claim) = self
                .tokens
                .iter()
                .find(|(token, _)| token.as_str() == text)
                .expect("a text that nobody issued is good");
            let claims: HashMap<String, String> = verified.claims().unwrap();
            assert_eq!(&claims["claim"], claim, "another token's claims");
            self.remembering.recheck(verified).unwrap();
        }
        let outcome = label(theirs);
        assert_eq!(label(ours), outcome);
        *self.checked.entry(outcome).or_default() += 1;
    }
}

fn claim_of(text: &str) -> HashMap<&str, &str> {
    [("claim", text)].into()
}

fn scope(of: u8) -> Scope {
    match of % 4 {
        0 | 1 => Scope::user(format!("u-{}", of % 2)),
        2 => Scope::session(&format!("s-{}", of % 3).parse().unwrap()),
        _ => Scope::group(format!("g-{}", of / 4)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens(steps in proptest::collection::vec(step(), 1..150)) {
        let mut two = Two::new();
        for step in &steps {
            two.take(step);
        }
    }
}

/// A known token with any byte changed, cut or added is what it is without caches.
#[test]
fn every_change_of_a_known_token_is_noticed() {
    let mut two = Two::new();
    two.issue(0);
    let text = two.tokens[0].0.as_str().to_owned();
    (0..3).for_each(|_| two.compare(&text));
    for at in 0..text.len() {
        let mut altered = text.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        two.compare(std::str::from_utf8(&altered).unwrap());
        two.compare(&text[..at]);
        two.compare(&format!("{}A{}", &text[..at], &text[at..]));
        two.compare(&text);
    }
    assert_eq!(two.checked["good"], 3 + text.len() as u32);
}

/// More tokens than there is room for: each gives its own claims, again and again.
#[test]
fn tokens_that_take_each_others_places_keep_their_claims() {
    let fleet = Fleet::new();
    let authority = fleet.remembering();
    let tokens: Vec<_> = (0..5000)
        .map(|number| authority.issue(Grant::user(format!("u-{number}"))).unwrap())
        .collect();
    for step in [1, 1, 7, 7, 3] {
        for (number, token) in tokens.iter().enumerate().step_by(step) {
            for _ in 0..2 {
                assert_eq!(
                    authority.verify(token).unwrap().user(),
                    format!("u-{number}")
                );
            }
        }
    }
}

/// As many as half of the places: nearly all are found again.
#[test]
fn a_thousand_tokens_in_turn_are_known() {
    let fleet = Fleet::new();
    let authority = fleet.remembering();
    let tokens: Vec<_> = (0..1024)
        .map(|number| authority.issue(Grant::user(format!("u-{number}"))).unwrap())
        .collect();
    let mut known = 0;
    for turn in 0..4 {
        for token in &tokens {
            let count = allocation_counter::measure(|| drop(authority.verify(token).unwrap()));
            known += usize::from(turn == 3 && count.count_total == 0);
        }
    }
    assert!(known >= 1014, "{known} of 1024");
}
