//! Whenever it is said that an epoch is in force everywhere, no replica accepts what it revoked,
//! whatever happened to replicas, connections, clocks and the store.

use epochkey::{
    Clock, Grant, Policy, Scope, Token,
    store::StoreTime,
    testing::{FaultyStore, ManualClock},
};

use super::*;

const SEEDS: u64 = 100;
const STEPS: usize = 250;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }
}

struct Member {
    authority: Authority,
    link: FaultyStore,
    clock: ManualClock,
}

/// Somebody waits for the end of these tokens.
struct Wait {
    op: Everywhere,
    user: String,
    tokens: Vec<Token>,
}

/// How it went.
#[derive(Default, Debug)]
struct Tally {
    all_confirmed: usize,
    some_refuse: usize,
    failed: usize,
}

struct World {
    fleet: Fleet,
    random: Random,
    members: Vec<Member>,
    waits: Vec<Wait>,
    users: usize,
    /// Whether the store loses what it acknowledged.
    loses: bool,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            fleet: Fleet::new(),
            random: Random(seed),
            members: Vec::new(),
            waits: Vec::new(),
            users: 0,
            loses: seed.is_multiple_of(3),
            tally: Tally::default(),
        };
        for _ in 0..3 {
            world.boot();
        }
        world
    }

    /// A process starts, with a wall clock of its own that is off by up to a second.
    fn boot(&mut self) {
        let wall = &self.fleet.clock;
        let now = StoreTime::from_system_time(wall.now()).as_unix_millis();
        let clock = ManualClock::at_unix_seconds(now / 1000 - 1);
        clock.set_forward(Duration::from_millis(self.random.below(2_000) as u64));
        // What a store has forgotten, others guess from themselves.
        let staleness = match self.loses {
            true => 10,
            false => [4, 10, 10, 25][self.random.below(4)],
        };
        let builder = self.fleet.builder().clock(clock.clone());
        let policy = Policy::default().max_staleness(secs(staleness));
        let link = self.fleet.server.connect();
        let opened = builder.policy(policy).open(link.clone());
        self.members.extend(opened.ok().map(|authority| Member {
            authority,
            link,
            clock,
        }));
    }

    fn pass(&mut self) {
        let by = Duration::from_millis([100, 400, 1_000, 3_000][self.random.below(4)]);
        self.fleet.clock.advance(by);
        for member in &self.members {
            member.clock.advance(by);
        }
    }

    /// Tokens of a new user from all who issue any, and then a bump: the epoch is waited for
    /// by anybody.
    fn bump(&mut self) {
        let user = format!("u-{}", self.users);
        self.users += 1;
        let issue = |member: &Member| member.authority.issue(Grant::user(&user)).ok();
        let tokens = self.members.iter().filter_map(issue).collect();
        let bumping = &self.members[self.random.below(self.members.len())].authority;
        let bump = bumping.bump(Scope::user(&user));
        for _ in 0..3 {
            let _ = testing::follow(bumping);
        }
        if format!("{bump:?}") != "Op(finished)" {
            return;
        }
        if let Ok(epoch) = bump.wait() {
            let waiting = &self.members[self.random.below(self.members.len())].authority;
            let op = waiting.applied_everywhere(epoch);
            self.waits.push(Wait { op, user, tokens });
        }
    }

    fn step(&mut self) {
        let any = self.random.below(self.members.len());
        let member = &self.members[any];
        match self.random.below(100) {
            0..40 => drop(testing::follow(&member.authority)),
            40..60 => self.pass(),
            60..68 => self.bump(),
            68..72 => member.link.cut(),
            72..74 => member.link.lag(),
            74..77 => member.link.misbehave(any as u64),
            77..89 => {
                member.link.mend();
                member.link.release();
            }
            89..91 => member.clock.set_forward(Duration::from_millis(900)),
            91..93 => member.clock.rewind(Duration::from_millis(900)),
            93..95 => self.fleet.server.trim(),
            95 if self.loses => self.fleet.server.lose_last(1 + any),
            96..98 if self.members.len() < 6 => self.boot(),
            98 if self.members.len() > 2 => drop(self.members.remove(any)),
            _ => self.members.iter().for_each(|member| {
                let _ = testing::follow(&member.authority);
            }),
        }
        self.check();
    }

    fn check(&mut self) {
        let is_over = |wait: &mut Wait| !is_running(&wait.op);
        for wait in self.waits.extract_if(.., is_over).collect::<Vec<_>>() {
            match wait.op.wait() {
                Ok(unconfirmed) if unconfirmed.is_empty() => self.tally.all_confirmed += 1,
                Ok(_) => self.tally.some_refuse += 1,
                Err(_) => {
                    self.tally.failed += 1;
                    continue;
                }
            }
            for (number, member) in self.members.iter().enumerate() {
                for token in &wait.tokens {
                    let verified = member.authority.verify(token);
                    assert!(verified.is_err(), "{} at {number}", wait.user);
                }
            }
        }
    }
}

#[test]
fn what_is_in_force_everywhere_is_accepted_nowhere() {
    let mut total = Tally::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let run = std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step();
            }
        });
        let run = std::panic::catch_unwind(run);
        assert!(run.is_ok(), "seed {seed}");
        total.all_confirmed += world.tally.all_confirmed;
        total.some_refuse += world.tally.some_refuse;
        total.failed += world.tally.failed;
    }
    assert!(total.all_confirmed > 100, "{total:?}");
    assert!(total.some_refuse > 100, "{total:?}");
    assert!(total.failed > 50, "{total:?}");
}
