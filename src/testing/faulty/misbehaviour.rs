//! Faults at random, the same ones for the same seed.

use crate::{
    crypto::{Random, random_array},
    store::{Answer, News},
    testing::known::KnownRandom,
};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// It does not arrive.
    Before,
    /// It takes effect, and the answer does not arrive.
    After,
    /// It takes effect later.
    LateRequest,
    /// It takes effect, and the answer comes later.
    LateAnswer,
}

pub(super) struct Misbehaviour {
    random: KnownRandom,
    /// An answer that may come again.
    old: Option<Answer<News>>,
}

impl Misbehaviour {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            random: KnownRandom::new(bytes),
            old: None,
        }
    }

    /// A number below 100.
    fn percent(&mut self) -> u8 {
        let random: &dyn Random = &self.random;
        random_array::<1>(random).map_or(99, |[byte]| byte % 100)
    }

    pub(super) fn fault(&mut self) -> Option<Fault> {
        match self.percent() {
            0..5 => Some(Fault::Before),
            5..10 => Some(Fault::After),
            10..15 => Some(Fault::LateRequest),
            15..20 => Some(Fault::LateAnswer),
            _ => None,
        }
    }

    /// Whether what came late comes now.
    pub(super) fn lets_go(&mut self) -> bool {
        self.percent() < 30
    }

    /// The answer, or an old one with events again.
    pub(super) fn old_or(&mut self, answer: Answer<News>) -> Answer<News> {
        let repeats = self.percent() < 5;
        match &answer.value {
            News::Events { events, .. } if !events.is_empty() => {
                match self.old.replace(answer.clone()) {
                    Some(old) if repeats => old,
                    _ => answer,
                }
            }
            _ => answer,
        }
    }
}
