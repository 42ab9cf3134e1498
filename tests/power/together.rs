//! Many changes at once, by several threads, each with what is known of it.
//!
//! How the threads meet is not the same each time, even for the same seed.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use epochkey::{
    Authority, Grant, MasterSecret, RedbStore, Scope, SessionId, Store, Token,
    store::{Commit, NewRow, Outcome, Place, RowId, RowVersion, Rows, SessionChange, StoreTime},
    testing::ManualClock,
};

use crate::{
    check,
    disk::Disk,
    random::Random,
    recorder::{Kept, USERS, find_rows},
    workload::{builder, is_accepted},
};

const START: u64 = 1_700_000_000;
const THREADS: u8 = 4;
const ROUNDS: u8 = 5;
/// How many bumps each thread begins before it waits for the first.
const AT_ONCE: u8 = 3;

/// One commit, between two moments of the disk.
struct Claim {
    begun: usize,
    done: usize,
    what: What,
}

enum What {
    /// Bumped three scopes. Each of these tokens has one of them, and nothing else that is
    /// bumped.
    Bump { tokens: Vec<Token>, position: u64 },
    /// Put these rows in the place of the ones before, of the same ids, or of none.
    Rows {
        before: Option<RowVersion>,
        after: RowVersion,
        ids: [RowId; 2],
    },
}

/// What is known of a claim after a crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Made,
    NotBegun,
    UnderWay,
}

impl Claim {
    fn known(&self, moment: usize) -> Known {
        match moment {
            _ if self.done <= moment => Known::Made,
            _ if moment <= self.begun => Known::NotBegun,
            _ => Known::UnderWay,
        }
    }
}

pub(crate) struct Together {
    disk: Disk,
    secret: MasterSecret,
    /// The moment from which on nothing but the claims has happened.
    first: usize,
    bystander: Token,
    claims: Vec<Claim>,
}

struct Worker {
    number: u8,
    disk: Disk,
    store: Arc<RedbStore>,
    authority: Authority,
    known: Place,
    claims: Vec<Claim>,
}

impl Together {
    pub(crate) fn of(group: u64) -> Self {
        let (disk, secret) = (Disk::default(), MasterSecret::generate().unwrap());
        let clock = ManualClock::at_unix_seconds(START);
        let store = Arc::new(check::open(&disk));
        let authority = builder(&secret, &clock).open(Arc::clone(&store)).unwrap();
        authority.bump(Scope::user("first")).wait().unwrap();
        let bystander = authority
            .issue(Grant::user(format!("bystander-{group}")))
            .unwrap();
        let known = Kept::of(&store, &[]).unwrap().head().unwrap();
        let first = disk.moment();
        let workers = (0..THREADS).map(|number| Worker {
            number,
            disk: disk.clone(),
            store: Arc::clone(&store),
            authority: authority.clone(),
            known,
            claims: Vec::new(),
        });
        let threads: Vec<_> = workers
            .map(|worker| thread::spawn(move || worker.work()))
            .collect();
        let claims = threads.into_iter().map(|thread| thread.join().unwrap());
        let claims: Vec<_> = claims.flatten().collect();
        let synced = disk.syncs_since(first);
        assert!(
            synced < 2 * claims.len(),
            "no two commits shared a transaction"
        );
        Self {
            claims,
            disk,
            secret,
            first,
            bystander,
        }
    }

    pub(crate) fn lose_power(&self, random: &mut Random) {
        let moment = random.between(self.first as u64, self.disk.moment() as u64) as usize;
        let look = |store: &RedbStore| Kept::of(store, &[]).unwrap();
        let (_, store, kept) = check::lose_power(&self.disk, moment, random, look);
        let store = Arc::new(store);
        let clock = ManualClock::at_unix_seconds(START);
        let authority = builder(&self.secret, &clock);
        let authority = authority.open(Arc::clone(&store)).unwrap();
        for claim in &self.claims {
            let known = claim.known(moment);
            match &claim.what {
                What::Bump { tokens, position } => {
                    self.check_bump(&authority, known, tokens, *position);
                }
                What::Rows { before, after, ids } => {
                    let find = |id: &RowId| -> Option<RowVersion> {
                        let found = find_rows(&store, kept.head().unwrap(), Rows::One(*id));
                        found.unwrap().first().map(|found| found.row.version)
                    };
                    let found = [find(&ids[0]), find(&ids[1])];
                    self.check_rows(moment, known, found, *before, *after, ids[0]);
                }
            }
        }
        assert!(is_accepted(&authority, &self.bystander));
        authority.bump(Scope::user("last")).wait().unwrap();
        assert!(is_accepted(&authority, &self.bystander));
    }

    fn check_bump(&self, authority: &Authority, known: Known, tokens: &[Token], position: u64) {
        let accepted = tokens.iter().filter(|token| is_accepted(authority, token));
        let accepted = accepted.count();
        match known {
            Known::Made => {
                assert_eq!(accepted, 0, "of a bump that was acknowledged");
                assert!(authority.stats().position >= position);
            }
            Known::NotBegun => assert_eq!(accepted, tokens.len(), "of no bump at all"),
            Known::UnderWay => assert!(
                accepted == 0 || accepted == tokens.len(),
                "a bump of three scopes is there in part"
            ),
        }
    }

    fn check_rows(
        &self,
        moment: usize,
        known: Known,
        found: [Option<RowVersion>; 2],
        before: Option<RowVersion>,
        after: RowVersion,
        id: RowId,
    ) {
        assert_eq!(
            found[0], found[1],
            "rows changed together are of one commit"
        );
        // The claim after this one, of the same rows, may be there instead.
        let next = self.claims.iter().find(|claim| {
            matches!(&claim.what, What::Rows { before, ids, .. }
                if *before == Some(after) && ids[0] == id)
        });
        if next.is_some_and(|next| next.known(moment) != Known::NotBegun) {
            return assert!(found[0] != before, "rows went back");
        }
        match known {
            Known::Made => assert_eq!(found[0], Some(after)),
            Known::NotBegun => assert_ne!(found[0], Some(after)),
            Known::UnderWay => assert!(found[0] == before || found[0] == Some(after)),
        }
    }
}

impl Worker {
    fn work(mut self) -> Vec<Claim> {
        for round in 0..ROUNDS {
            let bumps: Vec<_> = (0..AT_ONCE).map(|one| self.scopes(round, one)).collect();
            let begun = self.disk.moment();
            // What is begun meanwhile waits together.
            let held = self.disk.hold();
            let bumps: Vec<_> = bumps
                .into_iter()
                .map(|(scopes, tokens)| (self.authority.bump_many(scopes), tokens))
                .collect();
            let (rows, answer) = self.begin_rows(round);
            drop(held);
            for (bump, tokens) in bumps {
                let position = bump.wait().unwrap()[2].position();
                let what = What::Bump { tokens, position };
                self.claim(begun, what);
            }
            let answer = answer.recv().unwrap();
            assert!(matches!(answer, Outcome::Done { .. }));
            self.claim(begun, rows);
        }
        self.claims
    }

    fn claim(&mut self, begun: usize, what: What) {
        let done = self.disk.moment();
        self.claims.push(Claim { begun, done, what });
    }

    /// Scopes that nobody else bumps, and a token for each.
    fn scopes(&self, round: u8, one: u8) -> (Vec<Scope>, Vec<Token>) {
        let name = format!("{}-{round}-{one}", self.number);
        let session: SessionId = name.parse().unwrap();
        let scopes = vec![
            Scope::user(&name),
            Scope::session(&session),
            Scope::group(&name),
        ];
        let grants = [
            Grant::user(&name),
            Grant::user("somebody").session(&session),
            Grant::user("somebody").group(&name),
        ];
        let tokens = grants.map(|grant| self.authority.issue(grant).unwrap());
        (scopes, tokens.into())
    }

    fn begin_rows(&self, round: u8) -> (What, mpsc::Receiver<Outcome>) {
        let version = |round: u8| RowVersion::from_bytes([round; 16]);
        let ids = [0, 1].map(|row| RowId::from_bytes([self.number * 2 + row; 16]));
        let before = round.checked_sub(1).map(version);
        let changes = ids.map(|id| {
            let row = NewRow {
                id,
                user: USERS[0],
                version: version(round),
                expires_at: StoreTime::from_unix_millis((START + 3600) * 1000),
                body: vec![round; 40],
            };
            match before {
                None => SessionChange::Start(row),
                Some(expected) => SessionChange::Replace {
                    row,
                    expected,
                    rotates: true,
                },
            }
        });
        let commit = Commit {
            known: self.known,
            newest_key: None,
            events: Vec::new(),
            sessions: changes.into(),
            now: StoreTime::from_unix_millis(START * 1000),
        };
        let (send, answer) = mpsc::channel();
        let done = move |answer: Result<epochkey::store::Answer<Outcome>, _>| {
            send.send(answer.unwrap().value).unwrap();
        };
        self.store.commit(commit, Box::new(done));
        let after = version(round);
        (What::Rows { before, after, ids }, answer)
    }
}
