//! One change after the other, by one authority, with all that is known of each.

use std::{sync::Arc, time::Duration};

use epochkey::{
    Authority, AuthorityBuilder, Grant, MasterSecret, Policy, RotateError, Scope, SessionId, Token,
    VerifyError,
    store::{Commit, NewRow, Outcome, RowVersion, SessionChange, StoreTime},
    testing::{self, ManualClock},
};
use parking_lot::Mutex;

use crate::{
    disk::Disk,
    random::Random,
    recorder::{self, Checkpoint, Kept, Notes, ROWS, Recorder, USERS, row_id},
};

const START: u64 = 1_700_000_000;
const LIFETIME: u64 = 900;
const CHANGES: usize = 45;
const PEOPLE: usize = 8;
const GROUPS: usize = 3;

/// A token, and what became of it.
pub(crate) struct Issued {
    pub(crate) token: Token,
    scopes: Vec<Scope>,
    /// The newest checkpoint when it was issued.
    pub(crate) since: usize,
    expires_at: u64,
    /// The checkpoint of the bump or swap that revoked it.
    revoked: Option<usize>,
}

impl Issued {
    /// Whether it is good at a checkpoint, of which this is the time.
    pub(crate) fn is_good(&self, checkpoint: usize, time: u64) -> bool {
        time < self.expires_at && self.revoked.is_none_or(|revoked| checkpoint < revoked)
    }

    pub(crate) fn has(&self, scope: &Scope) -> bool {
        self.scopes.contains(scope)
    }

    pub(crate) fn user(&self) -> &Scope {
        &self.scopes[0]
    }
}

/// Whether the token verifies. Any refusal but these is a fault of another kind.
pub(crate) fn is_accepted(authority: &Authority, token: &Token) -> bool {
    match authority.verify(token) {
        Ok(_) => true,
        Err(VerifyError::Revoked { .. } | VerifyError::UnknownKey | VerifyError::Expired) => false,
        Err(error) => panic!("refused for another reason: {error}"),
    }
}

/// The builder of every authority on one disk.
pub(crate) fn builder(secret: &MasterSecret, clock: &ManualClock) -> AuthorityBuilder {
    let policy = Policy::default()
        .token_lifetime(Duration::from_secs(LIFETIME))
        .rotate_by_hand();
    Authority::builder("https://issuer.test", "api")
        .policy(policy)
        .clock(clock.clone())
        .master_secret(secret.clone())
}

/// What was done, and what the disk was told to do for it.
pub(crate) struct Recorded {
    pub(crate) disk: Disk,
    pub(crate) secret: MasterSecret,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) tokens: Vec<Issued>,
    /// From which checkpoint on it was how late.
    times: Vec<(usize, u64)>,
}

impl Recorded {
    pub(crate) fn of(seed: u64) -> Self {
        let mut work = Work::new(seed);
        for _ in 0..CHANGES {
            work.issue_some();
            work.change();
        }
        work.end()
    }

    pub(crate) fn time(&self, checkpoint: usize) -> u64 {
        let mut latest_first = self.times.iter().rev();
        let reached = latest_first.find(|(from, _)| *from <= checkpoint);
        reached.map_or(START, |(_, time)| *time)
    }
}

struct Work {
    random: Random,
    disk: Disk,
    secret: MasterSecret,
    clock: ManualClock,
    now: u64,
    notes: Arc<Mutex<Notes>>,
    opened: u8,
    open: Option<(Authority, Arc<Recorder>)>,
    tokens: Vec<Issued>,
    times: Vec<(usize, u64)>,
}

impl Work {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let secret: Vec<u8> = (0..8).flat_map(|_| random.next().to_be_bytes()).collect();
        let mut work = Self {
            random,
            disk: Disk::default(),
            secret: MasterSecret::from_bytes(secret).unwrap(),
            clock: ManualClock::at_unix_seconds(START),
            now: START,
            notes: Arc::default(),
            opened: 0,
            open: None,
            tokens: Vec::new(),
            times: Vec::new(),
        };
        work.reopen();
        work
    }

    fn reopen(&mut self) {
        self.open = None;
        self.opened += 1;
        // The same trace for the same seed, but nothing drawn twice.
        let mut seed = [self.opened; 32];
        seed[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let store = Arc::new(Recorder::open(&self.disk, Arc::clone(&self.notes)));
        let builder = testing::by_hand(builder(&self.secret, &self.clock));
        let builder = testing::known_secrets(builder, seed);
        let authority = builder.open(Arc::clone(&store)).unwrap();
        self.open = Some((authority, store));
    }

    fn end(mut self) -> Recorded {
        self.open = None;
        Recorded {
            disk: self.disk,
            secret: self.secret,
            checkpoints: std::mem::take(&mut self.notes.lock().checkpoints),
            tokens: self.tokens,
            times: self.times,
        }
    }

    fn authority(&self) -> &Authority {
        &self.open.as_ref().unwrap().0
    }

    /// The newest checkpoint.
    fn newest(&self) -> usize {
        self.notes.lock().checkpoints.len() - 1
    }

    fn issue_some(&mut self) {
        for _ in 0..self.random.between(1, 2) {
            let user = format!("u-{}", self.random.below(PEOPLE));
            let mut scopes = vec![Scope::user(&user)];
            let mut grant = Grant::user(user);
            if self.random.chance(50) {
                let session = self.session();
                scopes.push(Scope::session(&session));
                grant = grant.session(&session);
            }
            if self.random.chance(40) {
                let group = self.group();
                scopes.push(Scope::group(&group));
                grant = grant.group(group);
            }
            self.tokens.push(Issued {
                token: self.authority().issue(grant).unwrap(),
                scopes,
                since: self.newest(),
                expires_at: self.now + LIFETIME,
                revoked: None,
            });
        }
    }

    fn session(&mut self) -> SessionId {
        let number = self.random.below(3 * PEOPLE);
        format!("s-{number}").parse().unwrap()
    }

    fn group(&mut self) -> String {
        format!("g-{}", self.random.below(GROUPS))
    }

    fn scope(&mut self) -> Scope {
        match self.random.below(10) {
            0 => Scope::group(self.group()),
            1..=4 => Scope::session(&self.session()),
            _ => Scope::user(format!("u-{}", self.random.below(PEOPLE))),
        }
    }

    fn change(&mut self) {
        match self.random.below(100) {
            0..30 => self.bump(1),
            30..42 => {
                let scopes = self.random.between(2, 5);
                self.bump(scopes);
            }
            42..50 => self.bump_and_end_sessions(),
            50..70 => self.change_sessions(),
            70..78 => self.rotate(),
            78..82 => self.swap(),
            82..91 => self.pass_time(),
            91..94 => self.start_over(),
            94..97 => self.rewrap(),
            _ => self.reopen(),
        }
    }

    fn bump(&mut self, scopes: u64) {
        let scopes: Vec<_> = (0..scopes).map(|_| self.scope()).collect();
        let bump = self.authority().bump_many(scopes.clone());
        let epochs = testing::finish(self.authority(), bump).unwrap();
        let last = epochs.last().map(|epoch| epoch.position());
        assert_eq!(last, Some(self.authority().stats().position));
        self.revoke(|issued| scopes.iter().any(|scope| issued.has(scope)));
    }

    fn bump_and_end_sessions(&mut self) {
        let user = *self.random.pick(&USERS);
        let end = SessionChange::EndOfUser { user, except: None };
        self.notes.lock().joined.push(end);
        self.bump(1);
        self.kept(|kept| {
            assert!(kept.rows.iter().flatten().all(|row| row.row.user != user));
        });
    }

    fn revoke(&mut self, concerns: impl Fn(&Issued) -> bool) {
        let newest = self.newest();
        for issued in &mut self.tokens {
            if issued.revoked.is_none() && concerns(issued) {
                issued.revoked = Some(newest);
            }
        }
    }

    fn rotate(&mut self) {
        let rotation = self.authority().rotate_key();
        match testing::finish(self.authority(), rotation) {
            Ok(_) | Err(RotateError::TooManyKeys { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn swap(&mut self) {
        let swap = self.authority().swap_key();
        testing::finish(self.authority(), swap).unwrap();
        self.revoke(|_| true);
    }

    fn start_over(&mut self) {
        let start = match self.random.chance(50) {
            true => self.authority().start_over(),
            false => self.authority().restored_from_backup(),
        };
        testing::finish(self.authority(), start).unwrap();
        self.revoke(|_| true);
        self.kept(|kept| assert_eq!(kept.rows, [[], []]));
    }

    fn rewrap(&mut self) {
        let rewrap = self.authority().rewrap_secrets();
        testing::finish(self.authority(), rewrap).unwrap();
    }

    /// Keys retire, epochs are pruned, old events and sessions forgotten.
    fn pass_time(&mut self) {
        let seconds = self.random.between(10, 1500);
        self.clock.advance(Duration::from_secs(seconds));
        self.now += seconds;
        self.times.push((self.newest(), self.now));
        testing::maintain(self.authority()).unwrap();
        testing::follow(self.authority()).unwrap();
    }

    fn kept<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        let newest = self.newest();
        look(&self.notes.lock().checkpoints[newest].kept)
    }

    fn change_sessions(&mut self) {
        let id = row_id(self.random.below(usize::from(ROWS)) as u8);
        let look = |kept: &Kept| (kept.head().unwrap(), kept.row(id).cloned());
        let (known, found) = self.kept(look);
        let found = found.map(|found| found.row);
        let row = self.new_row(found.as_ref());
        let row = NewRow { id, ..row };
        let (change, then) = match found {
            None => (SessionChange::Start(row.clone()), Some(row)),
            Some(found) if self.random.chance(50) => {
                let replace = SessionChange::Replace {
                    row: row.clone(),
                    expected: found.version,
                    rotates: self.random.chance(70),
                };
                (replace, Some(row))
            }
            Some(found) => {
                let expected = Some(found.version).filter(|_| self.random.chance(50));
                (SessionChange::End { row: id, expected }, None)
            }
        };
        let commit = Commit {
            known,
            newest_key: None,
            events: Vec::new(),
            sessions: vec![change],
            now: self.store_time(0),
        };
        let store = &self.open.as_ref().unwrap().1;
        let (answer, _) = recorder::commit(store, commit, &self.disk);
        assert_eq!(answer.unwrap().value, Outcome::Done { head: known });
        self.kept(|kept| assert_eq!(kept.row(id).map(|found| &found.row), then.as_ref()));
    }

    fn store_time(&self, later: u64) -> StoreTime {
        StoreTime::from_unix_millis((self.now + later) * 1000)
    }

    /// A row for a user, who stays the same.
    fn new_row(&mut self, before: Option<&NewRow>) -> NewRow {
        let user = before.map_or(*self.random.pick(&USERS), |before| before.user);
        let mut version = [0; 16];
        version[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let lives = self.random.between(0, 7200);
        let length = self.random.below(300);
        NewRow {
            id: row_id(0),
            user,
            version: RowVersion::from_bytes(version),
            expires_at: self.store_time(lives),
            body: vec![self.random.next() as u8; length],
        }
    }
}
