//! What may go wrong in one simulation.

use std::time::Duration;

use epochkey::Policy;

use crate::{SKEW, STALENESS, random::Random};

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
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> (Self, Policy) {
        let plan = Self {
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
        };
        let (lifetime, longest, rotate_every) = *random.pick(&[
            (60, 60, 60),
            (300, 900, 300),
            (900, 900, 3600),
            (900, 3600, 0),
        ]);
        let policy = Policy::default()
            .token_lifetime(Duration::from_secs(lifetime))
            .max_token_lifetime(Duration::from_secs(longest))
            .max_clock_skew(SKEW)
            .max_staleness(STALENESS);
        let policy = match rotate_every {
            0 => policy.rotate_by_hand(),
            every => policy.rotate_every(Duration::from_secs(every)),
        };
        (plan, policy)
    }
}
