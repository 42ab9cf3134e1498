//! Faults by chance, the same for the same seed.

use std::{env, time::Duration};

use super::relay::Way;
use crate::random::Random;

/// Of a hundred chunks, which delay some, cut the connection within some, or make it silent
/// for good, as a peer that lost its network is.
const DELAYED: u64 = 20;
const CUT: u64 = 2;
const SILENT: u64 = 1;
const LONGEST_DELAY_MS: u64 = 20;

/// What happens to a connection is decided by the seed and by how many came before it.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Delay(Duration),
    /// After this many bytes of the chunk.
    Cut(usize),
    Silence,
}

impl Faults {
    /// Says how to have the same again. `EPOCHKEY_PROXY` in the environment wins over `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        let asked = env::var("EPOCHKEY_PROXY").ok();
        let seed = asked.and_then(|asked| asked.parse().ok()).unwrap_or(seed);
        println!("the faults of this network again: EPOCHKEY_PROXY={seed}");
        Self { seed }
    }
}

/// The chunks of one connection that go one way.
pub(super) struct Stream {
    connection: u64,
    way: Way,
    random: Option<Random>,
}

impl Stream {
    pub(super) fn new(connection: u64, way: Way) -> Self {
        let random = None;
        Self {
            connection,
            way,
            random,
        }
    }

    /// What happens to the next chunk.
    pub(super) fn next(&mut self, faults: Option<&Faults>, length: usize) -> Fault {
        let Some(faults) = faults.filter(|_| length != 0) else {
            return Fault::None;
        };
        let random = self.random.get_or_insert_with(|| {
            let stream = self.connection * 2 + u64::from(self.way == Way::ToClient);
            let mut of_seed = Random::new(faults.seed);
            Random::new(of_seed.next() ^ Random::new(stream).next())
        });
        match random.below(100) as u64 {
            chance if chance < SILENT => Fault::Silence,
            chance if chance < SILENT + CUT => Fault::Cut(random.below(length + 1)),
            chance if chance < SILENT + CUT + DELAYED => {
                Fault::Delay(Duration::from_millis(random.between(1, LONGEST_DELAY_MS)))
            }
            _ => Fault::None,
        }
    }
}

impl Fault {
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::Delay(delay) => delay,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn cut(self) -> Option<usize> {
        match self {
            Self::Cut(at) => Some(at),
            _ => None,
        }
    }
}
