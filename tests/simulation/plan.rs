//! What may go wrong in one simulation.

use std::time::Duration;

use epochkey::{Policy, WhenFull};

use super::{SKEW, STALENESS, clients::MOST_SESSIONS, random::Random};

/// How often keys rotate, and the lifetimes of tokens, usual and longest, that go with it.
const FAMILIES: [(u64, &[(u64, u64)]); 4] = [
    (60, &[(60, 60), (30, 30), (60, 300), (300, 900)]),
    (300, &[(300, 900), (60, 60), (900, 3600)]),
    (3600, &[(900, 900), (900, 3600), (60, 300)]),
    (0, &[(900, 3600), (300, 300)]),
];

/// Not everything goes wrong in every simulation: what a promise says of quiet times
/// must be looked at in quiet times.
pub(crate) struct Plan {
    pub(crate) steps: usize,
    pub(crate) replicas: usize,
    pub(crate) losses: bool,
    pub(crate) swaps: bool,
    pub(crate) wrong_clocks: bool,
    pub(crate) wrong_server_clock: bool,
    pub(crate) cuts: bool,
    pub(crate) lags: bool,
    pub(crate) misbehaviour: bool,
    pub(crate) holds: bool,
    pub(crate) interludes: bool,
    pub(crate) long_times: bool,
    /// Whether processes that begin may have other lifetimes.
    pub(crate) new_lifetimes: bool,
    /// Whether the master secret is changed.
    pub(crate) new_secret: bool,
    short_sessions: bool,
    thread_caches: bool,
    /// In seconds; 0 for by hand.
    rotate_every: u64,
    lifetimes: &'static [(u64, u64)],
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let (rotate_every, lifetimes) = *random.pick(&FAMILIES);
        Self {
            steps: random.between(40, 140) as usize,
            replicas: random.between(2, 4) as usize,
            losses: random.chance(50),
            swaps: random.chance(60),
            wrong_clocks: random.chance(40),
            wrong_server_clock: random.chance(8),
            cuts: random.chance(60),
            lags: random.chance(25),
            misbehaviour: random.chance(25),
            holds: random.chance(60),
            interludes: random.chance(60),
            long_times: random.chance(50),
            new_lifetimes: random.chance(40),
            new_secret: random.chance(25),
            short_sessions: random.chance(50),
            thread_caches: random.chance(70),
            rotate_every,
            lifetimes,
        }
    }

    /// A policy with some of the lifetimes that go with how often keys rotate.
    pub(crate) fn policy(&self, random: &mut Random) -> Policy {
        let (lifetime, longest) = *random.pick(self.lifetimes);
        let policy = Policy::default()
            .token_lifetime(Duration::from_secs(lifetime))
            .max_token_lifetime(Duration::from_secs(longest))
            .max_clock_skew(SKEW)
            .max_staleness(STALENESS)
            .max_sessions(MOST_SESSIONS, WhenFull::EndOldest)
            .thread_caches(self.thread_caches);
        let policy = match self.short_sessions {
            true => policy
                .session_idle_lifetime(Duration::from_secs(600))
                .session_lifetime(Duration::from_secs(3600)),
            false => policy,
        };
        match self.rotate_every {
            0 => policy.rotate_by_hand(),
            every => policy.rotate_every(Duration::from_secs(every)),
        }
    }
}
