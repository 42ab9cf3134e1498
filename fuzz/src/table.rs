//! Bumps, rotations, swaps, retirements and prunes, against a model of which tokens live.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use epochkey::{
    Authority, Grant, IssueError, Mark, MemoryStore, Op, Scope, SessionId, Token, Verified,
    testing::{self, ManualClock, expose_epoch, expose_secrets},
};

use super::{
    input::Input,
    known::{self, NOW},
};

/// In seconds: around announcements, lifetimes, retirements and the schedule.
const PASSES: [u64; 8] = [1, 13, 14, 60, 899, 900, 918, 86_400];
/// Those that are checked after every step.
const MOST_TOKENS: usize = 48;

/// After every operation each token is good if the model says that it lives, and the table
/// holds the epochs that concern a live ring key, and no others.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut run = Run::new();
    // More than a hundred say nothing new.
    for _ in 0..100 {
        if input.is_empty() {
            break;
        }
        run.step(&mut input);
        run.check();
    }
}

struct Run {
    clock: ManualClock,
    authority: Authority,
    now: u64,
    scopes: Vec<Scope>,
    /// How often each was bumped, and how often the ring was swapped.
    bumps: HashMap<Scope, u32>,
    swaps: u32,
    /// The position of the last bump of each.
    positions: HashMap<Scope, u64>,
    held: Vec<Held>,
    /// With their positions.
    marks: Vec<(Mark, u64)>,
}

struct Held {
    token: Token,
    verified: Verified,
    /// With how often each was bumped when the token was issued.
    scopes: Vec<(Scope, u32)>,
    swaps: u32,
    expires_at: u64,
}

impl Run {
    fn new() -> Self {
        let clock = ManualClock::at_unix_seconds(NOW);
        let authority = known::builder(&clock).open(MemoryStore::new()).unwrap();
        let ids = ["a", "b", "c"];
        let users = ids.iter().map(|id| Scope::user(*id));
        let sessions = ids.iter().map(|id| Scope::session(&session(id)));
        let groups = ids.iter().map(|id| Scope::group(*id));
        Self {
            clock,
            authority,
            now: NOW,
            scopes: users.chain(sessions).chain(groups).collect(),
            bumps: HashMap::new(),
            swaps: 0,
            positions: HashMap::new(),
            held: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn finish<T, E>(&self, op: Op<T, E>) -> Result<T, E> {
        testing::finish(&self.authority, op)
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0..4 => self.issue(input),
            4..8 => self.bump(input),
            8 => self.bump_several(input),
            // There may be as many keys as there can be.
            9 | 10 => drop(self.finish(self.authority.rotate_key())),
            11 => {
                self.finish(self.authority.swap_key()).unwrap();
                self.swaps += 1;
            }
            12 => self.mark(),
            _ => self.pass(*input.pick(&PASSES)),
        }
    }

    fn issue(&mut self, input: &mut Input<'_>) {
        let (user, more) = (input.index(3), input.byte());
        let id = |scope: &Scope| scope.id().to_owned();
        let mut scopes = vec![self.scopes[user].clone()];
        let mut grant = Grant::user(id(&scopes[0]));
        if more & 1 != 0 {
            let scope = &self.scopes[3 + usize::from(more >> 1) % 3];
            grant = grant.session(&session(scope.id()));
            scopes.push(scope.clone());
        }
        for group in 0..3 {
            if more & 8 << group != 0 {
                let scope = &self.scopes[6 + group];
                grant = grant.group(id(scope));
                scopes.push(scope.clone());
            }
        }
        if more & 64 != 0 && !self.marks.is_empty() {
            self.issue_as_of(input, grant.clone(), &scopes);
        }
        let lifetime = 1 + 899 * u64::from(more >> 7);
        let token = self
            .authority
            .issue(grant.lifetime(Duration::from_secs(lifetime)))
            .unwrap();
        let verified = self.authority.verify(&token).unwrap();
        let counted = scopes.into_iter().map(|scope| {
            let bumps = self.bumps.get(&scope).copied().unwrap_or_default();
            (scope, bumps)
        });
        self.held.push(Held {
            token,
            verified,
            scopes: counted.collect(),
            swaps: self.swaps,
            expires_at: self.now + lifetime,
        });
        if self.held.len() > MOST_TOKENS {
            self.held.remove(0);
        }
    }

    /// Refused if a scope was bumped since the mark, or if that is forgotten.
    fn issue_as_of(&self, input: &mut Input<'_>, grant: Grant, scopes: &[Scope]) {
        let (mark, position) = *input.pick(&self.marks);
        let issued = self.authority.issue(grant.as_of(mark));
        let was_bumped = |scope: &Scope| self.positions.get(scope).is_some_and(|at| *at > position);
        match issued {
            Ok(_) => assert!(!scopes.iter().any(was_bumped), "facts of before a bump"),
            Err(IssueError::BumpedSinceMark { .. }) => assert!(scopes.iter().any(was_bumped)),
            Err(IssueError::OutdatedMark) => assert!(position < self.oldest_key()),
            Err(error) => panic!("{error}"),
        }
    }

    fn mark(&mut self) {
        let position = self.authority.stats().position;
        self.marks.push((self.authority.mark(), position));
    }

    fn bump(&mut self, input: &mut Input<'_>) {
        let scope = input.pick(&self.scopes).clone();
        let epoch = self.finish(self.authority.bump(scope.clone())).unwrap();
        self.bumped(scope, epoch.position());
    }

    fn bump_several(&mut self, input: &mut Input<'_>) {
        let chosen = input.number();
        let scopes = self.scopes.iter().enumerate();
        let scopes = scopes.filter(|(n, _)| chosen & 1 << n != 0);
        let scopes: Vec<_> = scopes.map(|(_, scope)| scope.clone()).collect();
        let epochs = self.finish(self.authority.bump_many(scopes.clone()));
        let epochs = epochs.unwrap();
        assert_eq!(epochs.len(), scopes.len());
        for (scope, epoch) in scopes.into_iter().zip(epochs) {
            self.bumped(scope, epoch.position());
        }
    }

    fn bumped(&mut self, scope: Scope, position: u64) {
        *self.bumps.entry(scope.clone()).or_default() += 1;
        self.positions.insert(scope, position);
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.now += seconds;
        testing::maintain(&self.authority).unwrap();
        testing::follow(&self.authority).unwrap();
    }

    fn oldest_key(&self) -> u64 {
        expose_secrets(&self.authority).ring_keys[0].position
    }

    fn is_live(&self, held: &Held) -> bool {
        let is_bumped = |(scope, bumps): &(Scope, u32)| {
            self.bumps.get(scope).copied().unwrap_or_default() != *bumps
        };
        self.now < held.expires_at && held.swaps == self.swaps && !held.scopes.iter().any(is_bumped)
    }

    fn check(&self) {
        for held in &self.held {
            let is_live = self.is_live(held);
            let verified = self.authority.verify(&held.token);
            assert_eq!(verified.is_ok(), is_live, "{verified:?}");
            let rechecked = self.authority.recheck(&held.verified);
            assert_eq!(rechecked.is_ok(), is_live, "{rechecked:?}");
        }
        let oldest = self.oldest_key();
        let concern = |position: &u64| *position > oldest;
        let kept: HashSet<_> = self
            .positions
            .iter()
            .filter(|(_, position)| concern(position))
            .map(|(scope, _)| scope)
            .collect();
        let stats = self.authority.stats();
        assert_eq!((stats.epochs, stats.floor), (kept.len(), oldest));
        for scope in &self.scopes {
            let epoch = expose_epoch(&self.authority, scope).map(|(position, _)| position);
            assert_eq!(epoch, self.positions.get(scope).copied().filter(concern));
        }
    }
}

fn session(id: &str) -> SessionId {
    id.parse().unwrap()
}
